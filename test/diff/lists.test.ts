import { expect, test } from 'vitest';
import { compareStates } from '../../src/diff/compare.js';
import type { Item } from '../../src/diff/state.js';
import { listing, MIB, processItem, stateOf } from './made-up.js';

type Entry = readonly [string, Item];
const at = (seconds: number, items: readonly Entry[], whole = true) =>
  stateOf(seconds, { lists: { processes: listing(items, whole) } });

/** Boots are 5,000 s old at second 0: processes that start later have higher ticks. */
const LATER = 510_000;

test('matches processes by pid and start time, so that a reused pid is another', () => {
  const { lists, notes } = compareStates([
    at(0, [processItem(7, 100, { pss: 10 }), processItem(8, 200, { pss: 50 })]),
    at(600, [processItem(7, 100, { pss: 70 }), processItem(8, LATER, { pss: 40 })]),
  ]);
  expect(notes).toEqual([{ code: 'pid-reused', count: 1 }]);
  const items = lists.processes?.items.map(({ who, status, changeBytes, bytes }) => [
    who.kind === 'process' && who.startTicks,
    status,
    changeBytes,
    ...bytes,
  ]);
  expect(items).toEqual([
    [100, 'both', 60, 10, 70],
    [200, 'gone', -50, 50, 0],
    [LATER, 'new', 40, 0, 40],
  ]);
  expect(lists.processes).toMatchObject({ grewBytes: 100, shrankBytes: -50, complete: true });
});

test('compares PSS if both have it, else RSS, and reports neither as unknown', () => {
  const { lists, notes, complete } = compareStates([
    at(0, [
      processItem(1, 1, { pss: 10, rss: 20 }),
      processItem(2, 2, { pss: null, rss: 30 }),
      processItem(3, 3, { pss: null, rss: null }),
    ]),
    at(60, [
      processItem(1, 1, { pss: 15, rss: 90 }),
      processItem(2, 2, { pss: 5, rss: 37 }),
      processItem(3, 3, { pss: 5, rss: 6 }),
    ]),
  ]);
  const found = lists.processes?.items.map(({ measure, changeBytes }) => [measure, changeBytes]);
  expect(found).toEqual([
    ['rss', 7],
    ['pss', 5],
    [null, null],
  ]);
  expect(notes).toEqual([
    { code: 'lesser-measure', part: 'processes', count: 1 },
    { code: 'change-unknown', part: 'processes', count: 1 },
  ]);
  expect(complete).toBe(false);
  expect(lists.processes).toMatchObject({ grewBytes: 12, unknown: 1 });
});

test('reports a process in one input as neither new nor exited if the other list is incomplete', () => {
  const one = processItem(1, LATER, { pss: 10 });
  const only = (...states: Parameters<typeof compareStates>[0]) => compareStates(states).lists.processes?.items[0];
  expect(only(at(0, [], false), at(600, [one]))).toMatchObject({
    status: 'only-after',
    changeBytes: null,
    bytes: [null, 10],
  });
  expect(only(at(0, [one]), at(600, [], false))).toMatchObject({
    status: 'only-before',
    changeBytes: null,
    bytes: [10, null],
  });
});

test('reports an entry missing from a list without empty ones as empty or absent', () => {
  const one = processItem(1, LATER, { pss: 10 });
  const empty = stateOf(0, { lists: { processes: { ...listing([]), withoutEmpty: true } } });
  const later = stateOf(600, { lists: { processes: { ...listing([]), withoutEmpty: true } } });
  const found = (...states: Parameters<typeof compareStates>[0]) => compareStates(states).lists.processes?.items[0];
  expect(found(empty, at(600, [one]))).toMatchObject({ status: 'was-empty', bytes: [0, 10] });
  expect(found(at(0, [one]), later)).toMatchObject({ status: 'is-empty', changeBytes: -10 });
});

test('notes a lesser measure if any input has the better one', () => {
  const rss = (seconds: number, size: number) => at(seconds, [processItem(1, 1, { pss: null, rss: size })]);
  const codes = (...states: Parameters<typeof compareStates>[0]) => compareStates(states).notes.map(({ code }) => code);
  expect(codes(rss(0, 1), rss(60, 2))).toEqual([]);
  const better = at(60, [processItem(1, 1, { pss: 1, rss: 2 })]);
  expect(codes(rss(0, 1), better)).toEqual(['lesser-measure']);
});

test('does not report a process as new that started before the first input', () => {
  const { lists, notes } = compareStates([
    at(0, []),
    at(600, [processItem(1, 100, { pss: 10 }), processItem(2, LATER, { pss: 4 })]),
  ]);
  expect(notes).toEqual([
    { code: 'missed-process', part: 'processes', count: 1 },
    { code: 'change-unknown', part: 'processes', count: 1 },
  ]);
  expect(lists.processes?.items.map(({ status, changeBytes }) => [status, changeBytes])).toEqual([
    ['new', 4],
    ['only-after', null],
  ]);
});

test('counts processes that started and exited in between', () => {
  const one = processItem(1, 1, { pss: 1 });
  const between = processItem(2, LATER, { pss: 99 });
  const { lists } = compareStates([at(0, [one]), at(300, [one, between]), at(600, [one])]);
  expect(lists.processes).toMatchObject({ between: 1, grewBytes: 0 });
  expect(lists.processes?.items).toHaveLength(1);
});

test('marks growth in each interval; a rate has an interval from eight inputs on', () => {
  const grown = (count: number, dip = -1) => {
    const sizes = Array.from({ length: count }, (_, step) => (step === dip ? 1 : 100 + step) * MIB);
    const states = sizes.map((pss, step) => at(step * 60, [processItem(1, 1, { pss })]));
    return compareStates(states).lists.processes?.items[0];
  };
  expect(grown(2)).toMatchObject({ grewEachTime: null, course: null });
  expect(grown(3)).toMatchObject({ grewEachTime: true, course: null, changeBytes: 2 * MIB });
  expect(grown(4, 2)).toMatchObject({ grewEachTime: false });
  const sure = grown(16);
  expect(sure?.course).toBe('grows');
  expect(sure?.growth?.perSecond).toBeCloseTo(MIB / 60);
  expect(sure?.perMinuteBytes).toBeCloseTo(MIB);
});
