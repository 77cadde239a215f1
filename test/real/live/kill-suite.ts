import { beforeAll, describe, expect, test } from 'vitest';
import type { Freed } from '../../../src/account/kill-impact.js';
import { type LabKernel, role } from '../../support/lab.js';
import { type Fate, type KillExperiment, killProcesses, measure } from './kill-experiment.js';

/** Processes are really killed, and what that gives back is held to what the census had said. */
export function describeKills(kernel: LabKernel): void {
  describe(`processes of ${kernel} are killed`, () => {
    let experiment: KillExperiment;

    beforeAll(async () => {
      experiment = await killProcesses(kernel);
    }, 1_200_000);

    const told = (pid: number): Freed & { readonly high: number } => {
      const groups = experiment.answer.processes;
      const found = groups.find(({ key }) => key.startsWith(`${pid} `))?.freedIfKilled;
      // A ring's process has no socket of its own at a descriptor.
      if (!found) throw new Error(`the census has no process ${pid}`);
      const { high } = found;
      if (high === null) throw new Error(`the census is not complete for process ${pid}`);
      return { ...found, high };
    };
    const pidOf = (name: string) => role(experiment.truth, name).pid;
    const finallyOf = (pid: number) => experiment.fates([pid], experiment.all);

    test('what goes back lies between the bounds, for each of them', () => {
      const starving = pidOf('starving');
      expect(experiment.victims.length).toBeGreaterThan(25);
      for (const pid of experiment.victims) {
        const after = pid === starving ? experiment.starving : experiment.all;
        const { bytes, unknown } = measure(experiment.fates([pid], after));
        const { low, high } = told(pid);
        const words = `pid ${pid}: ${bytes} bytes freed (${unknown} not known), of ${low} to ${high}`;
        expect.soft(bytes + unknown, words).toBeGreaterThanOrEqual(low);
        expect.soft(bytes, words).toBeLessThanOrEqual(high);
        // Empty heads have nothing to know them by.
        expect.soft(unknown, words).toBeLessThanOrEqual(Math.max(4096, high * 0.05));
      }
    });

    test('the bounds of the plain starving reader are tight', () => {
      const { low, high, keptByPools } = told(pidOf('starving'));
      expect(high).toBeGreaterThan(100_000);
      expect(low).toBeGreaterThanOrEqual(high * 0.95);
      if (kernel !== 'newest') expect(keptByPools).toEqual({ low: 0, high: 0 });
      // Killed alone.
      const { bytes } = measure(experiment.fates([pidOf('starving')], experiment.starving));
      expect(bytes).toBeGreaterThanOrEqual(low);
      expect(bytes).toBeLessThanOrEqual(high);
      expect(bytes).toBeGreaterThanOrEqual(high * 0.95);
    });

    test.each(['starving', 'starving-large', 'udp-fed'])(
      'what the page pool has room for it keeps, and the rest of %s goes back',
      (name) => {
        const { low, high, keptByPools } = told(pidOf(name));
        const after = name === 'starving' ? experiment.starving : experiment.all;
        const { bytes, pooled, unknown } = measure(experiment.fates([pidOf(name)], after));
        const { total } = experiment.answer.processes.find(
          ({ key }) => Number.parseInt(key, 10) === pidOf(name),
        ) ?? { total: undefined };
        const most = total?.pinnedBytes ?? 0;
        const words = `${name}: ${bytes} bytes freed, ${pooled} in the pool, of ${most}: told ${JSON.stringify(told(pidOf(name)))}`;
        if (kernel === 'newest' && name !== 'starving')
          expect(pooled, words).toBeGreaterThan(50_000);
        // 6.1 and older: a buffer's page may have the driver's next buffers in it.
        if (kernel === 'newest') expect(high - low, words).toBeLessThanOrEqual(most * 0.1);
        expect(bytes + unknown, words).toBeGreaterThanOrEqual(low);
        expect(bytes, words).toBeLessThanOrEqual(high);
        expect(pooled + unknown, words).toBeGreaterThanOrEqual(keptByPools.low);
        expect(pooled, words).toBeLessThanOrEqual(keptByPools.high ?? Number.NaN);
      },
    );

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
      expect(told(pidOf('forked'))).toMatchObject({ low: 0, high: 0, toPools: 0 });
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

    const ends = (name: string) => {
      const found = experiment.ends.find((one) => one.name === name);
      if (!found) throw new Error(`there are no ends ${name}`);
      const { victim, other } = found;
      const of = (...pids: number[]) => experiment.fates(pids, experiment.all);
      return {
        ...told(victim),
        /** What went back at both ends, and at each. */
        both: measure(of(victim, other)),
        own: measure(of(victim)),
        others: measure(of(other)),
        otherFates: [...of(other).values()],
      };
    };

    /** Of TCP the writer's process keeps the last page, of order 3, to cut more fragments from it. */
    const mostOfWriter = (name: string) =>
      name.startsWith('tcp') ? 8 * experiment.truth.pageSize : 0;

    test('what one end of a connection gives back lies between the bounds, with what goes at the other', () => {
      expect(experiment.ends).toHaveLength(9);
      for (const { name } of experiment.ends) {
        const { low, high, both } = ends(name);
        const words = `${name}: ${both.bytes} bytes freed (${both.unknown} not known), of ${low} to ${high}`;
        expect.soft(both.bytes + both.unknown, words).toBeGreaterThanOrEqual(low);
        expect.soft(both.bytes, words).toBeLessThanOrEqual(high);
      }
    });

    test.each(['tcp-reader', 'stream-reader', 'dgram-reader'])(
      'what waits for the reader (%s) goes with it',
      (name) => {
        const { low, high, own } = ends(name);
        expect(own.bytes).toBeGreaterThan(8000);
        expect(high - low).toBeLessThanOrEqual(mostOfWriter(name));
      },
    );

    test.each(['tcp-writer', 'stream-writer', 'dgram-writer'])(
      'what was written (%s) stays for the reader',
      (name) => {
        const { low, high, otherFates } = ends(name);
        expect([low, high]).toEqual([0, 0]);
        expect(otherFates.some(({ kept }) => kept)).toBe(true);
        for (const { freed } of otherFates) expect(freed).not.toBe(true);
      },
    );

    test('a reader that goes with unread data takes what its peer has still to send', () => {
      const { low, high, own, others } = ends('stuffed-reader');
      expect(own.bytes).toBeGreaterThan(50_000);
      expect(others.bytes).toBeGreaterThan(500_000);
      // The peer is another process's: not for sure.
      expect(low).toBeLessThan(high - 500_000);
    });

    test('a writer that goes leaves what it has still to send, and what its peer has not read', () => {
      const { low, high, own, others } = ends('stuffed-writer');
      expect(low).toBeLessThan(10_000);
      expect(high).toBeGreaterThan(500_000);
      expect(own.bytes).toBeLessThan(10_000);
      expect(others.bytes).toBe(0);
    });

    test('a process whose main thread has ended is named as drgn names it, and gives back all', () => {
      const { victim } = experiment.ends.find(({ name }) => name === 'leaderless') ?? {};
      const mine = experiment.answer.sockets.filter(({ holders }) =>
        holders.some(({ pid }) => pid === victim),
      );
      expect(mine.flatMap(({ holders }) => holders)).toEqual([
        expect.objectContaining({ pid: victim, comm: 'leaderless' }),
      ]);
      // drgn's list of what that pid holds.
      const { low, high, own } = ends('leaderless');
      expect(own.bytes).toBeGreaterThan(30_000);
      expect(high - low).toBeLessThanOrEqual(mostOfWriter('tcp'));
    });
  });
}
