import { expect, test } from 'vitest';
import { exhaustionOf } from '../../src/base/errors.js';
import { once } from '../../src/base/util.js';

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
