import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { textRecords } from '../../../src/log/reader.js';
import { logFindings } from '../../../src/triage/log/log-findings.js';
import { sharedLogs } from '../../support/shared-logs.js';

const LOGS = sharedLogs('oom');

/** Values of a report that a plain search for the kernel's words finds, without kdump-mem code. */
function searched(text: string) {
  const last = (pattern: RegExp) => [...text.matchAll(pattern)].at(-1)?.[1] ?? null;
  return {
    invokedBy: last(/^(?:.*?\] |.*? kernel: )?(\S.{0,14}?) invoked oom-killer/gm),
    pid: last(/Killed process (\d+)/g),
    cgroup: last(/(?:,oom_memcg=|result of limit of )([^, \n]+)/g),
    freeKib: last(/^.*Free swap {1,2}= (\d+)kB/gm),
    slabPages: last(/slab_unreclaimable:(\d+)(?!\d|kB)/g),
    ram: last(/(\d+) pages RAM/g),
    rows: [...text.matchAll(/\[ *\d+\] +\d+ +\d+ +\d+ +\d+ +\d+ +\d+ +-?\d+ \S/g)].length,
  };
}

const ORACLE = fileURLToPath(new URL('oom-oracle.awk', import.meta.url));

/** The same values, found with awk. */
function countedByAwk(text: string): Record<string, string> {
  const output = execFileSync('awk', ['-f', ORACLE], { input: text, encoding: 'utf8' });
  const pairs = output.trim().split('\n');
  return Object.fromEntries(pairs.map((line) => /^(\w+) (.*)$/.exec(line)?.slice(1) ?? []));
}

describe.skipIf(LOGS === undefined)('OOM reports of other machines (skipped without ../shared/logs/oom)', () => {
  test.each((LOGS ?? []).filter(({ text }) => text.includes('invoked oom-killer')))(
    '$name: names the invoking task, the victim, and the use of memory',
    ({ text }) => {
      const truth = searched(text);
      const found = logFindings(textRecords(text), 4096).filter(({ code }) => code === 'oom-kill');
      expect(found).toHaveLength(1);
      const { figures, oom } = found[0] ?? {};
      const number = (value: string | null) => (value === null ? null : Number(value));
      expect(figures).toMatchObject({
        invokedBy: truth.invokedBy,
        pid: number(truth.pid),
        cgroup: truth.cgroup,
        outcome: truth.pid === null ? 'unknown' : 'killed',
        tasks: truth.rows,
      });
      if (truth.freeKib !== null) expect(figures?.swapFreeBytes).toBe(Number(truth.freeKib) * 1024);
      if (truth.slabPages !== null) {
        expect(oom?.pages.slab_unreclaimable).toBe(Number(truth.slabPages));
        const zones = oom?.zones.map(({ freeBytes }) => freeBytes) ?? [];
        const free = (oom?.pages.free ?? 0) * 4096;
        expect(Math.abs(zones.reduce((sum, bytes) => sum + bytes, 0) - free)).toBeLessThan(2 ** 22);
        expect(figures?.managedBytes).toBeLessThan(Number(truth.ram) * 4096);
      }
    },
  );

  test.each((LOGS ?? []).filter(({ text }) => text.includes('invoked oom-killer')))(
    '$name: has the totals that awk counts',
    ({ text }) => {
      const truth = countedByAwk(text);
      const found = logFindings(textRecords(text), 4096).find(({ code }) => code === 'oom-kill');
      const times = (name: string, unit: number) =>
        truth[name] === undefined ? undefined : Number(truth[name]) * unit;
      const figures = { ...found?.figures };
      for (const [name, expected] of [
        ['ramBytes', times('ram', 4096)],
        ['reservedBytes', times('reserved', 4096)],
        ['pageCacheBytes', times('pageCache', 4096)],
        ['swapCacheBytes', times('swapCache', 4096)],
        ['victimRssBytes', times('victimRssKib', 1024)],
        ['tasks', times('rows', 1)],
        ['tasksRssBytes', times('residentPages', 4096)],
      ] as const)
        if (expected !== undefined) expect([name, figures[name]]).toEqual([name, expected]);
      if (truth.swapTotalKib !== undefined)
        expect(figures.swapUsedBytes).toBe(
          (Number(truth.swapTotalKib) - Number(truth.swapFreeKib)) * 1024 - Number(truth.swapCache) * 4096,
        );
      if (figures.invokedByPid !== null) expect(figures.hardware).toBe(truth.hardware);
      const { tasks = [] } = found?.oom ?? {};
      if (tasks.length === Number(truth.rows))
        expect(tasks.reduce((sum, { tgid }) => sum + (tgid ?? 0), 0)).toBe(Number(truth.tgids));
    },
  );

  test('reads the order of failed allocations of EL6', () => {
    const failed = (LOGS ?? []).filter(({ name }) => name.includes('el6'));
    for (const { text } of failed)
      expect(logFindings(textRecords(text), 4096)).toMatchObject([
        { code: 'allocation-failure', figures: { order: 9, gfp: 'GFP_KERNEL' } },
      ]);
  });
});
