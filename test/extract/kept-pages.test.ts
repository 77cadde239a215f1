import { expect, test } from 'vitest';
import { KeptPages, WHOLE } from '../../src/extract/kept-pages.js';

const PAGE = 4096;

test('keeps bytes exactly, across page boundaries', () => {
  const kept = new KeptPages(PAGE);
  kept.keep(3 * PAGE + 4093, 5);
  kept.keep(3 * PAGE + 17, 30);
  kept.keep(6 * PAGE - 1, PAGE + 2);
  expect(kept.pages).toEqual([3, 4, 5, 6, 7]);
  expect(kept.rangesOf(3)).toEqual([
    { start: 17, end: 47 },
    { start: 4093, end: 4096 },
  ]);
  expect(kept.rangesOf(4)).toEqual([{ start: 0, end: 2 }]);
  expect(kept.rangesOf(5)).toEqual([{ start: 4095, end: 4096 }]);
  expect(kept.rangesOf(6)).toBe(WHOLE);
  expect(kept.rangesOf(8)).toEqual([]);
});

test('keeps equal pages independent of each other', () => {
  const kept = new KeptPages(PAGE);
  const count = 20_000;
  for (let page = 0; page < count; page++) kept.keep(page * PAGE + 64, 8);
  kept.keep(7 * PAGE + 100, 4);
  kept.forget(9 * PAGE + 64, 4);
  kept.forget(11 * PAGE + 64, 8);
  kept.keepWhole(13);
  kept.drop(15);
  for (let page = 0; page < count; page += 1000) kept.keep(page * PAGE + 72, 1);

  const alike = [{ start: 64, end: 72 }];
  const expected = new Map<number, unknown>([
    [7, [...alike, { start: 100, end: 104 }]],
    [9, [{ start: 68, end: 72 }]],
    [13, WHOLE],
  ]);
  for (let page = 0; page < count; page += 1000) expected.set(page, [{ start: 64, end: 73 }]);
  const storedPages = Array.from({ length: count }, (_, page) => page).filter((page) => page !== 11 && page !== 15);
  expect(kept.pages).toEqual(storedPages);
  for (const page of storedPages) expect(kept.rangesOf(page)).toEqual(expected.get(page) ?? alike);
  expect([...kept.partial()].map(([page]) => page)).toEqual(storedPages.filter((page) => page !== 13));
});
