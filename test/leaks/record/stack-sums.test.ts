import { describe, expect, test } from 'vitest';
import type { Frame } from '../../../src/contracts/stacks.js';
import { periodFor } from '../../../src/profile/faults/ask.js';
import { checkFaults, checkGrowth } from '../../../src/profile/faults/counts.js';
import { allocatingFrame, mappingKind, reachesStart, StackSums } from '../../../src/profile/faults/stack-sums.js';
import type { Sample } from '../../../src/profile/perf/script.js';

const frame = (symbol: string | null, module = '/bin/x'): Frame => ({ symbol, module, offset: '0x8', guess: false });
const LIBC = '/usr/lib/x86_64-linux-gnu/libc.so.6';
const MALLOC = [frame('_int_malloc', LIBC), frame('leak'), frame('main'), frame('_start')];

function fault(mapping: string, frames: readonly Frame[] = MALLOC, more = {}): Sample {
  return { pid: 7, tid: 7, frames, what: { type: 'fault', major: false, mapping, pageBytes: 4096, ...more } };
}

describe('sums of faults by stack', () => {
  test('are scaled by the period, with huge pages at their size and each kind separate', () => {
    const sums = new StackSums(7, 3, 4096, null);
    sums.add(fault('[heap]'));
    sums.add(fault('//anon', MALLOC, { pageBytes: 2 ** 21 }));
    sums.add(fault('/memfd:x (deleted)'));
    sums.add(fault('/bin/x'));
    const [stack, ...others] = sums.stacks.values();
    expect(others).toEqual([]);
    expect(stack).toMatchObject({
      newBytes: 3 * (2 * 4096 + 2 ** 21),
      anonymous: { faults: 6, bytes: 3 * (4096 + 2 ** 21) },
      shared: { faults: 3, bytes: 3 * 4096 },
    });
    expect(sums.kinds.file).toEqual({ faults: 3, bytes: 3 * 4096 });
    expect(sums.minor).toBe(12);
  });

  test('exclude pages from swap and faults of children', () => {
    const sums = new StackSums(7, 1, 4096, null);
    sums.add(fault('[heap]', MALLOC, { major: true }));
    sums.add({ ...fault('[heap]'), pid: 8 });
    expect(sums.stacks.size).toBe(0);
    expect([sums.swappedIn.bytes, sums.ofChildren, sums.major]).toEqual([4096, 1, 1]);
  });

  test('include the heap growth that brk requests', () => {
    const sums = new StackSums(7, 1, 4096, 0x1000n);
    for (const value of [0x3000n, 0x2000n, 0x5000n])
      sums.add({ pid: 7, tid: 7, what: { type: 'brk', value, anonymous: true }, frames: MALLOC });
    expect([...sums.space.brk.values()]).toMatchObject([{ calls: 2, bytes: 0x5000 }]);
  });

  test('merge excess stacks into one, without loss of bytes', () => {
    const sums = new StackSums(7, 1, 4096, null);
    for (let index = 0; index < 50_100; index++) sums.add(fault('[heap]', [frame(`f${index}`), frame('_start')]));
    expect(sums.stacks.size).toBe(50_001);
    const total = [...sums.stacks.values()].reduce((sum, stack) => sum + stack.newBytes, 0);
    expect(total).toBe(50_100 * 4096);
  });
});

test.each([
  ['the caller of malloc', MALLOC, 'leak'],
  ['where libc is inside', [frame('__libc_malloc'), frame('leak'), frame('main')], 'leak'],
  ['new of C++', [frame('operator new(unsigned long)'), frame('Cache::add()')], 'Cache::add()'],
  ['a function without a symbol', [frame('malloc', LIBC), frame(null)], null],
  ['the innermost where there are allocators alone', [frame('malloc', LIBC)], 'malloc'],
] as const)('name the allocating function: %s', (_, frames, symbol) => {
  expect(allocatingFrame(frames)?.symbol).toBe(symbol);
});

test('recognize a stack that does not reach the start of its thread as truncated', () => {
  expect(reachesStart(MALLOC)).toBe(true);
  expect(reachesStart([frame('leak'), frame('start_thread', LIBC)])).toBe(true);
  expect(reachesStart(MALLOC.slice(0, -1))).toBe(false);
  expect(reachesStart([])).toBe(false);
});

test.each([
  ['[heap]', 'anonymous'],
  ['[stack]', 'anonymous'],
  ['[anon:my\npool]', 'anonymous'],
  ['/dev/zero (deleted)', 'shared'],
  ['/SYSV0000abcd (deleted)', 'shared'],
  ['/dev/shm/x', 'shared'],
  ['/anon_hugepage (deleted)', 'hugetlb'],
  ['/dev/zeros', 'file'],
  ['[vdso]', 'file'],
  ['[unknown]', 'unknown'],
])('classify a fault on %j as %s', (name, kind) => {
  expect(mappingKind(name)).toBe(kind);
});

test('have period 1 if there is room, otherwise a prime', () => {
  expect(periodFor(1000, 10, 2 ** 28)).toBe(1);
  expect(periodFor(100_000, 10, 2 ** 28)).toBe(67);
  expect(periodFor(1000, 60, 2 ** 20)).toBeGreaterThan(900);
});

describe("comparison of perf with the kernel's fault counters", () => {
  const at = (minor: number) => ({ minor, major: 0 });
  const counted = { before: at(100), begun: at(110), ending: at(210), ended: at(215) };
  const recorded = (minor: number) => {
    const sums = new StackSums(7, 1, 4096, null);
    for (let index = 0; index < minor; index++) sums.add(fault('[heap]'));
    return sums;
  };

  test.each([100, 107, 115])('%i faults of 100 to 115 are complete', (minor) => {
    expect(checkFaults(recorded(minor), counted, 0, 1)).toEqual([]);
  });

  test.each([99, 116])('%i faults of 100 to 115 contradict the counters', (minor) => {
    expect(checkFaults(recorded(minor), counted, 0, 1)).toMatchObject([{ code: 'contradicted' }]);
  });

  test('lost events explain missing faults', () => {
    expect(checkFaults(recorded(99), counted, 1, 1)).toEqual([]);
  });

  test('reports RssAnon growth beyond the recorded faults', () => {
    expect(checkGrowth(recorded(100), 100 * 4096, 1)).toBeUndefined();
    expect(checkGrowth(recorded(100), 2 ** 30, 1)).toMatchObject({ code: 'contradicted' });
  });
});
