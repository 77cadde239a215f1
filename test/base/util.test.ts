import { expect, test } from 'vitest';
import { once } from '../../src/base/util.js';

test('a value is created once, on demand, even if it is undefined', () => {
  let made = 0;
  const get = once(() => {
    made++;
  });
  expect(made).toBe(0);
  expect([get(), get()]).toEqual([undefined, undefined]);
  expect(made).toBe(1);
});

test('an error is thrown again, without a retry', () => {
  let tries = 0;
  const get = once(() => {
    throw new Error(`try ${++tries}`);
  });
  expect(get).toThrow('try 1');
  expect(get).toThrow('try 1');
});
