import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BpftraceKernel, bpftraceInGuest, MOUNT } from '../../../../scripts/lab-parts/bpftrace.mjs';
import type { GuestOptions } from '../../../../scripts/lab-parts/guest.mjs';
import { guestModule } from '../../../../scripts/lab-parts/guest-module.mjs';
import { type LeaksAnswer, leaksSchema } from '../../../../src/contracts/leaks.js';
import { inGuest } from '../../../support/guest.js';
import { type Kind, LeakGuest, type Rates, type Truth } from '../leak-guest.js';
import { kindOf } from '../leaks-suite.js';

const SECONDS = 24;
const REFUSED = 3;
const RATES: Rates = {
  leak_single: 60,
  leak_third: 12,
  leak_fifth: 5,
  leak_parts: 12,
  keep_page: 100,
  ring_page: 40,
  ring_split: 20,
  ring_exact: 20,
};
const LEAKS = ['leak_single', 'leak_third', 'leak_fifth', 'leak_parts'] as const;
/** Blocks that were partly freed, and are still held. */
const HELD = [...LEAKS, 'ring_split', 'ring_exact'] as const;
const MEMORY_MIB = 1536;
const PAGE = 4096;

const KERNELS = ['6.1', '6.12', 'newest'] as const satisfies readonly BpftraceKernel[];

/** bpftrace, and a module that is loaded and unloaded. */
function bpftraceOf(kernel: BpftraceKernel): Partial<GuestOptions> {
  const { files = [], ...others } = bpftraceInGuest(kernel);
  return { ...others, files: [...files, guestModule('passing', kernel)] };
}

async function boot(kernel: BpftraceKernel): Promise<LeakGuest> {
  const guest = await LeakGuest.boot(kernel, { ...bpftraceOf(kernel), memoryMiB: MEMORY_MIB });
  await guest.mount();
  await guest.guest.run(MOUNT);
  return guest;
}

const bytesOf = ({ sites }: LeaksAnswer, kind: Kind) =>
  sites.filter((site) => kindOf(site) === kind).reduce((sum, { bytes }) => sum + bytes, 0);

const sumOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);

/** Growth of the module's memory since. */
const since = (before: Truth | null, after: Truth, kind: Kind) => after[kind].bytes - (before?.[kind].bytes ?? 0);

/** Processes, and BPF programs. */
async function left(guest: LeakGuest): Promise<string> {
  const { output } = await guest.guest.run(
    'ps | grep -v grep | grep "bpftrace -B" ; grep -l prog_type /proc/[0-9]*/fdinfo/* 2> /dev/null; true',
  );
  return output.toString().trim();
}

for (const kernel of KERNELS)
  describe(`${kernel}: bpftrace pairs allocations and frees of a module`, () => {
    let guest: LeakGuest;
    let paired: { answer: LeaksAnswer; truth: Truth };

    beforeAll(async () => {
      guest = await boot(kernel);
      await guest.leaks(RATES);
      // A guest under load needs minutes to compile.
      paired = await guest.traced('--engine bpftrace --windows 6', SECONDS, () => guest.load(SECONDS));
      const { answer, truth } = paired;
      for (const kind of HELD) console.log(kernel, kind, bytesOf(answer, kind), truth[kind].bytes);
      const { losses, unseen, unseenFrees, tracing, foundFree, warnings } = answer;
      console.log(kernel, losses, unseen, { unseenFrees, foundFree, events: tracing?.events });
      console.log(warnings.map(({ message }) => message).join('\n'));
    });

    afterAll(() => guest?.end());

    test('reports each of its leaks as leaking, and nothing else', () => {
      expect(paired.answer.method).toBe('bpftrace');
      const leaking = paired.answer.sites.filter(({ verdict }) => verdict === 'leaking');
      expect(leaking.map(kindOf).toSorted()).toEqual([...LEAKS].sort());
      expect(new Set(leaking.map(({ reason }) => reason))).toEqual(new Set(['unreferenced']));
    });

    test('reports what the module holds, also partly freed blocks, except for unseen pages', () => {
      const { answer, truth } = paired;
      const { allocated = Number.NaN, traced = Number.NaN } = answer.unseen ?? {};
      const unseen = { allocated: allocated - traced, freed: answer.unseenFrees ?? Number.NaN };
      const pages = HELD.map((kind) => truth[kind].bytes / PAGE);
      const heldPages = HELD.map((kind) => bytesOf(answer, kind) / PAGE);
      const missing = heldPages.map((count, at) => (pages[at] ?? Number.NaN) - count);
      // The missed pages may be any; two counters of the kernel limit their number.
      expect(sumOf(missing.filter((count) => count > 0))).toBeLessThanOrEqual(unseen.allocated);
      expect(sumOf(missing.filter((count) => count < 0))).toBeGreaterThanOrEqual(-unseen.freed);
      for (const count of Object.values(unseen)) expect(count).toBeLessThan(sumOf(pages) / 10);
      const parts = answer.sites.find((site) => kindOf(site) === 'leak_parts');
      expect(parts?.survivors).toMatchObject({ order: 3, bytes: parts?.bytes });
      expect(answer.losses.dropped).toBe(0);
    });

    test('reports unseen events, and there are few', () => {
      const { unseenFrees, losses, tracing, warnings, complete } = paired.answer;
      const events = tracing?.events ?? 0;
      expect(events).toBeGreaterThan(1000);
      expect(unseenFrees).not.toBeNull();
      expect(unseenFrees ?? 0).toBeLessThan(events / 50);
      const isReported = warnings.some(({ code }) => code === 'unseen-frees');
      expect(isReported).toBe(unseenFrees !== 0);
      if ((unseenFrees ?? 0) > 0 || (losses.overrun ?? 1) > 0) expect(complete).toBe(false);
    });

    test('leaves nothing behind', async () => {
      expect(await left(guest)).toBe('');
    });

    test('tracefs reports the same for the next seconds', async () => {
      const before = await guest.truth();
      const { answer, truth } = await guest.traced('--windows 6 --sample 1/1', SECONDS);
      expect(LEAKS.map((kind) => [kind, bytesOf(answer, kind)])).toEqual(
        LEAKS.map((kind) => [kind, since(before, truth, kind)]),
      );
    });

    test('bpftrace exits when kdump-mem is killed', async () => {
      await guest.start('--engine bpftrace --interval 1h');
      expect(await left(guest)).not.toBe('');
      await guest.signal('KILL');
      await guest.finish();
      await guest.guest.run('sleep 5');
      expect(await left(guest)).toBe('');
    });

    test('Ctrl-C ends it early, with the data so far', async () => {
      await guest.start('--engine bpftrace --interval 1h --json');
      await guest.guest.run('sleep 3');
      await guest.signal('INT');
      const { status, stdout } = await guest.finish();
      expect(status).toBe(0);
      expect(leaksSchema.parse(JSON.parse(stdout))).toMatchObject({ method: 'bpftrace', endedEarly: true });
      expect(await left(guest)).toBe('');
    });

    test('memory of a module that was unloaded keeps the module’s name', async () => {
      const pages = 300;
      await guest.start('--engine bpftrace --interval 20 --windows 3 --json');
      // Modules are listed every second.
      await guest.guest.run(`insmod /passing.ko pages=${pages}; sleep 6; rmmod passing`);
      const { status, stdout } = await guest.finish();
      expect(status).toBe(0);
      const { sites, losses } = leaksSchema.parse(JSON.parse(stdout));
      const frames = sites.flatMap((site) =>
        site.frames
          .filter(({ symbol }) => symbol === 'leak_passing')
          .map(({ module }) => ({ module, blocks: site.blocks })),
      );
      expect(frames).toHaveLength(1);
      expect(frames[0]?.module).toBe('passing');
      expect(pages - (frames[0]?.blocks ?? 0)).toBeLessThanOrEqual(losses.overrun ?? 0);
    });

    test('Ctrl-C while bpftrace compiles ends it within seconds, without a recording', async () => {
      await guest.start('--engine bpftrace --interval 1h', 'ps | grep -q "[b]pftrace -B"');
      const began = performance.now();
      await guest.signal('INT');
      const { status, stdout, stderr } = await guest.finish();
      expect([status, stdout]).toEqual([REFUSED, '']);
      expect(stderr).toMatch(/^kdump-mem: interrupted before bpftrace began to record/);
      expect(performance.now() - began).toBeLessThan(20_000);
      expect(await left(guest)).toBe('');
    });

    test('reports missing root rights or a missing bpftrace in one line', async () => {
      const refused = async (command: string) => {
        const { status, output } = await guest.guest.run(`${command} 2>&1`, { mayFail: true });
        const text = output.toString();
        expect([status, text]).toEqual([REFUSED, expect.stringMatching(/^kdump-mem: [^\n]+\n([^\n]+\n)?$/)]);
        return text;
      };
      const command = 'kdump-mem leaks --engine bpftrace --interval 3';
      expect(await refused(`su nobody -s /bin/sh -c "${command}"`)).toMatch(/root/);
      const offered = await inGuest(guest.guest, 'leaks --methods');
      expect(offered.output.toString()).toMatch(/bpftrace +yes, with --engine bpftrace/);
      await guest.guest.run('mv /bin/bpftrace /bin/bpftrace.away');
      expect(await refused(command)).toMatch(/not installed/);
    });
  });
