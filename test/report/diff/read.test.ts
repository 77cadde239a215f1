import { expect, test } from 'vitest';
import { compareStates } from '../../../src/diff/compare.js';
import { formatJson } from '../../../src/json.js';
import { AnswersError, stateOfAnswers } from '../../../src/report/diff/read/answers.js';
import { memoryAnswerAt, procsAnswerAt, socketsAnswerAt } from './answers.js';

const state = (...answers: unknown[]) =>
  stateOfAnswers('a.json', answers.map((each) => `${formatJson(each, 2)}\n`).join(''));
const WORKERS = [
  { pid: 1, start: 10, pss: 4096 },
  { pid: 2, start: 20, pss: null },
];

test('answers one after the other in a file tell of one time together', () => {
  const { taken, memory, lists, release, pageSize, flaws } = state(
    memoryAnswerAt(2),
    procsAnswerAt(2, WORKERS),
    socketsAnswerAt(2, { 5: 4096 }),
  );
  expect(flaws).toEqual([]);
  expect([release, pageSize]).toEqual(['6.1.0', 4096]);
  expect(taken).toMatchObject({ host: 'node7', uptime: 5120 });
  expect(memory?.depth).toBe('vmcore');
  expect(Object.keys(lists).sort()).toEqual(['caches', 'callers', 'processes', 'sockets']);
  expect(lists.processes?.items.get('2 20')?.sizes).toEqual({ pss: null, rss: 4096 });
});

test('on one line each, as NDJSON has them, too', () => {
  const text = [memoryAnswerAt(2), procsAnswerAt(2, WORKERS)].map((each) => formatJson(each));
  expect(stateOfAnswers('a', text.join('\n')).lists.processes?.items.size).toBe(2);
});

test.each([
  ['', 'it is empty'],
  ['{"schema":"kdump-mem.memory/1"', 'no whole JSON'],
  ['[]', 'names no schema'],
  ['{"schema":"kdump-mem.info/1"}', 'kdump-mem.info/1 is nothing that diff can compare'],
  ['{"schema":"kdump-mem.procs/1"}', 'kernel: Invalid input'],
  [`{"a":${'['.repeat(100)}${']'.repeat(100)}}`, 'nested more than 32 levels deep'],
])('%j is refused with a reason', (text, reason) => {
  expect(() => stateOfAnswers('a', text)).toThrow(AnswersError);
  expect(() => stateOfAnswers('a', text)).toThrow(reason);
});

test('two answers of one kind are of two times, and refused', () => {
  expect(() => state(memoryAnswerAt(1), memoryAnswerAt(2))).toThrow('two answers');
});

test.each([
  ['bytes of a drawer', (text: string) => text.replace('"bytes": 4096000', '"bytes": 4096001')],
  ['frames of a drawer', (text: string) => text.replace('"frames": 1000,', '"frames": 1001,')],
  ['a cache', (text: string) => text.replace('"bytes": 8192000', '"bytes": 8196096')],
  ['a caller', (text: string) => text.replace('"bytes": 819200,', '"bytes": 819201,')],
  ['a process', (text: string) => text.replace('"pssBytes": 4096', '"pssBytes": 4097')],
  ['a pid that is there twice', (text: string) => text.replaceAll('"pid": 2', '"pid": 1')],
  ['a pid', (text: string) => text.replace('"pid": 2', '"pid": 3')],
  ['a beginning', (text: string) => text.replace('"startTicks": 20', '"startTicks": 90020')],
  ['a socket', (text: string) => text.replace('"pinnedBytes": 8192', '"pinnedBytes": 9192')],
])('what contradicts its sum is told: %s', (_, damage) => {
  const text = [
    memoryAnswerAt(2),
    procsAnswerAt(2, WORKERS),
    socketsAnswerAt(2, { 5: 8192, 6: 4096 }),
  ]
    .map((each) => formatJson(each, 2))
    .join('\n');
  expect(damage(text)).not.toBe(text);
  const damaged = stateOfAnswers('a', damage(text));
  expect([...new Set(damaged.flaws.map(({ code }) => code))]).toEqual(['contradictory']);
  const whole = stateOfAnswers('a', text);
  expect(compareStates([damaged, whole]).complete).toBe(false);
});

test('an answer that is not whole says so with its first reason', () => {
  const answer = procsAnswerAt(1, WORKERS);
  const warnings = [
    { code: 'unreadable', message: 'one' },
    { code: 'unreadable', message: 'two' },
  ];
  const { flaws } = state({ ...answer, complete: false, warnings });
  expect(flaws).toEqual([{ code: 'incomplete', words: 'one, and 1 more' }]);
});

test('answers of different boots in one file contradict each other; a minute apart is said', () => {
  const other = procsAnswerAt(5, WORKERS);
  expect(state(memoryAnswerAt(1), other).flaws.map(({ code }) => code)).toEqual(['spread']);
  const taken = { ...other.taken, bootId: 'else' };
  expect(state(memoryAnswerAt(5), { ...other, taken }).flaws.map(({ code }) => code)).toEqual([
    'contradictory',
  ]);
});

test('an answer of before it told when processes began has none that can be known again', () => {
  const { processes, ...answer } = procsAnswerAt(1, WORKERS);
  const older = processes.map(({ startTicks: _, ...process }) => process);
  const { flaws, lists } = state({ ...answer, processes: older });
  expect(flaws[0]?.words).toContain('when 2 processes began is not told');
  expect(lists.processes).toMatchObject({ whole: false });
});
