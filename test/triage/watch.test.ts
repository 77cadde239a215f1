import { describe, expect, test, vi } from 'vitest';
import { triageWatchBlock, triageWatchPage } from '../../src/answers/triage/watch.js';
import { watchTriage } from '../../src/app/triage/watch.js';
import type { HostTriage } from '../../src/triage/answer.js';
import { type Finding, failOn } from '../../src/triage/finding.js';
import { TriageSamples } from '../../src/triage/watch.js';

const at = (second: number) => new Date(Date.UTC(2026, 0, 2, 3, 4, second));

const answer = (...findings: Finding[]): HostTriage => ({
  host: { host: 'web-7', takenAt: at(0).toISOString(), isCaptured: false, release: '6.1.0', uptimeSeconds: undefined },
  findings,
  lost: { overwritten: 0, noRoom: null },
  memory: undefined,
  checked: ['log'],
  unread: [],
  failed: [],
  warnings: [],
  complete: true,
});

const oomKills = (cgroup: string, kills: number): Finding => ({
  code: 'oom-kills',
  severity: 'note',
  figures: { cgroup, kills },
  evidence: [],
});

const pressure = (fullAvg10: number): Finding => ({
  code: 'memory-pressure',
  severity: 'warning',
  figures: { fullAvg10, someAvg10: 9, fullAvg60: 8, someAvg60: 9 },
  evidence: [],
});

test('keeps a finding whose figures change, and reports another subject as new', () => {
  const samples = new TriageSamples();
  const first = samples.next(answer(pressure(12), oomKills('a\x1b[2J', 1)), at(1));
  expect(first.fresh).toHaveLength(2);
  const second = samples.next(answer(pressure(40), oomKills('a\x1b[2J', 2)), at(2));
  expect([second.fresh, second.gone]).toEqual([[], []]);
  expect(triageWatchBlock(second, null)).toBeUndefined();
  const third = samples.next(answer(oomKills('b', 1), oomKills('a\x1b[2J', 2)), at(3));
  expect(triageWatchBlock(third, null)).toBe(
    [
      'sample 3, 2026-01-02T03:04:03Z',
      'new       NOTE      OOM kills since boot: 1 in cgroup b. [oom-kills]',
      'gone      WARNING   Memory pressure: all tasks stalled for memory in 40 % of the last 10 s (some tasks: 9 %). [memory-pressure]',
      '',
    ].join('\n'),
  );
  const { rows } = triageWatchPage(third, 70);
  expect(rows).toEqual([
    '03:04:03  NOTE      OOM kills since boot: 1 in cgroup b. [oom-kills]',
    '03:04:01  NOTE      OOM kills since boot: 2 in cgroup a\\x1b[2J.',
    '                    [oom-kills]',
    'gone      WARNING   Memory pressure: all tasks stalled for memory in',
    '                    40 % of the last 10 s (some tasks: 9 %).',
    '                    [memory-pressure]',
  ]);
});

test('does not report a finding as gone while its source is unreadable', () => {
  const samples = new TriageSamples();
  const unread = [{ check: 'sockets', code: 'ss-hung', why: 'ss does not respond', hides: 'sockets' }] as const;
  samples.next(answer(pressure(12)), at(1));
  const second = samples.next({ ...answer(), unread }, at(2));
  expect([second.unconfirmed.length, second.gone]).toEqual([1, []]);
  expect(triageWatchBlock(second, null)).toBeUndefined();
  expect(triageWatchPage(second, 200).rows).toEqual([
    'not read  WARNING   Memory pressure: all tasks stalled for memory in 12 % of the last 10 s (some tasks: 9 %). [memory-pressure]',
  ]);
  const third = samples.next(answer(pressure(12)), at(3));
  expect([third.fresh, third.findings[0]?.since]).toEqual([[], at(1)]);
  expect(samples.next(answer(), at(4)).gone).toHaveLength(1);
});

test('counts equal findings of a log individually', () => {
  const log: Finding = {
    code: 'oops',
    severity: 'critical',
    title: 'x',
    figures: {},
    evidence: [{ kind: 'log', seq: 1, timestamp: 1n, text: 'BUG: x' }],
  };
  const samples = new TriageSamples();
  samples.next(answer(log), at(1));
  const { fresh, gone } = samples.next(answer(log, log), at(2));
  expect([fresh.length, gone.length]).toEqual([1, 0]);
  // Another finding before them changes nothing.
  const third = samples.next(answer(pressure(12), log, log), at(3));
  expect([third.fresh, third.gone]).toEqual([[pressure(12)], []]);
});

test('reports no findings', () => {
  const sample = new TriageSamples().next(answer(), at(1));
  expect(triageWatchPage(sample, 80)).toMatchObject({ rows: [], end: ['none'] });
  expect(triageWatchBlock(sample, 80)).toContain('No problems found. Checked: log.');
});

describe('--fail-on', () => {
  const kill = (secondsAgo: number): Finding => ({
    code: 'oom-kill',
    severity: 'critical',
    figures: { secondsAgo, scope: 'machine' },
    evidence: [],
    past: true,
  });
  const samplesUntilFailed = async (secondsAgo: number) => {
    let samples = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => samples * 120_000);
    const print = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      await watchTriage(
        async () => answer(...(++samples < 2 ? [] : [kill(secondsAgo)])),
        { interval: 0, count: 3 },
        failOn(['critical']),
      );
      return [samples, process.exitCode];
    } finally {
      process.exitCode = undefined;
      print.mockRestore();
      vi.restoreAllMocks();
    }
  };

  test('reports an event that is over by the next sample', async () => {
    expect(await samplesUntilFailed(90)).toEqual([2, 1]);
  });

  test('waits on after an event from before it began', async () => {
    expect(await samplesUntilFailed(4000)).toEqual([3, undefined]);
  });
});
