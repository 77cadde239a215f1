import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPrometheus, MAX_OWNERS } from '../../src/report/skcheck-prometheus.js';
import type { SkcheckReport, SkcheckSocket } from '../../src/report/skcheck-schema.js';
import { VERDICT_CODES } from '../../src/stale/verdict.js';

function socket(comm: string, over: Partial<SkcheckSocket> = {}): SkcheckSocket {
  return {
    pid: 10,
    comm,
    fds: [3],
    holders: [],
    family: 'AF_INET',
    type: 'SOCK_STREAM',
    protocol: 'TCP',
    state: 'ESTABLISHED',
    local: '10.0.0.1:80',
    peer: '10.0.0.2:9',
    inode: 5,
    netns: 1,
    netnsName: null,
    cgroup: null,
    container: null,
    pod: null,
    waiting: [],
    otherEnd: null,
    recvQ: 5,
    sendQ: 0,
    skmem: null,
    unreadBytes: 5,
    unsentBytes: 0,
    stalled: { verdict: 'stalled-reader', certainty: 'proved', forMs: 1500, because: '' },
    also: [],
    pinned: { low: 1, likely: 1000, high: 3000 },
    counted: null,
    ...over,
  };
}

function report(sockets: SkcheckSocket[]): SkcheckReport {
  return {
    schema: 'skcheck/1',
    host: {
      name: 'h',
      release: 'r',
      netns: 1,
      takenAt: new Date(1_700_000_000_000).toISOString(),
      samples: 2,
      namespaces: 1,
      source: 'ss',
      watchedMs: 2000,
    },
    sockets,
    totals: {
      sockets: 50,
      stalled: sockets.length,
      undecided: 0,
      verdicts: Object.fromEntries(
        VERDICT_CODES.map((code) => [code, 0]),
      ) as SkcheckReport['totals']['verdicts'],
      unreadBytes: 5,
      pinned: { low: 1, likely: 2, high: 3 },
    },
    complete: true,
    processes: [],
    bounds: { unplacedBytes: 0, census: null, theoreticalWorstBytes: null },
    warnings: [{ code: 'undecided', count: 3, message: '' }],
  };
}

const series = (text: string, name: string) =>
  text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

describe('metrics', () => {
  test('each has its help and type before it, once', () => {
    const text = formatPrometheus(report([socket('feedd')]), 2100);
    const names = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => /^\w+/.exec(line)?.[0]);
    for (const name of new Set(names)) {
      expect(text.split(`# HELP ${name} `).length).toBe(2);
      expect(text.split(`# TYPE ${name} gauge\n`).length).toBe(2);
    }
    expect(text).toContain('skcheck_look_seconds 2.1\n');
    expect(text).toContain('skcheck_look_timestamp_seconds 1700000000\n');
    expect(text).toContain('skcheck_stale_pinned_bytes{bound="likely"} 2\n');
    expect(text).toContain('skcheck_warnings{code="undecided"} 3\n');
  });

  test("one owner's sockets are one series: summed, the longest wait", () => {
    const other = { stalled: { ...socket('x').stalled, forMs: 9000 } };
    const text = formatPrometheus(report([socket('a'), socket('a', other), socket('b')]), 0);
    expect(series(text, 'skcheck_stale_owner_pinned_bytes')).toEqual([
      'skcheck_stale_owner_pinned_bytes{comm="a",container="",pod=""} 2000',
      'skcheck_stale_owner_pinned_bytes{comm="b",container="",pod=""} 1000',
    ]);
    expect(series(text, 'skcheck_stale_owner_seconds')[0]).toMatch(/ 9$/);
  });

  test('sockets that are not stale have no owner series', () => {
    const reading = socket('a', { stalled: { ...socket('a').stalled, verdict: 'reading' } });
    expect(formatPrometheus(report([reading]), 0)).not.toContain('skcheck_stale_owner');
  });

  test('however many owners there are, the series have a bound, and nothing is lost', () => {
    const many = Array.from({ length: 500 }, (_, index) => socket(`worker-${index}`));
    const rows = series(formatPrometheus(report(many), 0), 'skcheck_stale_owner_sockets');
    expect(rows.length).toBe(MAX_OWNERS + 1);
    const sum = rows.reduce((total, row) => total + Number(row.slice(row.lastIndexOf(' '))), 0);
    expect(sum).toBe(500);
    expect(rows.at(-1)).toContain('comm="(others)"');
  });

  test('whatever a process calls itself, a label is one quoted string of bounded length', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (comm) => {
        const text = formatPrometheus(report([socket(comm)]), 0);
        const [row = ''] = series(text, 'skcheck_stale_owner_sockets');
        expect(row).toMatch(
          /^skcheck_stale_owner_sockets\{comm="(?:[^"\\\n]|\\\\|\\")*",container="",pod=""\} 1$/,
        );
        expect(row.length).toBeLessThan(220);
      }),
    );
  });
});
