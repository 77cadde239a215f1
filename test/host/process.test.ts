import { describe, expect, test } from 'vitest';
import { readMaxSkbFrags, readUnplacedMemory } from '../../src/host/proc/memory.js';
import { findProcess, readProcess, readSwitches, stoodStill } from '../../src/host/proc/process.js';
import { FakeHost } from './fake-host.js';

function host(threads: [number, string, number][]) {
  const fake = new FakeHost();
  fake.addProcess(10, { comm: 'a\u001b[31m,"\nb', threads });
  return fake;
}

test('returns comm unchanged, including newlines', () => {
  expect(readProcess(host([[10, 'S', 1]]), 10)?.comm).toBe('a\u001b[31m,"\nb');
});

test('returns null for an exited process, and refuses its pid', () => {
  expect(readProcess(new FakeHost(), 10)).toBeNull();
  expect(() => findProcess(new FakeHost(), 10)).toThrow('no process has pid 10');
});

test('resolves a thread id to its process, whatever the name of the process is', () => {
  const fake = new FakeHost();
  fake.files.set('/proc/12/status', 'Name:\tTgid:\\n\nUmask:\t0022\nTgid:\t10\nPid:\t12\n');
  expect(findProcess(fake, 12)).toBe(10);
});

describe('stoodStill', () => {
  const switches = (...threads: [number, string, number][]) => readSwitches(host(threads), 10);
  const before = switches([10, 'S', 5], [11, 'S', 9]);

  test('is true if no thread was switched out', () => {
    expect(stoodStill(before, switches([10, 'S', 5], [11, 'S', 9]))).toBe(true);
    expect(stoodStill(before, switches([10, 'T', 5], [11, 'D', 9]))).toBe(true);
  });
  test.each<[string, [number, string, number][]]>([
    [
      'one thread was switched out',
      [
        [10, 'S', 5],
        [11, 'S', 10],
      ],
    ],
    [
      'one is on a CPU',
      [
        [10, 'R', 5],
        [11, 'S', 9],
      ],
    ],
    [
      'a thread is new',
      [
        [10, 'S', 5],
        [11, 'S', 9],
        [12, 'S', 0],
      ],
    ],
    [
      'a thread was replaced',
      [
        [10, 'S', 5],
        [13, 'S', 9],
      ],
    ],
  ])('is false if the process ran: %s', (_, threads) => {
    expect(stoodStill(before, switches(...threads))).toBe(false);
  });
  test('is null if a reading is missing', () => {
    expect(stoodStill(before, null)).toBeNull();
  });
});

describe('memory that may contain packets', () => {
  test('is in no counter, and never more than exists', () => {
    const fake = new FakeHost();
    fake.files.set(
      '/proc/meminfo',
      [
        'MemTotal: 24684084',
        'MemFree: 23919072',
        'Active: 136164',
        'Inactive: 382328',
        'Active(anon): 1544',
        'Unevictable: 15080',
        'Slab: 169280',
        'KernelStack: 1448',
        'PageTables: 2056',
        '',
      ].join(' kB\n'),
    );
    const unplaced = (24684084 - 23919072 - 136164 - 382328 - 15080 - 169280 - 1448 - 2056) * 1024;
    expect(readUnplacedMemory(fake).unplaced).toBeCloseTo(unplaced + (24684084 * 1024) / 200, -3);
    fake.files.set('/proc/meminfo', 'MemTotal: 1024 kB\n');
    expect(readUnplacedMemory(fake)).toEqual({ total: 2 ** 20, available: null, unplaced: 2 ** 20 });
    fake.files.set('/proc/meminfo', 'MemTotal: 1024 kB\nMemAvailable: 512 kB\n');
    expect(readUnplacedMemory(fake).available).toBe(2 ** 19);
  });

  test('is unknown without MemTotal', () => {
    const fake = new FakeHost();
    fake.files.set('/proc/meminfo', 'MemFree: 12 kB\n');
    expect(() => readUnplacedMemory(fake)).toThrow('MemTotal');
  });

  test.each([
    ['17\n', 17],
    ['45\n', 45],
    ['4\n', 17],
    ['rubbish', 17],
  ])('reads max_skb_frags %j as %d', (text, frags) => {
    const fake = new FakeHost();
    fake.files.set('/proc/sys/net/core/max_skb_frags', text);
    expect(readMaxSkbFrags(fake)).toBe(frags);
  });
});
