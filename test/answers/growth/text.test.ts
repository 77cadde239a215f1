import { expect, test } from 'vitest';
import { MAX_OWNERS, processMetrics } from '../../../src/answers/growth/prometheus.js';
import { growthPage, growthText } from '../../../src/answers/growth/text.js';
import { formatSeconds, perMinute } from '../../../src/answers/growth/words.js';
import { columnsOf } from '../../../src/answers/text/cut.js';
import { type ProcessesAtTime, ProcessGrowth } from '../../../src/growth/processes.js';
import { SAMPLE_HISTORY } from '../../../src/growth/trend.js';
import { held, look } from '../../growth/made-up-machine.js';

const MIB = 2 ** 20;
const HOSTILE = 'a"b\\c\n\u001b{x}';

function answerOf(looks: readonly ProcessesAtTime[]) {
  const growth = new ProcessGrowth('first', SAMPLE_HISTORY);
  for (const one of looks) growth.add(one);
  const answer = growth.answer();
  if (!answer) throw new Error('there was no look');
  return answer;
}

const minutes = (many: number, of: (at: number) => ProcessesAtTime) => Array.from({ length: many }, (_, at) => of(at));

const available = (bytes: number) => ({ memAvailableBytes: Math.round(bytes) });

const LEAK = answerOf(
  minutes(60, (at) =>
    look(
      60 * at,
      [held(1, 100), held(2, 40 + 2 * at, { comm: HOSTILE }), ...(at < 40 ? [held(3, 3 * at)] : [])],
      available((512 - 2 * at) * MIB),
    ),
  ),
);

const textOf = (answer = LEAK, width: number | null = null) =>
  growthText(answer, { limit: 20, width, listed: answer.processes });

test('the fastest growing process comes first, with rate and confidence, then the memory forecast', () => {
  const paragraphs = textOf().split('\n\n');
  expect(paragraphs[0]).toBe(
    'pid 2 (a"b\\\\c\\x0a\\x1b{x}) grows by 2.00 MiB/min (2.00 MiB/min to 2.00 MiB/min) and holds 158 MiB.',
  );
  // (512 - 118) / 2 minutes are 3.3 hours.
  expect(paragraphs[1]).toBe(
    'MemAvailable is 394 MiB and falls by 2.00 MiB/min (2.00 MiB/min to 2.00 MiB/min). At this rate it is exhausted in 3.3 h.',
  );
  expect(textOf()).toContain('pid 3 (worker) grew by 3.00 MiB/min');
  expect(textOf()).toContain('Memory pressure (PSI) is not available: none here.');
  expect(textOf()).toMatch(/^ +2 +158 MiB +\+2\.00 MiB +\+2\.00 MiB +\+2\.00 MiB +grows /m);
  expect(textOf()).toContain('Source: 60 samples on made-up in 59 min, the last at 2001-');
});

test('uses the singular for one sample and one pid', () => {
  const again = answerOf([look(0, [held(1, 1)]), look(1, [held(1, 1, { startTicks: 7 })])]);
  expect(textOf(again)).toContain(' 1 pid was reused by another process.');
  expect(textOf(answerOf([look(0, [held(1, 1)])]))).toContain('Source: 1 sample on made-up in 0 s,');
});

test('reports unattributed growth, with the next command', () => {
  const answer = answerOf(minutes(60, (at) => look(60 * at, [held(1, 100)], available((512 - 2 * at) * MIB))));
  expect(textOf(answer)).toContain('No process shows significant growth.');
  expect(textOf(answer)).toContain(
    'No process accounts for the decline of MemAvailable: 2.00 MiB/min (2.00 MiB/min to 2.00 MiB/min) are not in any process. Next: kdump-mem memory --live --watch',
  );
});

test('reports that there are too few samples', () => {
  const answer = answerOf(minutes(5, (at) => look(at, [held(1, at)])));
  expect(textOf(answer)).toContain('Sample 5: RATE/MIN is shown from sample 8 on, TREND from sample 15 on.');
  expect(textOf(answer)).toMatch(/^ +1 +4\.00 MiB +\? +\? +\? +\? /m);
});

test('reports a reboot, and memory that is counted once for each process that shares it', () => {
  const answer = answerOf([
    look(9, [held(1, 1)]),
    ...minutes(20, (at) => look(at, [held(1, 1, { heldBy: 'rss' })], { bootId: 'second' })),
  ]);
  expect(textOf(answer)).toContain('The machine rebooted once meanwhile: figures are for the');
  expect(textOf(answer)).toContain('HELD of 1 process is RSS');
});

test.each([60, 80, 132])('fits %i columns', (width) => {
  for (const line of textOf(LEAK, width).split('\n')) expect(columnsOf(line)).toBeLessThanOrEqual(width);
  const { top, heading, rows, end } = growthPage(LEAK, [], { width, listed: LEAK.processes });
  for (const line of [...top, heading, ...rows, ...end]) expect(columnsOf(line)).toBeLessThanOrEqual(width);
});

test('formats rates and times for people', () => {
  expect([0, 1, -1, MIB / 60, 0.001].map(perMinute)).toEqual(['0', '+60 B', '-60 B', '+1.00 MiB', '0']);
  expect([5, 119, 120, 7200, 172_800, 1e10].map(formatSeconds)).toEqual([
    '5 s',
    '119 s',
    '2 min',
    '2.0 h',
    '2 days',
    'more than ten years',
  ]);
});

test('metrics have a bounded number of series, which include the growing processes', () => {
  const many = answerOf(
    minutes(20, (at) =>
      look(
        at,
        Array.from({ length: 200 }, (_, pid) => held(pid + 1, pid === 0 ? at / 100 : 10 + pid, { comm: `c${pid}` })),
      ),
    ),
  );
  const series = processMetrics(many).match(/^kdump_mem_process_held_bytes\{.*$/gm) ?? [];
  expect(series).toHaveLength(MAX_OWNERS + 1);
  expect(series.at(-1)).toContain('comm="(others)"');
  const sum = series.map((line) => Number(line.split(' ').at(-1))).reduce((a, b) => a + b);
  const all = many.processes.reduce((bytes, { heldBytes }) => bytes + (heldBytes ?? 0), 0);
  expect(sum).toBe(all);
  expect(processMetrics(many)).toMatch(
    /^kdump_mem_process_growth_bytes_per_second\{comm="c0",container="",pod="",bound="low"\} \d/m,
  );
});

test('unknown values have no series, rather than zero', () => {
  const text = processMetrics(answerOf([look(0, [held(1, null)], { memAvailableBytes: null })]));
  expect(text).not.toMatch(/^kdump_mem_(process_held|process_growth|processes_growing|available)/m);
  expect(text).toMatch(/^kdump_mem_procs_complete 0$/m);
});

test('escapes names', () => {
  expect(processMetrics(LEAK)).toContain('comm="a\\"b\\\\\\\\c\\\\x0a\\\\x1b{x}"');
});
