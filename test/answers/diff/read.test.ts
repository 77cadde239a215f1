import { describe, expect, test } from 'vitest';
import { AnswersError, stateOfAnswers } from '../../../src/answers/diff/read/answers.js';
import { memoryAnswer } from '../../../src/answers/diff/read/memory.js';
import { procsAnswer } from '../../../src/answers/diff/read/procs.js';
import { socketsAnswer } from '../../../src/answers/diff/read/sockets.js';
import { formatJson } from '../../../src/base/util.js';
import { compareStates } from '../../../src/diff/compare.js';
import { memoryAnswerAt, procsAnswerAt, socketsAnswerAt } from './answers.js';

const state = (...answers: unknown[]) =>
  stateOfAnswers('a.json', answers.map((each) => `${formatJson(each, 2)}\n`).join(''));
const WORKERS = [
  { pid: 1, start: 10, pss: 4096 },
  { pid: 2, start: 20, pss: null },
];

test('reads concatenated answers in a file as one point in time', () => {
  const { origin, memory, lists, release, pageSize, flaws } = state(
    memoryAnswerAt(2),
    procsAnswerAt(2, WORKERS),
    socketsAnswerAt(2, { 5: 4096 }),
  );
  expect(flaws).toEqual([]);
  expect([release, pageSize]).toEqual(['6.1.0', 4096]);
  expect(origin).toMatchObject({ host: 'node7', uptimeSeconds: 5120 });
  expect(memory?.depth).toBe('vmcore');
  expect(Object.keys(lists).sort()).toEqual(['caches', 'callers', 'processes', 'sockets']);
  expect(lists.processes?.items.get('2 20')?.sizes).toMatchObject({ pss: null, rss: 4096 });
});

test('compares rings, pins and buffers of devices, unless their bounds are wide', () => {
  const of = (minute: number, named: readonly object[], notRead: readonly object[] = []) =>
    state({ ...memoryAnswerAt(minute), named, notRead });
  const one = (kind: string, name: string, bytes: number, mostBytes = bytes) => ({
    kind,
    name,
    bytes,
    figures: { mostBytes },
  });
  const zram = one('zram', 'zram0', 900);
  const before = of(1, [one('pinned', 'io_uring', 100), one('pinned', 'RDMA', 50), zram]);
  const after = of(2, [one('pinned', 'io_uring', 400), one('pinned', 'RDMA', 60, 90), one('trace-rings', 'perf', 30)]);
  const { lists } = compareStates([before, after]);
  expect(lists.devices?.items.map(({ who, changeBytes }) => [who, changeBytes])).toEqual([
    [{ kind: 'device', of: 'pinned', name: 'io_uring' }, 300],
    [{ kind: 'device', of: 'trace-rings', name: 'perf' }, 30],
    [{ kind: 'device', of: 'pinned', name: 'RDMA' }, null],
  ]);
  expect(lists.devices?.complete).toBe(true);
  const denied = compareStates([before, of(2, [], [{ kind: 'pinned', code: 'denied', why: 'x' }])]);
  expect([denied.lists.devices?.complete, denied.complete]).toEqual([false, true]);
  expect(denied.lists.devices?.items.map(({ changeBytes }) => changeBytes)).toEqual([null, null]);
  // A dump has no such list.
  expect(compareStates([state(memoryAnswerAt(1)), state(memoryAnswerAt(2))]).lists.devices).toBeNull();
});

test('reads one answer per line (NDJSON)', () => {
  const text = [memoryAnswerAt(2), procsAnswerAt(2, WORKERS)].map((each) => formatJson(each));
  expect(stateOfAnswers('a', text.join('\n')).lists.processes?.items.size).toBe(2);
});

test.each([
  ['', 'empty file'],
  ['{"schema":"kdump-mem.memory/1"', 'malformed JSON'],
  ['[]', 'no field `schema`'],
  ['{"schema":"kdump-mem.info/1"}', 'unsupported answer kdump-mem.info/1'],
  ['{"schema":"kdump-mem.procs/1"}', 'kernel: Invalid input'],
  [`{"a":${'['.repeat(100)}${']'.repeat(100)}}`, 'nested more than 32 levels deep'],
])('%j is refused with a reason', (text, reason) => {
  expect(() => stateOfAnswers('a', text)).toThrow(AnswersError);
  expect(() => stateOfAnswers('a', text)).toThrow(reason);
});

test('reads a line of very many braces in one pass, and refuses too many values', () => {
  const line = `{"a":[${'{},'.repeat(300_000)}{}]}`;
  expect(() => stateOfAnswers('a', line)).toThrow('no field `schema`');
  expect(() => stateOfAnswers('a', `{"a":[${'1,'.repeat(10_000_001)}1]}`)).toThrow('more than 10000000 values');
});

test.each([
  ['categories', memoryAnswer, () => ({ ...memoryAnswerAt(2), memory: { children: [{}, {}] } })],
  ['callers', memoryAnswer, () => ({ ...memoryAnswerAt(2), callers: [{}, {}] })],
  ['processes', procsAnswer, () => ({ ...procsAnswerAt(2, []), processes: [{}, {}] })],
  ['sockets', socketsAnswer, () => ({ ...socketsAnswerAt(2, { 5: 8192 }), sockets: [{}, {}] })],
])('reports an error for only the first of millions of invalid %s, to save memory', (_, schema, made) => {
  const issues = schema.safeParse(made()).error?.issues ?? [];
  expect(issues.length).toBeGreaterThan(0);
  expect(issues.filter(({ path }) => path.includes(0)).length).toBe(1);
  expect(issues.filter(({ path }) => path.includes(1))).toEqual([]);
});

test('refuses two answers of the same kind: they are from two times', () => {
  expect(() => state(memoryAnswerAt(1), memoryAnswerAt(2))).toThrow('two answers');
});

test.each([
  ['bytes of a category', (text: string) => text.replace('"bytes": 4096000', '"bytes": 4096001')],
  ['frames of a category', (text: string) => text.replace('"frames": 1000,', '"frames": 1001,')],
  ['a category', (text: string) => text.replace('"complete": true', '"complete": false')],
  ['a cache', (text: string) => text.replace('"bytes": 8192000', '"bytes": 8196096')],
  ['a caller', (text: string) => text.replace('"bytes": 819200,', '"bytes": 819201,')],
  ['a process', (text: string) => text.replace('"pssBytes": 4096', '"pssBytes": 4097')],
  ['a duplicate pid', (text: string) => text.replaceAll('"pid": 2', '"pid": 1')],
  ['a pid', (text: string) => text.replace('"pid": 2', '"pid": 3')],
  ['a start time', (text: string) => text.replace('"startTicks": 20', '"startTicks": 90020')],
  ['a socket', (text: string) => text.replace('"pinnedBytes": 8192', '"pinnedBytes": 9192')],
])('reports a value that contradicts its sum: %s', (_, damage) => {
  const text = [memoryAnswerAt(2), procsAnswerAt(2, WORKERS), socketsAnswerAt(2, { 5: 8192, 6: 4096 })]
    .map((each) => formatJson(each, 2))
    .join('\n');
  expect(damage(text)).not.toBe(text);
  const damaged = stateOfAnswers('a', damage(text));
  expect([...new Set(damaged.flaws.map(({ code }) => code))]).toEqual(['inconsistent']);
  const whole = stateOfAnswers('a', text);
  expect(compareStates([damaged, whole]).complete).toBe(false);
});

test('a complete list omits sockets that pin nothing', () => {
  const answer = socketsAnswerAt(2, { 5: 8192, 6: 4096 });
  const listed = (sockets: typeof answer.sockets) =>
    state({ ...answer, sockets, totals: { ...answer.totals, sockets: 3 } }).lists.sockets;
  expect(listed(answer.sockets)).toMatchObject({ whole: true, withoutEmpty: true });
  // --limit 1
  expect(listed(answer.sockets.slice(0, 1))).toMatchObject({ whole: false });
  expect(state(answer).lists.sockets).toMatchObject({ whole: true });
});

test('sockets that share pages sum to more than the total; omitted sockets are still detected', () => {
  const answer = socketsAnswerAt(2, { 5: 8192, 6: 8192 });
  const totals = { ...answer.totals, sockets: 3, pinnedBytes: 12_288, pageBytes: 11_776 };
  const wholeOf = (differs: object) => state({ ...answer, totals, ...differs }).lists.sockets?.whole;
  expect(wholeOf({})).toBe(true);
  // --limit, --min-bytes
  expect(wholeOf({ omitted: 1 })).toBe(false);
  expect(wholeOf({ allListed: false })).toBe(false);
});

describe('answer of skcheck', () => {
  const answer = {
    schema: 'skcheck/1',
    host: { name: 'node7', release: '6.1.0', takenAt: '2026-11-20T10:02:00.000Z', takenAtKnown: true },
    sockets: [
      {
        pid: 4711,
        comm: 'nginx',
        fds: [11],
        family: 'IPv4',
        protocol: 'TCP',
        inode: 5,
        local: '10.0.0.1:80',
        peer: '10.0.0.2:5',
        netns: null,
        unreadBytes: 100,
        pinned: { low: 100, likely: 4096, high: 9999, atMost: null },
      },
    ],
    totals: { sockets: 44, verdicts: { 'stalled-reader': 1, fine: 0 }, countedBy: 'row' },
    complete: true,
    warnings: [],
  };

  test('lists sockets with queued data and an estimate of the memory that they pin', () => {
    const { origin, lists, flaws } = state(answer);
    expect(flaws).toEqual([]);
    expect(origin.at).toBe('2026-11-20T10:02:00.000Z');
    expect(lists.sockets).toMatchObject({ whole: true, withoutEmpty: true });
    const [socket] = lists.sockets?.items.values() ?? [];
    expect(socket?.sizes).toEqual({ estimated: 4096, unread: 100 });
    expect(socket?.who).toMatchObject({ holder: { pid: 4711, comm: 'nginx', fd: 11 } });
  });

  test('has no host or release if the machine’s name and kernel are unknown', () => {
    const { origin, release } = state({ ...answer, host: { ...answer.host, name: '', release: '' } });
    expect([origin.host, release]).toEqual([null, null]);
  });

  test.each([
    ['--top', { ...answer.totals, verdicts: { 'stalled-reader': 2 } }],
    ['--pid', { ...answer.totals, countedBy: 'descriptor' }],
  ])('is incomplete with %s', (_, totals) => {
    expect(state({ ...answer, totals }).lists.sockets?.whole).toBe(false);
  });

  test('has the same inodes as an answer of sockets: the payload is compared', () => {
    const { lists } = compareStates([state(answer), state(socketsAnswerAt(47, { 5: 8192 }))]);
    expect(lists.sockets?.items[0]).toMatchObject({ measure: 'unread', changeBytes: -90 });
  });
});

test('reports memory held by the processes of a cgroup and memory charged to it', () => {
  const answer = procsAnswerAt(2, [
    { pid: 1, start: 10, pss: 4096 },
    { pid: 2, start: 20, pss: 8192 },
  ]);
  const processes = answer.processes.map((one) => ({ ...one, cgroup: '/a' }));
  const charged = { bytes: 0, categories: [] };
  const cgroups = {
    cgroups: [
      {
        path: '/a',
        dying: false,
        slabObjects: 0,
        slabObjectBytes: 0,
        usageBytes: null,
        ...charged,
        bytes: 4_000_000_000,
      },
    ],
    uncharged: { ...charged, bytes: 96_000_000 },
    slabs: charged,
    unnamed: [],
    empty: 0,
  };
  const { lists, flaws } = state({ ...memoryAnswerAt(2), cgroups }, { ...answer, processes });
  expect(flaws).toEqual([]);
  expect([...(lists.cgroups?.items.values() ?? [])].map(({ sizes }) => sizes)).toEqual([
    { charged: 4_000_000_000, usage: null, pss: 12_288, rss: 24_576 },
  ]);
});

test('an incomplete answer reports its first reason', () => {
  const answer = procsAnswerAt(1, WORKERS);
  const warnings = [
    { code: 'unreadable', message: 'one' },
    { code: 'unreadable', message: 'two' },
  ];
  const { flaws } = state({ ...answer, complete: false, warnings });
  expect(flaws).toEqual([{ code: 'incomplete', words: 'one (and 1 more warning)' }]);
});

test('a large process whose PSS one input lacks has not grown by its RSS, and the answer stays complete', () => {
  const warnings = [{ code: 'pss-not-read', message: 'PSS and USS of pid 1 not read' }];
  const [read, other] = [1, 2].map((minute) => procsAnswerAt(minute, [{ pid: 1, start: 10, pss: 4096 }]));
  const lacking = other!.processes.map((one) => ({ ...one, pssBytes: null, pssByKind: null, pssUnknown: 'large' }));
  const large = { ...other, processes: lacking, total: { ...other!.total, pssBytes: null }, complete: false, warnings };
  for (const inputs of [
    [state(read), state(large)],
    [state(large), state(read)],
  ]) {
    const answer = compareStates(inputs);
    expect(answer.lists.processes?.items).toMatchObject([{ measure: 'rss', changeBytes: 0 }]);
    expect(answer.notes.map(({ code }) => code)).not.toContain('incomplete');
    expect(answer.complete).toBe(true);
  }
  const denied = { ...large, warnings: [...warnings, { code: 'unreadable', message: 'denied' }] };
  expect(state(denied).flaws).toMatchObject([{ code: 'incomplete' }]);
});

test('answers of different boots in one file are inconsistent; one minute apart is reported', () => {
  const other = procsAnswerAt(5, WORKERS);
  expect(state(memoryAnswerAt(1), other).flaws.map(({ code }) => code)).toEqual(['spread']);
  const origin = { ...other.origin, bootId: 'else' };
  expect(state(memoryAnswerAt(5), { ...other, origin }).flaws.map(({ code }) => code)).toEqual(['inconsistent']);
});

test.each([
  ['of two hosts', { host: 'node8', bootId: null }, 'different hosts'],
  ['of two hosts with ids', { host: 'node8', bootId: 'else' }, 'different boots'],
  ['booted at two times', { bootId: null, uptimeSeconds: 20 }, 'different boots'],
])('answers in one file %s contradict each other', (_, differs, words) => {
  const other = procsAnswerAt(5, [{ pid: 1, start: 10, pss: 4096 }]);
  const aged = other.processes.map((one) => ({ ...one, ageSeconds: null }));
  const origin = { ...other.origin, ...differs };
  const { flaws } = state(memoryAnswerAt(5), { ...other, processes: aged, origin });
  expect(flaws[0]).toMatchObject({ code: 'inconsistent', words: expect.stringContaining(words) });
});

test('a container’s host name is not a different host: the boot id is the same', () => {
  const other = procsAnswerAt(5, WORKERS);
  const origin = { ...other.origin, host: 'pod' };
  expect(state(memoryAnswerAt(5), { ...other, origin }).flaws).toEqual([]);
});

test('an older answer without start times cannot match its processes', () => {
  const { processes, ...answer } = procsAnswerAt(1, WORKERS);
  const older = processes.map(({ startTicks: _, ...process }) => process);
  const { flaws, lists } = state({ ...answer, processes: older });
  expect(flaws[0]?.words).toContain('start times of 2 processes are missing');
  expect(lists.processes).toMatchObject({ whole: false });
});
