import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../../scripts/lab-parts/guest.mjs';
import { bootScenario, settledTruth } from '../../../scripts/lab-parts/scenario.mjs';
import { memorySchema } from '../../../src/contracts/memory.js';
import { skbSchema, socketsSchema } from '../../../src/contracts/sockets.js';
import { taskStacksSchema } from '../../../src/contracts/task-stacks.js';
import { triageSchema } from '../../../src/contracts/triage.js';
import { inGuest, jsonInGuest, kdumpMemInGuest, MEMORY_MIB } from '../../support/guest.js';
import { type LabKernel, role, type Truth } from '../../support/lab.js';
import { expectTruth } from '../../support/truth.js';
import { expectTold, notTold } from '../memory/functions-only.js';
import { frameNames, procStacks } from '../stacks/proc-stacks.js';

/** Categories that /proc/meminfo counts too. */
const LIVE_COUNTERS = {
  'free-buddy': 'MemFree',
  'slab-reclaimable': 'SReclaimable',
  'kernel-stacks': 'KernelStack',
  percpu: 'Percpu',
  shared: 'Shmem',
} as const;

/** Bytes that may change between two samples of the guest's counters. */
const DRIFT = 24 << 20;

/** Pages in the guest's zones. */
async function presentPages(guest: Guest): Promise<number> {
  const { output } = await guest.run('cat /proc/zoneinfo');
  const present = [...output.toString().matchAll(/^ +present +(\d+)$/gm)];
  return present.reduce((sum, [, pages]) => sum + Number(pages), 0);
}

/** The fewest samples of /proc/meminfo that say between which values a counter varied. */
const SAMPLES = 6;

/**
 * Samples a guest's /proc/meminfo, also while kdump-mem uses memory there, until the caller requests the result. One
 * shell starts no program for it: a list that changes during a read makes the answer incomplete.
 */
async function sampleMeminfo(guest: Guest) {
  await guest.run(
    'echo >/tmp/sampling; mkfifo /tmp/never; (exec 9<>/tmp/never; while [ -e /tmp/sampling ]; do ' +
      'while read -r line; do echo "$line"; done </proc/meminfo; read -t 1 -r line <&9; done >/tmp/meminfo) &',
  );
  return async (): Promise<(counter: string) => readonly number[]> => {
    const { output } = await guest.run(
      `until [ $(grep -c MemTotal /tmp/meminfo) -ge ${SAMPLES} ]; do sleep 1; done; rm /tmp/sampling; sleep 1; cat /tmp/meminfo`,
    );
    const text = output.toString();
    return (counter) =>
      [...text.matchAll(new RegExp(`^${counter}: +(\\d+) kB$`, 'gm'))].map(([, kib]) => Number(kib) * 1024);
  };
}

/**
 * Compares `--live` in a guest with the figures of its processes.
 *
 * @param all also the commands whose reads are those of the others: a command takes minutes of CPU in an emulated guest
 */
export function liveSuite(kernel: LabKernel, all = true): void {
  describe(`kdump-mem in a live guest of ${kernel}`, () => {
    let guest: Guest;
    let truth: Truth;

    beforeAll(async () => {
      guest = await bootScenario({ kernel, memoryMiB: MEMORY_MIB, files: kdumpMemInGuest(kernel) });
      truth = await settledTruth(guest);
    });

    afterAll(() => guest?.kill());

    test('memory --live puts every page frame into a category, and matches the guest’s counters', async () => {
      const ask = async () => memorySchema.parse(await jsonInGuest(guest, 'memory --live'));
      const samples = await sampleMeminfo(guest);
      let answer = await ask();
      // A list that changes during the read makes the answer incomplete: a repeated query is
      // complete.
      for (let tries = 2; !answer.complete && tries > 0; tries--) answer = await ask();
      const sampled = await samples();
      const bytes = (name: string, category = answer.memory): number =>
        category.category === name
          ? category.bytes
          : category.children.reduce((sum, child) => sum + bytes(name, child), 0);
      expect(answer.source).toBe('kcore');
      expect(answer.memory.bytes).toBe((await presentPages(guest)) * (answer.kernel?.pageSize ?? Number.NaN));
      expect(bytes('unknown')).toBeLessThan(1 << 20);
      for (const [category, counter] of Object.entries(LIVE_COUNTERS)) {
        const values = sampled(counter);
        expect(values.length, counter).toBeGreaterThanOrEqual(SAMPLES);
        expect(bytes(category), category).toBeGreaterThanOrEqual(Math.min(...values) - DRIFT);
        expect(bytes(category), category).toBeLessThanOrEqual(Math.max(...values) + DRIFT);
      }
      // The sampling process exits meanwhile.
      expectTold({ ...answer, warnings: answer.warnings.filter(({ code }) => code !== 'freed-while-read') }, kernel);
      expect(answer.driftBytes).toBeGreaterThan(0);
    });

    test('skb --pid --fd --live shows the stalled reader', async () => {
      const starving = role(truth, 'starving');
      const command = `skb --pid ${starving.pid} --fd ${starving.fd} --live`;
      const answer = skbSchema.parse(await jsonInGuest(guest, command));
      expect(answer.kernel.source).toBe('kcore');
      expect(answer.warnings).toEqual([]);
      expectTruth(starving, answer);
      // Pages, or only slab memory if the driver copies small packets.
      expect(answer.total.pinnedBytes).toBeGreaterThan(64_000);
      // The text output says the same.
      const { status, output } = await inGuest(guest, command);
      expect(status).toBe(0);
      expect(output.toString()).toMatch(
        new RegExp(`^pid ${starving.pid} \\(starver\\) fd ${starving.fd}[:,] TCP 10\\.0\\.2\\.15:9001 `),
      );
    });

    test('triage --live finds stalled readers, and no other problem', async () => {
      const ask = async () => triageSchema.parse(await jsonInGuest(guest, 'triage --live'));
      let answer = await ask();
      // The guest mounts no cgroups. A kernel with functions only has no symbols of data.
      const told = notTold(kernel).length > 0 ? /^cgroups: |no symbol / : /^cgroups: /;
      const warnings = () => answer.warnings.filter(({ message }) => !told.test(message));
      for (let tries = 2; warnings().length > 0 && tries > 0; tries--) answer = await ask();
      expect(warnings()).toEqual([]);
      expect(answer.complete).toBe(false);
      const grave = answer.findings.filter(({ severity }) => severity !== 'note');
      const roles = new Set(truth.roles.map(({ pid }) => pid));
      for (const { code, figures } of grave) {
        expect(['stalled-reader', 'queued-data', 'queued-data-of-process']).toContain(code);
        expect(roles).toContain(figures.pid);
      }
      expect(answer.panic?.state).toBe('running');
      // Files of the machine are checked as well as its memory.
      expect(answer.checked).toEqual(expect.arrayContaining(['watermarks', 'slab', 'processes']));
      expect(answer.unread.map(({ check }) => check)).toEqual(['cgroups']);
    });

    test('without root, prints one line and exits with 3', async () => {
      const { status, output } = await guest.run("su -s /bin/sh nobody -c 'kdump-mem skb --pid 1 --fd 0 --live'", {
        mayFail: true,
      });
      expect(output.toString()).toBe(
        'kdump-mem: /proc/kcore: permission denied. Run as root, or as a user with read permission.\n',
      );
      expect(status).toBe(3);
    });

    if (!all) return;

    test('sockets --live reports the figures of each socket’s process', async () => {
      const answer = socketsSchema.parse(await jsonInGuest(guest, 'sockets --live --all'));
      expect(answer.kernel).toEqual({
        release: truth.release,
        arch: kernel.includes('-arm64') ? 'arm64' : 'x86_64',
        pageSize: truth.pageSize,
        source: 'kcore',
        engine: 'native',
      });
      // If the state changed meanwhile, the comparison below would prove nothing.
      expect(quiet(await settledTruth(guest))).toEqual(quiet(truth));
      expect(answer.warnings).toEqual([]);
      expect(answer.totals.complete).toBe(true);
      const roles = truth.roles.filter(({ kind }) => kind === 'socket');
      expect(roles.length).toBeGreaterThan(30);
      for (const one of roles) {
        const ours = answer.sockets.find(({ socket }) => socket.inode === one.socket?.inode);
        expect(ours, one.name).toBeDefined();
        if (!ours) continue;
        expectTruth(one, ours);
        expect(ours.total.complete, one.name).toBe(true);
        const holders = (all: readonly { pid: number; fd: number }[]) =>
          [...new Set(all.map(({ pid, fd }) => `${pid} ${fd}`))].sort();
        expect(holders(ours.holders), one.name).toEqual(holders(one.holders));
      }
    });

    test('log --live prints what dmesg prints', async () => {
      const dmesg = await guest.run('dmesg');
      const { status, output } = await inGuest(guest, 'log --live');
      expect(status).toBe(0);
      const lines = dmesg.output.toString().trimEnd().split('\n');
      expect(lines.length).toBeGreaterThan(100);
      expect(output.toString().split('\n').slice(0, lines.length)).toEqual(lines);
    });

    test('stacks --live matches /proc/PID/stack of sleeping processes', async () => {
      const before = await procStacks(guest);
      const answer = taskStacksSchema.parse(await jsonInGuest(guest, 'stacks --live'));
      const after = await procStacks(guest);
      const ours = new Map(
        answer.stacks.flatMap(({ tasks, frames }) => tasks.map(({ pid }) => [pid, frameNames(frames)])),
      );
      // Processes of the scenario, which wait forever; a kernel thread wakes up now and then.
      const roles = new Set(truth.roles.map(({ pid }) => pid));
      const still = [...before].filter(([pid, lines]) => roles.has(pid) && after.get(pid)?.join() === lines.join());
      expect(still.length).toBeGreaterThan(0.8 * roles.size);
      // The kernel leaves out the scheduler's own functions.
      for (const [pid, lines] of still) expect(ours.get(pid)?.slice(-lines.length), `pid ${pid}`).toEqual(lines);
    });
  });
}

/** The truth without values that timers change; see MemInfo. */
function quiet(truth: Truth): Truth {
  const roles = truth.roles.map(({ socket, ...one }) => {
    if (!socket) return one;
    const meminfo = { ...socket.meminfo, drops: 0, wmemAlloc: 0, fwdAlloc: 0 };
    return { ...one, socket: { ...socket, meminfo } };
  });
  return { ...truth, roles };
}
