import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LeaksAnswer, leaksSchema } from '../../../src/contracts/leaks.js';
import type { LabKernel } from '../../support/lab.js';
import { KINDS, type Kind, LeakGuest, type Rates, TRACEFS } from './leak-guest.js';
import { kindOf } from './leaks-suite.js';

const SECONDS = 24;
const PAGE = 4096;

/** `alloc_pages_bulk` exists from 5.13 on, and fires no events. */
const hasBulk = (kernel: LabKernel) => kernel !== '5.10';

type Site = LeaksAnswer['sites'][number];

const sitesOf = ({ sites }: LeaksAnswer, kind: Kind): Site[] => sites.filter((site) => kindOf(site) === kind);

/**
 * Reported bytes of one of the module's functions. The allocator allocates objects of another size
 * on its behalf (sheaves).
 */
const bytesOf = (answer: LeaksAnswer, kind: Kind, each: number): number =>
  sitesOf(answer, kind)
    .filter(({ bytes, blocks }) => bytes === (blocks ?? 0) * each)
    .reduce((sum, { bytes }) => sum + bytes, 0);

/** Sizes that the module allocates. */
const BYTES = { leak_object: 1024, keep_object: 512, ring_object: 512, ring_rcu: 512 } as const;

const leaking = ({ sites }: LeaksAnswer) =>
  sites
    .filter(({ verdict }) => verdict === 'leaking')
    .map((site) => [kindOf(site) ?? site.frames.map(({ symbol }) => symbol), site.reason]);

const warned = ({ warnings }: LeaksAnswer, code: string) => warnings.find((warning) => warning.code === code);

/** A module leaks objects, areas and bulk pages, each next to others that it does not leak. */
export function describeKinds(kernel: LabKernel): void {
  describe(`${kernel}: objects, areas, bulk and page pools`, () => {
    let guest: LeakGuest;

    beforeAll(async () => {
      guest = await LeakGuest.boot(kernel);
      await guest.mount();
      // As in leaks-suite.ts: khugepaged frees pages that match no allocation.
      await guest.guest.run('echo never > /sys/kernel/mm/transparent_hugepage/enabled');
      await guest.leaks({});
    });
    afterAll(() => guest?.end());

    /** The report, and the growth of what the module holds. A load starts with the recording. */
    async function traced(rates: Rates, options: string, seconds: number, loaded: boolean) {
      await guest.unloaded();
      await guest.rates(rates);
      const before = await guest.truth();
      const { answer, truth } = await guest.traced(
        `${options} --windows 6`,
        seconds,
        async () => loaded && guest.load(seconds + 20),
      );
      const growths = KINDS.map((kind) => [kind, truth[kind].bytes - before[kind].bytes] as const);
      const grown = Object.fromEntries(growths) as Record<Kind, number>;
      const reportedGrowths = answer.sites.flatMap((site) => {
        const kind = kindOf(site);
        return kind ? [`${kind} ${site.verdict} ${site.bytes}, truly ${grown[kind]}`] : [];
      });
      console.log(kernel, options, reportedGrowths.join('; '));
      return { answer, grown };
    }

    test('objects, all followed: held memory is exact to the byte, and only the leak is reported', async () => {
      const { answer, grown } = await traced(
        { leak_object: 40, keep_object: 60, ring_object: 40, ring_rcu: 40 },
        '--type slab --sample 1/1',
        SECONDS,
        true,
      );
      expect(leaking(answer)).toEqual([['leak_object', 'unreferenced']]);
      expect(answer.sites.findIndex((site) => kindOf(site) === 'leak_object')).toBe(0);
      for (const kind of ['leak_object', 'keep_object', 'ring_object'] as const)
        expect([kind, bytesOf(answer, kind, BYTES[kind])]).toEqual([kind, grown[kind]]);
      // A bulk free by kfree_rcu fires no event: the object is looked up, or reallocated.
      expect(bytesOf(answer, 'ring_rcu', BYTES.ring_rcu)).toBeGreaterThanOrEqual(grown.ring_rcu);
      expect(bytesOf(answer, 'ring_rcu', BYTES.ring_rcu)).toBeLessThanOrEqual(2 * grown.ring_rcu);
      expect(answer.losses).toMatchObject({ overrun: 0, dropped: 0 });
      expect(answer.tracing).toMatchObject({ settingsChanged: [], unmatchedEvents: 0 });
    });

    test('objects on one page in 4: held memory is within the interval', async () => {
      const seconds = 40;
      const { answer, grown } = await traced(
        { leak_object: 40, ring_object: 40 },
        '--type slab --sample 1/4',
        seconds,
        true,
      );
      expect(leaking(answer)).toEqual([['leak_object', 'unreferenced']]);
      const [site] = sitesOf(answer, 'leak_object');
      const { bytes = 0, lowBytes = 0, highBytes = 0 } = site ?? {};
      // One in twenty is outside of 95 %; outside of twice that width, less than one in a
      // thousand.
      const spread = 2 * Math.max(bytes - lowBytes, highBytes - bytes);
      expect(Math.abs(grown.leak_object - bytes)).toBeLessThanOrEqual(spread);
    });

    test.each([1, 0])(
      'areas: earlier and new areas match what the module holds (kptr_restrict %i)',
      async (kptrRestrict) => {
        // With 0 the kernel prints hashes instead of addresses, and its own list is read.
        await guest.guest.run(`echo ${kptrRestrict} > /proc/sys/kernel/kptr_restrict`);
        await guest.rates({ leak_area: 20, ring_area: 20 });
        // A busy machine starts slowly; Ctrl-C ends the recording with the data so far.
        const seconds = 2 * SECONDS;
        await guest.load(seconds);
        await guest.go();
        await guest.guest.run(
          `kdump-mem leaks --type vmalloc --interval 120 --windows 40 --json > /tmp/areas &
           sleep ${seconds}; echo 1 > /sys/module/leak/parameters/paused; usleep 300000
           kill -INT $!; wait $!`,
        );
        const { output } = await guest.guest.run('cat /tmp/areas');
        const answer = leaksSchema.parse(JSON.parse(output.toString()));
        expect(answer.method).toBe('vmallocinfo');
        expect(leaking(answer)).toEqual([['leak_area', 'unreferenced']]);
        const [{ bytes, beforeBytes } = { bytes: 0, beforeBytes: 0 }] = sitesOf(answer, 'leak_area');
        expect(bytes).toBeGreaterThan(0);
        expect(bytes + (beforeBytes ?? 0)).toBe((await guest.truth()).leak_area.bytes);
      },
    );

    test('bulk pages: follows those of a page pool, and counts the others as unseen', async () => {
      const { answer, grown } = await traced({ leak_bulk: 40, leak_pool: 100 }, '--sample 1/1', SECONDS, false);
      expect(grown.leak_pool).toBeGreaterThan(0);
      expect(bytesOf(answer, 'leak_pool', PAGE)).toBe(grown.leak_pool);
      const inBulk = grown.leak_bulk / PAGE;
      const { allocated = 0, traced: seen = 0 } = answer.unseen ?? {};
      const unseen = allocated - seen;
      console.log(kernel, { inBulk, unseen }, warned(answer, 'unseen')?.message);
      // Pages of a pool have its mark from 5.14 on (page.pp_magic): on older kernels nothing
      // refers to them.
      const where = hasBulk(kernel) ? 'queued' : 'unreferenced';
      expect(leaking(answer)).toEqual([['leak_pool', where]]);
      expect(sitesOf(answer, 'leak_bulk')).toEqual([]);
      if (!hasBulk(kernel)) {
        expect(inBulk).toBe(0);
        return;
      }
      expect(inBulk).toBeGreaterThan(1000);
      // Process stacks are bulk allocations too.
      expect(unseen).toBeGreaterThanOrEqual(inBulk);
      expect(unseen).toBeLessThan(1.2 * inBulk);
      expect(warned(answer, 'unseen')).toMatchObject({ count: unseen });
      expect(answer.complete).toBe(false);
    });

    test('disabling events ends the recording; another reader of the buffers is reported', async () => {
      await guest.rates({ ring_object: 40 });
      await guest.go();
      await guest.start('--type slab --interval 10m --windows 200 --sample 1/1 --json');
      const buffers = `cat ${TRACEFS}/instances/kdump-mem-*/buffer_total_size_kb`;
      const { output } = await guest.guest.run(buffers);
      const kilobytes = output.toString().match(/^\d+/gm)?.map(Number) ?? [];
      expect(kilobytes).toHaveLength(2);
      expect(kilobytes[0]! + kilobytes[1]!).toBeLessThanOrEqual(64 * 1024);
      const frees = `${TRACEFS}/instances/*-frees`;
      await guest.guest.run(`sleep 8; for i in ${frees}; do echo 0 > $i/events/enable; done`);
      const off = await answered();
      expect(warned(off, 'settings-changed')?.message).toMatch(/-frees\/events\/kmem\/kfree\/enable/);
      expect(off.complete).toBe(false);
      expect(off.seconds).toBeLessThan(120);

      await guest.start('--type slab --interval 16 --windows 4 --sample 1/1 --json');
      await guest.guest.run(
        `sleep 4; cat ${TRACEFS}/instances/*-allocations/trace_pipe > /dev/null 2>&1 & sleep 3; kill $!`,
      );
      const read = await answered();
      expect(read.tracing?.unmatchedEvents).toBeGreaterThan(0);
      expect(warned(read, 'events-unmatched')?.count).toBe(read.tracing?.unmatchedEvents);
      expect(read.complete).toBe(false);
      expect(await guest.instances()).toEqual([]);
    });

    async function answered(): Promise<LeaksAnswer> {
      const { status, stdout, stderr } = await guest.finish();
      if (status !== 0) throw new Error(`status ${status}: ${stderr}`);
      return leaksSchema.parse(JSON.parse(stdout));
    }
  });
}
