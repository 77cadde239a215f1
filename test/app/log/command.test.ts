import { expect, test } from 'vitest';
import { parseFacilities, parseLevels, parseMoment } from '../../../src/app/log/command.js';

test('parses levels by name, with those above or below', () => {
  expect([...parseLevels('err,info')]).toEqual([3, 6]);
  expect([...parseLevels('err+')]).toEqual([0, 1, 2, 3]);
  expect([...parseLevels('+notice')]).toEqual([5, 6, 7]);
  for (const wrong of ['', 'error', '+err+', 'err,', '3'])
    expect(() => parseLevels(wrong)).toThrow(/Use levels of emerg/);
});

test('parses facilities by name', () => {
  expect([...parseFacilities('kern,local7')]).toEqual([0, 23]);
  expect(() => parseFacilities('kern,')).toThrow(/Use facilities of kern/);
});

test('parses times after boot and before the end', () => {
  expect(parseMoment('90.5')).toEqual({ nanoseconds: 90_500_000_000n, from: 'boot' });
  expect(parseMoment('2h')).toEqual({ nanoseconds: 7_200_000_000_000n, from: 'boot' });
  expect(parseMoment('-10m')).toEqual({ nanoseconds: 600_000_000_000n, from: 'end' });
  expect(parseMoment('-0.000000001s')).toEqual({ nanoseconds: 1n, from: 'end' });
  for (const wrong of ['', '-', 'm', '10x', '1.', '--json', '1e3', ' 1'])
    expect(() => parseMoment(wrong)).toThrow(/seconds after boot/);
});
