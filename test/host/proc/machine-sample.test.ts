import { expect, test } from 'vitest';
import {
  parsePressure,
  readCgroupPressure,
  readMachine,
  readMachinePressure,
} from '../../../src/host/proc/machine-sample.js';
import { FakeHost } from '../fake-host.js';

const SOME = 'some avg10=1.53 avg60=0.87 avg300=100.00 total=10927';
const PSI = `${SOME}\nfull avg10=0.00 avg60=0.11 avg300=0.00 total=7\n`;
const PARSED = {
  some: { avg10: 1.53, avg60: 0.87, avg300: 100, totalMicroseconds: 10_927 },
  full: { avg10: 0, avg60: 0.11, avg300: 0, totalMicroseconds: 7 },
};

test('both lines of PSI are read', () => {
  expect(parsePressure(PSI)).toEqual(PARSED);
});

test.each(['', `${SOME}\n`, PSI.replace('0.11', 'much'), PSI.replace('avg60', 'avg61')])(
  '%j is none',
  (text) => {
    expect(parsePressure(text)).toBeNull();
  },
);

test('a kernel without PSI is reported, without zeros', () => {
  const host = new FakeHost();
  expect(readMachinePressure(host)).toEqual({
    code: 'gone',
    why: '/proc/pressure/memory: not found',
  });
  host.files.set('/proc/pressure/memory', 'broken');
  expect(readMachinePressure(host)).toMatchObject({
    code: 'unreadable',
    why: 'malformed /proc/pressure/memory',
  });
  host.files.set('/proc/pressure/memory', PSI);
  expect(readMachinePressure(host)).toEqual({ pressure: PARSED });
});

test.each(['/sys/fs/cgroup', '/sys/fs/cgroup/unified'])('a cgroup has its own below %s', (root) => {
  const host = new FakeHost();
  host.files.set(`${root}/a/b/memory.pressure`, PSI);
  expect(readCgroupPressure(host, '/a/b')).toEqual(PARSED);
  expect(readCgroupPressure(host, '/a')).toBeNull();
});

test('a path that leads out of the cgroups is not followed', () => {
  const host = new FakeHost();
  host.files.set('/sys/fs/cgroup/../../x/memory.pressure', PSI);
  expect(readCgroupPressure(host, '/../../x')).toBeNull();
});

test('a machine without a monotonic clock is no sample', () => {
  const host = new FakeHost();
  expect(() => readMachine(host, new Date())).toThrow('malformed /proc/uptime');
});

test('values that a machine does not report are null', () => {
  const host = new FakeHost();
  host.files.set('/proc/uptime', '12.50 3.00\n');
  host.files.delete('/proc/meminfo');
  const none = { total: null, available: null, swapTotal: null, swapFree: null };
  expect(readMachine(host, new Date(5))).toEqual({
    at: new Date(5),
    uptime: 12.5,
    bootId: null,
    host: null,
    ...none,
    pressure: null,
    noPressure: '/proc/pressure/memory: not found',
    noPressureCode: 'gone',
  });
  host.files.set('/proc/meminfo', 'MemTotal:  100 kB\nMemAvailable:  50 kB\nSwapTotal:  0 kB\n');
  host.files.set('/proc/sys/kernel/random/boot_id', 'b1\n');
  expect(readMachine(host, new Date(5))).toMatchObject({
    total: 102_400,
    available: 51_200,
    swapTotal: 0,
    swapFree: null,
    bootId: 'b1',
  });
});
