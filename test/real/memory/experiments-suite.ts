import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LabKernel } from '../../support/lab.js';
import { ExperimentGuest, type Look } from './experiment-guest.js';
import { EXPERIMENTS, type Experiment, NOTHING, PART } from './experiments.js';

/**
 * Changes between two samples for any program: the shell that runs commands (its page tables, stack
 * and pages), arrays of pointers to the allocations, the kernel's page tables for them, and slabs,
 * which caches allocate 32 KiB at a time.
 */
const NOISE = 128 * 1024;

/** Unattributed blocks of each order beyond those before. */
function blocksMoved(before: Look, now: Look): ReadonlyMap<number, number> {
  const had = new Map(before.answer.unattributed?.sizes.map(({ order, blocks }) => [order, blocks]));
  return new Map(now.answer.unattributed?.sizes.map(({ order, blocks }) => [order, blocks - (had.get(order) ?? 0)]));
}

/** Programs allocate memory in a guest, one after the other, and keep it. */
export function experimentsSuite(kernel: LabKernel, names?: readonly string[]): void {
  describe(`memory allocated in one category of ${kernel}`, () => {
    let guest: ExperimentGuest;
    let before: Look;
    let control: ReadonlyMap<string, number>;

    /** Change of each category, except the free ones, which shrink by what others gain. */
    const moved = (now: Look): Map<string, number> =>
      new Map(
        [...now.categories]
          .filter(([category]) => !category.startsWith('free-'))
          .map(([category, bytes]) => [category, bytes - (before.categories.get(category) ?? 0)]),
      );

    const run = async ({ command }: Experiment) => {
      const allocatedBytes = await guest.take(command);
      const now = await guest.look();
      const by = moved(now);
      const blocks = blocksMoved(before, now);
      const counters = { slabs: now.slabs - before.slabs, vmalloc: now.vmalloc - before.vmalloc };
      const memory = before.answer.memory.bytes;
      const { callers } = now.answer;
      before = now;
      expect(now.answer.warnings).toEqual([]);
      expect(now.answer.complete).toBe(true);
      expect(now.answer.memory.bytes).toBe(memory);
      return { allocatedBytes, by, blocks, counters, callers };
    };

    beforeAll(async () => {
      guest = await ExperimentGuest.boot(kernel);
      // The second run finds its program's pages in memory.
      await guest.take(NOTHING.command);
      before = await guest.look();
      control = (await run(NOTHING)).by;
    });

    afterAll(() => guest?.end());

    const wanted = EXPERIMENTS.filter(({ name }) => names?.includes(name) ?? true);
    const had = wanted.filter(({ lacks }) => !lacks?.includes(kernel));
    test.each(had)('$name', async (experiment) => {
      const { allocatedBytes, by, blocks, counters, callers } = await run(experiment);
      const category = typeof experiment.category === 'string' ? experiment.category : experiment.category(kernel);
      const rows = [...by].map(([name, bytes]) => [name, bytes - (control.get(name) ?? 0)] as const);
      const words = rows.flatMap((row) => (row[1] === 0 ? [] : row.join(' ')));
      console.info(`${kernel} | ${experiment.name} | ${category} | ${allocatedBytes} | ${words.join(', ')}`);
      expect(allocatedBytes).toBeGreaterThan(2 ** 24 - 1);
      for (const [name, bytes] of rows) {
        const also = experiment.also?.[name];
        const [low, high] = name === category ? [allocatedBytes, allocatedBytes] : (also ?? [0, 0]);
        const most = PART * allocatedBytes + (name === category || also ? 0 : NOISE);
        expect.soft(bytes, name).toBeGreaterThanOrEqual(low - most);
        expect.soft(bytes, name).toBeLessThanOrEqual(high + most);
      }
      for (const [order, count] of Object.entries(experiment.blocks ?? {})) {
        const off = Math.abs((blocks.get(Number(order)) ?? 0) - count);
        expect.soft(off, `blocks of order ${order}`).toBeLessThanOrEqual(PART * count);
      }
      if (experiment.caller) {
        const named = callers.filter(({ caller }) => experiment.caller?.test(caller));
        expect(new Set(named.map(({ category }) => category))).toEqual(new Set(['vmalloc']));
        expect(named.reduce((all, { bytes }) => all + bytes, 0)).toBe(allocatedBytes);
      }
      const near = PART * allocatedBytes + NOISE;
      const sum = (...of: string[]) => of.reduce((all, name) => all + (by.get(name) ?? 0), 0);
      if (experiment.slabs) {
        const slabs = sum('slab-reclaimable', 'slab-unreclaimable');
        expect.soft(Math.abs(slabs - counters.slabs), 'slabinfo').toBeLessThanOrEqual(near);
      }
      if (experiment.vmalloc) {
        const areas = sum('vmalloc', 'modules', 'bpf', 'kernel-stacks');
        expect.soft(Math.abs(areas - counters.vmalloc), 'vmallocinfo').toBeLessThanOrEqual(near);
      }
    });
  });
}
