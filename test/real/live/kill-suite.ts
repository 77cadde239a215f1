import { beforeAll, describe, expect, test } from 'vitest';
import type { Freed } from '../../../src/contracts/sockets.js';
import { type LabKernel, role } from '../../support/lab.js';
import { type Fate, type KillExperiment, killProcesses, measure } from './kill-experiment.js';

/** Kills processes, and compares the freed memory with the census. */
export function describeKills(kernel: LabKernel): void {
  describe(`processes of ${kernel} are killed`, () => {
    let experiment: KillExperiment;

    beforeAll(async () => {
      experiment = await killProcesses(kernel);
    });

    const boundsOf = (pid: number): Freed & { readonly high: number } => {
      const groups = experiment.answer.processes;
      const found = groups.find(({ key }) => key.startsWith(`${pid} `))?.freedIfKilled;
      // The process of a ring has no socket at a descriptor.
      if (!found) throw new Error(`the census has no process ${pid}`);
      const { high } = found;
      if (high === null) throw new Error(`the census is not complete for process ${pid}`);
      return { ...found, high };
    };
    const pidOf = (name: string) => role(experiment.truth, name).pid;
    const finallyOf = (pid: number) => experiment.fates([pid], experiment.all);

    test('freed memory is between the bounds, for each process', () => {
      const starving = pidOf('starving');
      expect(experiment.victims.length).toBeGreaterThan(25);
      for (const pid of experiment.victims) {
        const after = pid === starving ? experiment.starving : experiment.all;
        const { bytes, unknown } = measure(experiment.fates([pid], after));
        const { low, high } = boundsOf(pid);
        const words = `pid ${pid}: ${bytes} bytes freed (${unknown} not known), of ${low} to ${high}`;
        expect.soft(bytes + unknown, words).toBeGreaterThanOrEqual(low);
        expect.soft(bytes, words).toBeLessThanOrEqual(high);
        // Empty heads cannot be recognized.
        expect.soft(unknown, words).toBeLessThanOrEqual(Math.max(4096, high * 0.05));
      }
    });

    test('the bounds of a plain stalled reader are tight', () => {
      const { low, high, keptByPools } = boundsOf(pidOf('starving'));
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
      'the page pool keeps what it has room for, and the remainder of %s is freed',
      (name) => {
        const { low, high, keptByPools } = boundsOf(pidOf(name));
        const after = name === 'starving' ? experiment.starving : experiment.all;
        const { bytes, pooled, unknown } = measure(experiment.fates([pidOf(name)], after));
        const { total } = experiment.answer.processes.find(({ key }) => Number.parseInt(key, 10) === pidOf(name)) ?? {
          total: undefined,
        };
        const most = total?.pinnedBytes ?? 0;
        const words = `${name}: ${bytes} bytes freed, ${pooled} in the pool, of ${most}: told ${JSON.stringify(boundsOf(pidOf(name)))}`;
        if (kernel === 'newest' && name !== 'starving') expect(pooled, words).toBeGreaterThan(50_000);
        // 6.1 and older: a buffer's page may contain the driver's next buffers.
        if (kernel === 'newest') expect(high - low, words).toBeLessThanOrEqual(most * 0.1);
        expect(bytes + unknown, words).toBeGreaterThanOrEqual(low);
        expect(bytes, words).toBeLessThanOrEqual(high);
        expect(pooled + unknown, words).toBeGreaterThanOrEqual(keptByPools.low);
        expect(pooled, words).toBeLessThanOrEqual(keptByPools.high ?? Number.NaN);
      },
    );

    test('the allocator’s free lists contain most of the freed pages, and none of the kept ones', () => {
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

    test('nothing is freed while another process has the socket open, and all with the last duplicate', () => {
      expect(boundsOf(pidOf('forked'))).toMatchObject({ low: 0, high: 0, toPools: 0 });
      const forked = [...finallyOf(pidOf('forked')).values()];
      expect(forked.length).toBeGreaterThan(0);
      for (const { freed } of forked) expect(freed).not.toBe(true);
      const duplicated = [...finallyOf(pidOf('duplicated')).values()];
      expect(duplicated.length).toBeGreaterThan(0);
      for (const { kept } of duplicated) expect(kept).not.toBe(true);
    });

    test('memory that a process holds without a descriptor is freed too: in messages, nested, in a ring', () => {
      for (const { pid, name, bytes, how } of experiment.truth.hidden) {
        if (how === 'orphan') continue;
        const measured = measure(finallyOf(pid));
        expect(measured.bytes, name).toBeGreaterThanOrEqual(bytes ?? 0);
        expect(boundsOf(pid).high, name).toBeGreaterThanOrEqual(bytes ?? 0);
      }
    });

    test('sent data without acknowledgement stays after its process exits', () => {
      const { low, high } = boundsOf(pidOf('unacknowledged'));
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
        ...boundsOf(victim),
        /** Freed bytes at both ends, and at each. */
        both: measure(of(victim, other)),
        own: measure(of(victim)),
        others: measure(of(other)),
        otherFates: [...of(other).values()],
      };
    };

    /** For TCP the writer's process keeps its last fragment page, of order 3, for more fragments. */
    const mostOfWriter = (name: string) => (name.startsWith('tcp') ? 8 * experiment.truth.pageSize : 0);

    test('freed memory of one end of a connection is between the bounds, with effects on the peer', () => {
      expect(experiment.ends).toHaveLength(9);
      for (const { name } of experiment.ends) {
        const { low, high, both } = ends(name);
        const words = `${name}: ${both.bytes} bytes freed (${both.unknown} not known), of ${low} to ${high}`;
        expect.soft(both.bytes + both.unknown, words).toBeGreaterThanOrEqual(low);
        expect.soft(both.bytes, words).toBeLessThanOrEqual(high);
      }
    });

    test.each(['tcp-reader', 'stream-reader', 'dgram-reader'])(
      'data queued for the reader (%s) is freed with it',
      (name) => {
        const { low, high, own } = ends(name);
        expect(own.bytes).toBeGreaterThan(8000);
        expect(high - low).toBeLessThanOrEqual(mostOfWriter(name));
      },
    );

    test.each(['tcp-writer', 'stream-writer', 'dgram-writer'])('written data (%s) stays for the reader', (name) => {
      const { low, high, otherFates } = ends(name);
      expect([low, high]).toEqual([0, 0]);
      expect(otherFates.some(({ kept }) => kept)).toBe(true);
      for (const { freed } of otherFates) expect(freed).not.toBe(true);
    });

    test('killing a reader with unread data also frees what its peer has still to send', () => {
      const { low, high, own, others } = ends('stuffed-reader');
      expect(own.bytes).toBeGreaterThan(50_000);
      expect(others.bytes).toBeGreaterThan(500_000);
      // The peer belongs to another process: not certain.
      expect(low).toBeLessThan(high - 500_000);
    });

    test('killing a writer keeps its unsent data, and data that its peer has not read', () => {
      const { low, high, own, others } = ends('stuffed-writer');
      expect(low).toBeLessThan(10_000);
      expect(high).toBeGreaterThan(500_000);
      expect(own.bytes).toBeLessThan(10_000);
      expect(others.bytes).toBe(0);
    });

    test('a process without its main thread has drgn’s name, and frees all', () => {
      const { victim } = experiment.ends.find(({ name }) => name === 'leaderless') ?? {};
      const mine = experiment.answer.sockets.filter(({ holders }) => holders.some(({ pid }) => pid === victim));
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
