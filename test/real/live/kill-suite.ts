import { beforeAll, describe, expect, test } from 'vitest';
import type { Freed } from '../../../src/account/deaths.js';
import { type LabKernel, role } from '../../support/lab.js';
import { type Fate, type KillExperiment, killProcesses, measure } from './kill-experiment.js';

/** Processes are really killed, and what that gives back is held to what the census had said. */
export function describeKills(kernel: LabKernel): void {
  describe(`processes of ${kernel} are killed`, () => {
    let experiment: KillExperiment;

    beforeAll(async () => {
      experiment = await killProcesses(kernel);
    }, 400_000);

    const told = (pid: number): Freed & { readonly high: number } => {
      const groups = experiment.answer.groups.process ?? [];
      const found = groups.find(({ key }) => key.startsWith(`${pid} `))?.freedIfKilled;
      // A ring's process has no socket of its own at a descriptor.
      if (!found) throw new Error(`the census has no process ${pid}`);
      const { high } = found;
      if (high === null) throw new Error(`the census is not complete for process ${pid}`);
      return { ...found, high };
    };
    const pidOf = (name: string) => role(experiment.truth, name).pid;
    const finallyOf = (pid: number) => experiment.fates(pid, experiment.all);

    test('what goes back lies between the bounds, for each of them', () => {
      const starving = pidOf('starving');
      expect(experiment.victims.length).toBeGreaterThan(25);
      for (const pid of experiment.victims) {
        const after = pid === starving ? experiment.starving : experiment.all;
        const { bytes, unknown } = measure(experiment.fates(pid, after));
        const { low, high } = told(pid);
        const words = `pid ${pid}: ${bytes} bytes freed (${unknown} not known), of ${low} to ${high}`;
        expect.soft(bytes + unknown, words).toBeGreaterThanOrEqual(low);
        expect.soft(bytes, words).toBeLessThanOrEqual(high);
        // Empty heads have nothing to know them by.
        expect.soft(unknown, words).toBeLessThanOrEqual(Math.max(4096, high * 0.05));
      }
    });

    test('the bounds of the plain starving reader are tight, but for what a page pool may keep', () => {
      const { low, high, toPools } = told(pidOf('starving'));
      expect(high).toBeGreaterThan(100_000);
      expect(low + toPools).toBeLessThanOrEqual(high);
      expect(low + toPools).toBeGreaterThanOrEqual(high * 0.95);
      if (kernel !== 'newest') expect(toPools).toBe(0);
      // Killed alone. The pool takes back what is its own, unless it has enough.
      const { bytes, pooled } = measure(experiment.fates(pidOf('starving'), experiment.starving));
      expect(bytes).toBeGreaterThanOrEqual(low);
      expect(bytes + pooled).toBeLessThanOrEqual(high);
      expect(bytes + pooled).toBeGreaterThanOrEqual(high * 0.95);
    });

    test('the allocator’s free lists agree: most of what was freed is there, nothing that was kept', () => {
      const frames = { freed: 0, free: 0 };
      const fates: Fate[] = experiment.victims.flatMap((pid) => [...finallyOf(pid).values()]);
      for (const { kept, freed, bytes, freeFrames } of fates) {
        if (freeFrames === undefined) continue;
        if (kept) expect(freeFrames).toBe(0);
        if (!freed) continue;
        frames.freed += bytes / experiment.truth.pageSize;
        frames.free += freeFrames;
      }
      expect(frames.freed).toBeGreaterThan(500);
      expect(frames.free).toBeGreaterThan(frames.freed / 2);
      const gained = experiment.all.freeFrames - experiment.freeFrames;
      expect(gained).toBeGreaterThan(frames.freed / 2);
    });

    test('nothing goes back while another process has the socket open, all with the last duplicate', () => {
      expect(told(pidOf('forked'))).toEqual({ low: 0, high: 0, toPools: 0 });
      const forked = [...finallyOf(pidOf('forked')).values()];
      expect(forked.length).toBeGreaterThan(0);
      for (const { freed } of forked) expect(freed).not.toBe(true);
      const duplicated = [...finallyOf(pidOf('duplicated')).values()];
      expect(duplicated.length).toBeGreaterThan(0);
      for (const { kept } of duplicated) expect(kept).not.toBe(true);
    });

    test('what a process keeps without having it open goes with it: in messages, nested, in a ring', () => {
      for (const { pid, name, bytes, how } of experiment.truth.hidden) {
        if (how === 'orphan') continue;
        const measured = measure(finallyOf(pid));
        expect(measured.bytes, name).toBeGreaterThanOrEqual(bytes ?? 0);
        expect(told(pid).high, name).toBeGreaterThanOrEqual(bytes ?? 0);
      }
    });

    test('what is sent and never acknowledged stays when its process has gone', () => {
      const { low, high } = told(pidOf('unacknowledged'));
      expect(low).toBeLessThan(high);
      const kept = [...finallyOf(pidOf('unacknowledged')).values()].filter((fate) => fate.kept);
      expect(kept.length).toBeGreaterThan(0);
    });
  });
}
