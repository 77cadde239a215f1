import { expect, test } from 'vitest';
import { exhaustionOf } from '../../src/base/errors.js';
import { bytesByValue, eachRun, once } from '../../src/base/util.js';

test('creates a value once, on demand, even if it is undefined', () => {
  let made = 0;
  const get = once(() => {
    made++;
  });
  expect(made).toBe(0);
  expect([get(), get()]).toEqual([undefined, undefined]);
  expect(made).toBe(1);
});

test('throws the same error again, without a retry', () => {
  let tries = 0;
  const get = once(() => {
    throw new Error(`try ${++tries}`);
  });
  expect(get).toThrow('try 1');
  expect(get).toThrow('try 1');
});

test('classifies a thread that fails to start for lack of descriptors as no bug', () => {
  const error = Object.assign(new Error('Worker initialization failure: EMFILE'), { code: 'ERR_WORKER_INIT_FAILED' });
  expect(exhaustionOf(error)).toMatch(/\(EMFILE\)$/);
  expect(exhaustionOf(new Error('Worker initialization failure: EIO'))).toBeUndefined();
});

test('visits each run of equal bytes once, wherever it begins and ends', () => {
  const memory = Uint8Array.from({ length: 2003 }, (_, index) => [7, 7, 0, 255, 255][Math.floor(index / 83) % 5]!);
  for (const at of [5, 6, 7, 8, 600, 603, 1990]) memory[at] = 9;
  for (const [offset, from, to] of [
    [0, 0, 2003],
    [1, 2, 1999],
    [3, 100, 100],
    [2, 500, 540],
    [0, 1921, 2003],
  ] as const) {
    const bytes = memory.subarray(offset);
    const runs: (readonly [number, number, number])[] = [];
    eachRun(bytes, (value, start, end) => runs.push([value, start, end]), from, Math.min(to, bytes.length));
    const expected: [number, number, number][] = [];
    for (let at = from; at < Math.min(to, bytes.length); at++) {
      const last = expected.at(-1);
      if (last !== undefined && last[0] === bytes[at]) last[2] = at + 1;
      else expected.push([bytes[at]!, at, at + 1]);
    }
    expect(runs).toEqual(expected);
  }
  expect(bytesByValue(memory)[9]).toBe(7);
});
