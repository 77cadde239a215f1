import { expect, test } from 'vitest';
import { once } from '../../src/base/once.js';

test('something is made when it is asked for, once, also if it is undefined', () => {
  let made = 0;
  const get = once(() => {
    made++;
  });
  expect(made).toBe(0);
  expect([get(), get()]).toEqual([undefined, undefined]);
  expect(made).toBe(1);
});

test('what making it throws is thrown again, and it is not tried again', () => {
  let tries = 0;
  const get = once(() => {
    throw new Error(`try ${++tries}`);
  });
  expect(get).toThrow('try 1');
  expect(get).toThrow('try 1');
});
