import { expect, test } from 'vitest';
import { StoredError } from '../../../src/answers/growth/stored.js';
import { MAX_DEVICES, storedWatchSample, watchSampleLine } from '../../../src/answers/watch/sample.js';
import { formatJson } from '../../../src/base/util.js';
import { type DeviceSample, watchSampleSchema } from '../../../src/contracts/watch.js';
import type { WatchSample } from '../../../src/growth/watch/answer.js';
import { DEVICE_KINDS } from '../../../src/records/named-memory.js';
import { held, look } from '../../growth/made-up-machine.js';

const HOSTILE = '\u001b]0;x\u0007\u202e"\\\n{';

const PERF: DeviceSample = {
  kind: 'trace-rings',
  name: 'perf',
  bytes: 7,
  leastBytes: 7,
  mostBytes: 9,
  process: { pid: 3, comm: HOSTILE, bytes: 7 },
};

function sample(processes = [held(1, 10), held(2, null)]): WatchSample {
  return {
    look: { ...look(600, processes), others: { processes: 40, takenBytes: null, seenBytes: 7 } },
    ledger: {
      source: 'pageflags',
      categories: new Map([
        ['anonymous', 5],
        ['unattributed', 0],
      ]),
    },
    devices: { devices: [PERF, { ...PERF, kind: 'pinned', bytes: null, process: null }], unread: ['gpu'] },
    noCategories: null,
    noCategoriesCode: null,
    hidden: true,
    interval: 60,
    lost: 3,
  };
}

test('a line contains the sample and conforms to its schema', () => {
  const one = sample([held(1, 10), held(2, null), held(3, 1, { comm: HOSTILE })]);
  const json = watchSampleLine(one);
  expect(watchSampleSchema.parse(json)).toEqual(json);
  const line = formatJson(json);
  expect(line).toMatch(/^[\x20-\x7e]+$/);
  expect(storedWatchSample(line)).toEqual(one);
});

test('a sample without categories reports the reason', () => {
  const why = { noCategories: 'it may not be read', noCategoriesCode: 'denied' } as const;
  const one = { ...sample(), ledger: null, ...why };
  expect(storedWatchSample(formatJson(watchSampleLine(one)))).toEqual(one);
});

test('a line stays below the maximum length for names of any length', () => {
  const worst = held(2 ** 22, 2 ** 30, {
    comm: '\u202e'.repeat(15),
    startTicks: 1e15,
    uptimeSeconds: 1e9 + 1 / 3,
    minorFaults: 1e15,
    majorFaults: 1e15,
  });
  const longest = { ...worst, cgroup: `/${'\u202e'.repeat(39)}`, nsPids: Array<number>(32).fill(2 ** 22) };
  const name = '\u202e'.repeat(39);
  const process = { pid: 2 ** 22, comm: '\u202e'.repeat(15), bytes: 2 ** 52 };
  const device = {
    kind: 'trace-rings',
    name,
    bytes: 2 ** 52,
    leastBytes: 2 ** 52,
    mostBytes: 2 ** 52,
    process,
  } as const;
  const devices = { devices: Array<DeviceSample>(MAX_DEVICES).fill(device), unread: DEVICE_KINDS };
  const json = watchSampleLine({ ...sample(Array(100).fill(longest)), devices });
  expect(json.devices).toHaveLength(MAX_DEVICES);
  expect(json.processes[0]?.cgroup).not.toBeNull();
  expect(formatJson(json).length).toBeLessThan(64 * 1024);
  const longer = { ...worst, cgroup: `/${'x'.repeat(4000)}` };
  expect(watchSampleLine(sample([longer])).processes[0]?.cgroup).toBeNull();
});

test('ignores a truncated line', () => {
  const line = formatJson(watchSampleLine(sample()));
  for (const length of [1, 10, 100, line.length - 1]) expect(storedWatchSample(line.slice(0, length))).toBeNull();
  expect(storedWatchSample(`${line.slice(0, 50)}${'\0'.repeat(50)}`)).toBeNull();
});

test('reads a line of an earlier release without codes', () => {
  const one = sample();
  const {
    noPressureCode: _,
    noCategoriesCode: __,
    devices: ___,
    unreadDevices: ____,
    ...earlier
  } = watchSampleLine(one);
  const { machine } = one.look;
  expect(storedWatchSample(JSON.stringify(earlier))).toEqual({
    ...one,
    devices: null,
    look: { ...one.look, machine: { ...machine, noPressureCode: null } },
  });
});

test('ignores fields of a later release', () => {
  const json = watchSampleLine(sample());
  const later = { ...json, more: 1, processes: json.processes.map((one) => ({ ...one, x: 2 })) };
  expect(storedWatchSample(JSON.stringify(later))).toEqual(sample());
});

test.each([
  ['{}', 'not a line of kdump-mem watch --store: it contains no schema'],
  ['[]', 'it contains no schema'],
  ['{"schema":"kdump-mem.procs-sample/1"}', 'kdump-mem.procs-sample/1 is not a sample of kdump-mem watch --store'],
  [JSON.stringify({ ...watchSampleLine(sample()), lostBefore: -1 }), 'lostBefore:'],
  [JSON.stringify({ ...watchSampleLine(sample()), categories: { nothing: 1 } }), 'categories'],
  [JSON.stringify({ ...watchSampleLine(sample()), at: 'today' }), 'at:'],
])('refuses a sample: %s', (line, words) => {
  expect(() => storedWatchSample(line)).toThrow(StoredError);
  expect(() => storedWatchSample(line)).toThrow(words);
});
