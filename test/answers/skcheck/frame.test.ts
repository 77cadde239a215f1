import { describe, expect, test } from 'vitest';
import { type View, WATCH_SORTS, watchFrame } from '../../../src/answers/skcheck/frame.js';
import { columnsOf } from '../../../src/answers/text/cut.js';
import { report, socket } from './samples.js';

const VIEW: View = { columns: 80, rows: 24, sort: 'worst', skipped: 0, when: '23:07:25 UTC, every 2 s', keys: true };
const long = report(
  Array.from({ length: 60 }, (_, index) =>
    socket(`worker-${index}`, {
      pid: 1000 + index,
      unreadBytes: 1 + ((index * 7) % 60),
      pinned: { low: 1, likely: 10_000 + ((index * 11) % 60), high: 20_000, atMost: 20_000 },
      stalled: { ...socket('x').stalled, forMs: 1000 + ((index * 13) % 60) },
    }),
  ),
);
const frame = (view: Partial<View> = {}, of = long, verbose = false) =>
  watchFrame(of, { ...VIEW, ...view }, { verbose });
const pids = (lines: readonly string[]) =>
  lines.flatMap((line) => (/^ *(1\d{3}) {2}/.exec(line)?.[1] ?? []) as string).map(Number);

describe('a screen', () => {
  test.each([
    [80, 24],
    [80, 5],
    [40, 10],
    [30, 4],
    [160, 50],
    [80, 3],
    [20, 2],
  ])('fills %d columns and %d rows, and contains the headline', (columns, rows) => {
    for (const verbose of [false, true]) {
      const { lines } = frame({ columns, rows }, long, verbose);
      expect(lines.length).toBe(rows);
      for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(Math.max(columns, 36));
      expect(lines[0]).toMatch(/^60 of 50/);
      if (columns >= 40) expect(lines.at(-1)).toContain('q: quit  s: sort (worst)');
    }
  });

  test('names no keys in the footer without a keyboard', () => {
    expect(frame({ keys: false }).lines.at(-1)).toMatch(/^Ctrl-C: quit {2}1-\d+ of 60 {2}23:07:25 UTC/);
  });

  test('scrolls to the last row and no further', () => {
    const { mostSkipped, lines } = frame();
    expect(pids(lines)[0]).toBe(1000);
    const end = frame({ skipped: 1000 });
    expect(pids(end.lines).at(-1)).toBe(1059);
    expect(pids(end.lines)[0]).toBe(1000 + mostSkipped);
    expect(pids(end.lines).length).toBe(pids(lines).length);
    expect(pids(frame({ skipped: 5 }).lines)[0]).toBe(1005);
    expect(end.lines.at(-1)).toContain(`${mostSkipped + 1}-60 of 60`);
  });

  test('shows every row by scrolling, even if each has a reason of several lines', () => {
    const seen = new Set<number>();
    const { mostSkipped } = frame({ rows: 9 }, long, true);
    for (let skipped = 0; skipped <= mostSkipped; skipped++)
      for (const pid of pids(frame({ rows: 9, skipped }, long, true).lines)) seen.add(pid);
    expect(seen.size).toBe(60);
  });

  test('is sorted by the selected column', () => {
    const first = (sort: View['sort']) => pids(frame({ sort }).lines)[0];
    const worst = (of: (index: number) => number) =>
      1000 + [...Array(60).keys()].reduce((best, index) => (of(index) > of(best) ? index : best), 0);
    expect(first('pinned')).toBe(worst((index) => (index * 11) % 60));
    expect(first('unread')).toBe(worst((index) => (index * 7) % 60));
    expect(first('age')).toBe(worst((index) => (index * 13) % 60));
    expect(WATCH_SORTS).toContain('age');
  });

  test('with few rows shows advice and does not scroll', () => {
    const short = report([socket('feedd')]);
    const { lines, mostSkipped } = frame({}, short);
    expect(mostSkipped).toBe(0);
    expect(lines.join('\n')).toContain('AGE: stalled for at least');
    expect(lines.at(-1)).not.toContain(' of 1');
  });

  test('without stalled sockets has only the headline and the keys', () => {
    const { lines } = frame({ rows: 6 }, report([]));
    expect(lines).toHaveLength(6);
    expect(lines.slice(1, -1).join('')).toBe('');
  });
});
