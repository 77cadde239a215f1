import { expect, test } from 'vitest';
import { compareStates } from '../../src/diff/compare.js';
import { leavesOf } from '../../src/diff/lists.js';
import type { CategoryState, HostState } from '../../src/diff/state.js';
import { listing, MIB, memoryAt, originAt, processItem, stateOf, treeOf } from './made-up.js';

const codes = (...states: HostState[]) => compareStates(states).notes.map(({ code }) => code);
const processes = (...items: Parameters<typeof listing>[0][]) => ({
  processes: listing(items.flatMap((each) => [...each])),
});

test('attributes a loss of free memory to growing categories, to the byte', () => {
  const { loss, categories, seconds, notes, complete } = compareStates([
    memoryAt(0, { anonymous: 100, 'network-sockets': 10, unattributed: 5 }),
    memoryAt(2700, { anonymous: 90, 'network-sockets': 310, unattributed: 6 }),
  ]);
  expect(notes).toEqual([]);
  expect(complete).toBe(true);
  expect(seconds).toEqual([0, 2700]);
  expect(loss).toMatchObject({
    lostBytes: 291 * MIB,
    grewBytes: 300 * MIB,
    shrankBytes: -10 * MIB,
    unattributedBytes: MIB,
    uncomparedBytes: 0,
    pluggedBytes: 0,
    explanation: 'categories',
  });
  expect(loss?.categories[0]?.category).toMatchObject({ category: 'network-sockets', changeBytes: 300 * MIB });
  expect(categories).toMatchObject({ changeBytes: 0, uncomparedBytes: 0 });
  const [free] = categories?.children ?? [];
  expect(free?.perMinuteBytes).toBeCloseTo((-291 * MIB) / 45);
});

test('does not attribute a loss to growth if no category has it', () => {
  const before = memoryAt(0, { anonymous: 100, unattributed: 5 });
  const { loss } = compareStates([before, memoryAt(60, { anonymous: 110, unattributed: 205 })]);
  expect(loss).toMatchObject({ explanation: 'nothing', grewBytes: 10 * MIB, unattributedBytes: 200 * MIB });
  const half = compareStates([before, memoryAt(60, { anonymous: 205, unattributed: 105 })]).loss;
  expect(half?.explanation).toBe('categories');
});

test('reports no loss below 1 MiB, or for freed memory', () => {
  const before = memoryAt(0, { anonymous: 100 });
  const explained = (mib: number) => compareStates([before, memoryAt(60, { anonymous: mib })]).loss?.explanation;
  expect([100.5, 100, 50].map(explained)).toEqual([null, null, null]);
  expect(explained(101)).toBe('categories');
});

test('reports no loss within the drift of counters during the inputs', () => {
  const tree = treeOf({ anonymous: 150 });
  const moving = stateOf(60, { memory: { depth: 'kcore', tree, drift: 60 * MIB } });
  expect(compareStates([memoryAt(0, { anonymous: 100 }), moving]).loss?.explanation).toBeNull();
});

test('reports memory that was plugged in, which completes the sum', () => {
  const more = stateOf(60, { memory: { depth: 'kcore', tree: treeOf({ anonymous: 100 }, 1200), drift: 0 } });
  const { loss, notes } = compareStates([memoryAt(0, { anonymous: 50 }), more]);
  expect(notes).toEqual([{ code: 'memory-hotplug', bytes: 200 * MIB }]);
  expect(loss).toMatchObject({
    lostBytes: -150 * MIB,
    pluggedBytes: 200 * MIB,
    grewBytes: 50 * MIB,
    uncomparedBytes: 0,
  });
});

test('compares groups, but not single categories, of inputs of different depth', () => {
  const shallow = stateOf(60, {
    memory: { depth: 'counters', tree: treeOf({ anonymous: 100, unattributed: 300 }), drift: 0 },
  });
  const { categories, loss, notes, complete } = compareStates([
    memoryAt(0, { anonymous: 100, 'network-sockets': 10 }),
    shallow,
  ]);
  expect(notes).toContainEqual({ code: 'different-sources', depths: ['kcore', 'counters'] });
  expect(complete).toBe(false);
  const kernel = categories?.children.find(({ category }) => category === 'kernel');
  expect(kernel).toMatchObject({ changeBytes: 290 * MIB, uncomparedBytes: 290 * MIB });
  expect(kernel?.children.map(({ changeBytes }) => changeBytes)).toEqual([null, null]);
  // An unknown value is unknown, not zero.
  expect(kernel?.children.map(({ bytes }) => bytes)).toEqual([
    [10 * MIB, null],
    [null, 300 * MIB],
  ]);
  expect(loss).toMatchObject({ lostBytes: 290 * MIB, grewBytes: null, uncomparedBytes: null, explanation: null });
});

test('does not compare a category that only one release knows, and the sum is complete', () => {
  const { categories, loss } = compareStates([
    memoryAt(0, { anonymous: 100 }),
    memoryAt(60, { anonymous: 100, 'of-tomorrow': 50 }),
  ]);
  const kernel = categories?.children.find(({ category }) => category === 'kernel');
  expect(kernel).toMatchObject({ changeBytes: 50 * MIB, uncomparedBytes: 50 * MIB });
  expect(loss).toMatchObject({ lostBytes: 50 * MIB, grewBytes: 0, uncomparedBytes: 50 * MIB, explanation: null });
});

test('sorts inputs in the wrong order, with a note', () => {
  const { states, notes, loss } = compareStates([memoryAt(60, { anonymous: 300 }), memoryAt(0, { anonymous: 100 })]);
  expect(states.map(({ name }) => name)).toEqual(['0.json', '60.json']);
  expect(notes).toEqual([{ code: 'reordered' }]);
  expect(loss?.lostBytes).toBe(200 * MIB);
});

test('sorts inputs by uptime if the wall clock was set', () => {
  const late = memoryAt(0, {}, { name: 'late', origin: originAt(600, { at: new Date(0).toISOString() }) });
  const { states, seconds, notes } = compareStates([late, memoryAt(0, {})]);
  expect(states.map(({ name }) => name)).toEqual(['0.json', 'late']);
  expect(seconds).toEqual([0, 600]);
  expect(notes.map(({ code }) => code)).toEqual(['reordered', 'clock-set']);
});

test('reports no rates for two inputs of one time', () => {
  const { seconds, notes, complete, categories } = compareStates([
    memoryAt(0, { anonymous: 1 }),
    memoryAt(0, { anonymous: 2 }, { name: 'copy' }),
  ]);
  expect(notes.map(({ code }) => code)).toEqual(['same-time']);
  expect([seconds, complete, categories?.children[0]?.perMinuteBytes]).toEqual([null, false, null]);
});

test('keeps the order of inputs without times, and reports no rates', () => {
  const nameless = originAt(0, { at: null, bootId: null, uptimeSeconds: null });
  const first = memoryAt(0, { anonymous: 1 }, { origin: nameless });
  const { seconds, notes, categories } = compareStates([first, memoryAt(60, { anonymous: 2 })]);
  expect(notes).toEqual([{ code: 'boot-unknown' }, { code: 'time-unknown', names: ['0.json'] }]);
  expect(seconds).toBeNull();
  expect(categories?.children[0]).toMatchObject({ changeBytes: -MIB, perMinuteBytes: null });
});

test.each([
  ['its boot id', originAt(60, { bootId: 'other' })],
  ['its uptime, which decreased', originAt(60, { bootId: null, uptimeSeconds: 20 })],
])('recognizes another boot by %s: compares caches, but no processes', (_, other) => {
  const cache = (bytes: number) =>
    listing([
      [
        'dentry',
        { who: { kind: 'cache', name: 'dentry', category: null }, sizes: { bytes }, ofBoot: false, began: null },
      ],
    ]);
  const one = processItem(1, 10, { pss: 100 });
  const { sameBoot, seconds, lists, loss, notes } = compareStates([
    memoryAt(0, { unattributed: 0 }, { lists: { ...processes([one]), caches: cache(10) } }),
    memoryAt(60, { unattributed: 500 }, { origin: other, lists: { ...processes([one]), caches: cache(30) } }),
  ]);
  expect(notes.map(({ code }) => code)).toEqual(['different-boots']);
  expect([sameBoot, seconds, lists.processes]).toEqual([false, null, null]);
  expect(loss?.explanation).toBeNull();
  expect(lists.caches?.items[0]).toMatchObject({ changeBytes: 20, perMinuteBytes: null });
});

test.each([
  ['a host name', {}, true],
  ['no name, since two machines may boot at once', { host: '(none)' }, null],
])('recognizes one boot without ids by its time, and by %s', (_, other, same) => {
  const at = (seconds: number) => memoryAt(seconds, {}, { origin: originAt(seconds, { bootId: null, ...other }) });
  expect(compareStates([at(0), at(60)]).sameBoot).toBe(same);
  // One sample in two forms.
  expect(compareStates([at(0), at(0)]).sameBoot).toBe(true);
  const otherKernel = { ...at(60), release: '6.12.0' };
  expect(compareStates([at(0), otherKernel]).sameBoot).toBe(false);
});

test('recognizes another boot by its id, though the clocks fit both', () => {
  const at = (seconds: number, bootId: string | null) =>
    memoryAt(seconds, {}, { origin: originAt(seconds, { bootId }) });
  const { sameBoot, seconds, notes } = compareStates([at(0, 'a'), at(60, null), at(120, 'c')]);
  expect([sameBoot, seconds]).toEqual([false, null]);
  expect(notes.map(({ code }) => code)).toEqual(['different-boots']);
});

test('notes that a category missing in the first input may have grown', () => {
  const { notes, complete, loss } = compareStates([
    memoryAt(0, { anonymous: 100 }),
    memoryAt(60, { anonymous: 101, later: 400 }),
  ]);
  expect(notes).toEqual([{ code: 'change-unknown', part: 'categories', count: 1 }]);
  expect(complete).toBe(false);
  expect(loss).toMatchObject({ lostBytes: 401 * MIB, grewBytes: MIB, uncomparedBytes: 400 * MIB, explanation: null });
});

test('notes another host, unless one boot id proves that it is the same', () => {
  const other = (bootId: string) => memoryAt(60, {}, { origin: originAt(60, { host: 'pod', bootId }) });
  expect(codes(memoryAt(0, {}), other('else'))).toEqual(['different-hosts']);
  expect(codes(memoryAt(0, {}), other('b00t'))).toEqual([]);
});

test.each([
  ['different-kernels', { release: '6.12.0' }],
  ['different-page-sizes', { pageSize: 16_384 }],
  ['incomplete', { flaws: [{ code: 'incomplete', words: 'cut' }] }],
  ['inconsistent', { flaws: [{ code: 'inconsistent', words: 'sums' }] }],
  ['missing-in-input', { lists: { processes: listing([]) } }],
] as const)('notes %s, and reports an incomplete answer', (code, other) => {
  const { notes, complete } = compareStates([memoryAt(0, {}), memoryAt(60, {}, other)]);
  expect(notes.map((note) => note.code)).toEqual([code]);
  expect(complete).toBe(false);
});

/** A tree by counters whose rows of these names have no counter; memory of unknown use is 0 MiB if there is none. */
function countersOf(
  leaves: Readonly<Record<string, number>>,
  uncounted: readonly string[],
  missing = 0,
): CategoryState {
  const tree = treeOf(leaves, 1000 - missing);
  const part = (one: CategoryState): CategoryState => ({
    ...one,
    ...(uncounted.includes(one.category) ? { isUnknown: true } : {}),
    children: one.children.map(part),
  });
  const unknown = { category: 'missing-counters', bytes: missing * MIB, children: [] };
  return { ...tree, children: [...tree.children.map(part), { ...unknown, category: 'unknown', children: [unknown] }] };
}

test.each([
  ['a kernel lacks it', ['vmalloc'], { vmalloc: 0, unattributed: 70 }, 0],
  ['its line is missing', ['vmalloc', 'page-tables'], { vmalloc: 0, 'page-tables': 0, unattributed: 0 }, 80],
])('a counter that only one input has is neither growth nor zero: %s', (_, uncounted, other, missing) => {
  const used = { anonymous: 100, vmalloc: 50, 'page-tables': 10, unattributed: 20 };
  const counted = { depth: 'counters', tree: countersOf(used, []), drift: 0 };
  const lacking = { ...counted, tree: countersOf({ ...used, anonymous: 130, ...other }, uncounted, missing) };
  for (const [first, last, sign] of [
    [counted, lacking, 1],
    [lacking, counted, -1],
  ] as const) {
    const { categories, notes } = compareStates([stateOf(0, { memory: first }), stateOf(60, { memory: last })]);
    const changes = leavesOf(categories!).filter(({ changeBytes }) => changeBytes !== 0);
    const found = changes.map(({ category, changeBytes }) => [category, (changeBytes ?? Number.NaN) / MIB]);
    expect(found.find(([category]) => category === 'anonymous')).toEqual(['anonymous', 30 * sign]);
    for (const name of [...uncounted, 'unattributed', 'missing-counters'])
      expect(found.map(([category]) => category)).not.toContain(name);
    expect(notes.map(({ code }) => code)).toContain('change-unknown');
  }
});
