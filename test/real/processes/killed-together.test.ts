import { afterAll, describe, expect, test } from 'vitest';
import { surveyProcesses } from '../../../src/account/processes/kernel.js';
import { accountAll } from '../../../src/account/sockets.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { KERNELS, labDump } from '../../support/lab.js';

describe.each([...KERNELS, '6.12-arm64-16k'] as const)(
  'memory freed by killing a group, from a dump: %s',
  (version) => {
    const kernel = openNative({ files: [labDump(version).elf] });
    afterAll(() => kernel.close());
    const { answer, spaces, killedTogether } = surveyProcesses(kernel, () => {});
    const { processes } = answer;
    const { pageSize } = kernel.facts;
    const tables = (members: typeof processes) =>
      members.reduce((sum, { pageTableBytes: pageTables }) => sum + (pageTables ?? Number.NaN), 0);

    /** Number of frames that only these processes map, by an independent walk. */
    const framesOf = (members: typeof processes): number => {
      const [inside, outside] = [new Set<number>(), new Set<number>()];
      for (const [at, space] of spaces.entries()) {
        const frames = members.includes(processes[at]!) ? inside : outside;
        kernel.userPages?.(space.pgd, {
          page: (_page, pages, frame) => {
            for (let more = 0; more < pages; more++) frames.add(frame + more);
          },
          special: () => {},
          table: () => {},
          absent: () => {},
          missing: () => {},
        });
      }
      return [...inside].filter((frame) => !outside.has(frame)).length;
    };

    test('pages that only they map, once each, and their sockets', () => {
      const [first, second, ...others] = processes;
      const groups = [[first!, second!], others];
      for (const [at, { least, most }] of killedTogether(groups).entries()) {
        const members = groups[at]!;
        const pids = new Set(members.map(({ pid }) => pid));
        const census = accountAll(kernel, { killedWith: (pid) => (pids.has(pid) ? -1 : pid) });
        const sockets = census.processes.find(({ pid }) => pid !== null && pids.has(pid));
        const high = sockets?.freedIfKilled?.high ?? 0;
        expect(most).toBe(framesOf(members) * pageSize + tables(members) + high);
        const alone = members.reduce((sum, { freedIfKilledBytes: freed }) => sum + (freed ?? Number.NaN), 0);
        expect(least).toBeGreaterThanOrEqual(alone);
        expect(least).toBeLessThanOrEqual(most ?? 0);
        // Programs of one file share its pages.
        if (members === others) expect(least).toBeGreaterThan(alone);
      }
    });

    test('for all processes, every mapped page', () => {
      const { anonymous, swapCache, pageCache, shared, otherMappedBytes: otherMapped } = answer.pages!;
      const mapped =
        anonymous.mappedBytes + swapCache.mappedBytes + pageCache.mappedBytes + shared.mappedBytes + otherMapped;
      const [bounds] = killedTogether([processes]);
      expect(bounds?.most).toBeGreaterThanOrEqual(mapped + tables(processes));
      expect(bounds?.least).toBeGreaterThanOrEqual(anonymous.mappedBytes + pageCache.mappedBytes + tables(processes));
    });
  },
);
