import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatPrometheus, MAX_OWNERS } from '../../../src/answers/skcheck/prometheus.js';
import { report, socket } from './samples.js';

const series = (text: string, name: string) =>
  text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

describe('metrics', () => {
  test('each has its help and type once, before it', () => {
    const text = formatPrometheus(report([socket('feedd')]), 2100);
    const names = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => /^\w+/.exec(line)?.[0]);
    for (const name of new Set(names)) {
      expect(text.split(`# HELP ${name} `).length).toBe(2);
      expect(text.split(`# TYPE ${name} gauge\n`).length).toBe(2);
    }
    expect(text).toContain('skcheck_scan_seconds 2.1\n');
    expect(text).toContain('skcheck_scan_timestamp_seconds 1700000000\n');
    expect(text).toContain('skcheck_stale_pinned_bytes{bound="likely"} 2\n');
    expect(text).toContain('skcheck_warnings{code="undecided"} 3\n');
  });

  test('an unknown upper bound has no series, and sockets without one are counted', () => {
    const whole = report([socket('feedd')]);
    expect(formatPrometheus(whole, 0)).toContain('skcheck_stale_pinned_bytes{bound="high"} 3\n');
    const pinned = { ...whole.totals.pinned, high: 10 ** 9, atMost: null };
    const totals = { ...whole.totals, unbounded: 1, pinned };
    const text = formatPrometheus({ ...whole, totals }, 0);
    expect(series(text, 'skcheck_stale_pinned_bytes')).toEqual([
      'skcheck_stale_pinned_bytes{bound="low"} 1',
      'skcheck_stale_pinned_bytes{bound="likely"} 2',
    ]);
    expect(text).toContain('skcheck_stale_unbounded_sockets 1\n');
  });

  test('send queues of local peers have their own series', () => {
    const whole = report([socket('feedd')]);
    const pinned = { ...whole.totals.pinned, low: 4096, likely: 68_000_000, atMost: null };
    const totals = { ...whole.totals, localPeers: { sockets: 16, unsentBytes: 60_000_000, stalledSenders: 0, pinned } };
    const text = formatPrometheus({ ...whole, totals }, 0);
    expect(text).toContain('skcheck_stale_local_peers 16\n');
    expect(series(text, 'skcheck_stale_local_peer_pinned_bytes')).toEqual([
      'skcheck_stale_local_peer_pinned_bytes{bound="low"} 4096',
      'skcheck_stale_local_peer_pinned_bytes{bound="likely"} 68000000',
    ]);
    expect(text).toContain('skcheck_stale_pinned_bytes{bound="likely"} 2\n');
  });

  test('an incomplete scan is no all-clear', () => {
    const none = report([]);
    expect(series(formatPrometheus(none, 0), 'skcheck_scan_complete')).toEqual(['skcheck_scan_complete 1']);
    expect(formatPrometheus({ ...none, complete: false }, 0)).toContain('skcheck_scan_complete 0\n');
  });

  test('distinguishes a pending accept from an open descriptor', () => {
    const twoSockets = report([socket('a'), socket('a', { via: 'accept-queue' })]);
    expect(series(formatPrometheus(twoSockets, 0), 'skcheck_stale_owner_sockets')).toEqual([
      'skcheck_stale_owner_sockets{comm="a",container="",pod="",via="descriptor"} 1',
      'skcheck_stale_owner_sockets{comm="a",container="",pod="",via="accept-queue"} 1',
    ]);
  });

  test('sums the sockets of one owner in one series, with the longest age', () => {
    const other = { stalled: { ...socket('x').stalled, forMs: 9000 } };
    const text = formatPrometheus(report([socket('a'), socket('a', other), socket('b')]), 0);
    expect(series(text, 'skcheck_stale_owner_pinned_bytes')).toEqual([
      'skcheck_stale_owner_pinned_bytes{comm="a",container="",pod="",via="descriptor"} 2000',
      'skcheck_stale_owner_pinned_bytes{comm="b",container="",pod="",via="descriptor"} 1000',
    ]);
    expect(series(text, 'skcheck_stale_owner_seconds')[0]).toMatch(/ 9$/);
  });

  test('sockets that are not stale have no owner series', () => {
    const reading = socket('a', { stalled: { ...socket('a').stalled, verdict: 'reading' } });
    expect(formatPrometheus(report([reading]), 0)).not.toContain('skcheck_stale_owner');
  });

  test('the number of series is bounded for any number of owners, and the sum is complete', () => {
    const many = Array.from({ length: 500 }, (_, index) => socket(`worker-${index}`));
    const rows = series(formatPrometheus(report(many), 0), 'skcheck_stale_owner_sockets');
    expect(rows.length).toBe(MAX_OWNERS + 1);
    const sum = rows.reduce((total, row) => total + Number(row.slice(row.lastIndexOf(' '))), 0);
    expect(sum).toBe(500);
    expect(rows.at(-1)).toContain('comm="(others)"');
  });

  test('a label is one quoted string of bounded length for any process name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (comm) => {
        const text = formatPrometheus(report([socket(comm)]), 0);
        const [row = ''] = series(text, 'skcheck_stale_owner_sockets');
        expect(row).toMatch(
          /^skcheck_stale_owner_sockets\{comm="(?:[^"\\\n]|\\\\|\\")*",container="",pod="",via="descriptor"\} 1$/,
        );
        expect(row.length).toBeLessThan(240);
      }),
    );
  });
});
