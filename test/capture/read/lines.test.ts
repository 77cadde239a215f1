import { expect, test } from 'vitest';
import { PathLines } from '../../../src/capture/read/lines.js';

const FORM = { path: /^(\/proc\/\d+\/\w+):/, head: 64, limit: 10 };

const of = (text: string, form = FORM, endless = false) => new PathLines(Buffer.from(text), form, endless);

test('returns lines of a path without the path, whatever else they contain', () => {
  const lines = of('/proc/1/comm:a:b\n/proc/2/comm:/proc/1/comm:c\n/proc/1/stat:\n');
  expect([...lines.paths()]).toEqual(['/proc/1/comm', '/proc/2/comm', '/proc/1/stat']);
  expect(lines.text('/proc/1/comm')).toBe('a:b\n');
  expect(lines.text('/proc/2/comm')).toBe('/proc/1/comm:c\n');
  expect(lines.text('/proc/1/stat')).toBe('\n');
  expect(lines.text('/proc/3/comm')).toBeUndefined();
});

test('assigns malformed lines to no path', () => {
  const lines = of('noise\n/proc/1/comm:a\nnoise\n/proc/1/comm:b\n/etc/passwd:root\n');
  expect([...lines.paths()]).toEqual(['/proc/1/comm']);
  expect(lines.text('/proc/1/comm')).toBe('a\nb\n');
});

test('returns an unterminated last line, and joins separate lines of a path', () => {
  const lines = of('/proc/1/comm:é\n/proc/2/comm:x\n/proc/1/comm:y');
  expect(lines.text('/proc/1/comm')).toBe('é\ny\n');
});

test('skips the last path of a truncated file', () => {
  const text = '/proc/1/smaps:a\n/proc/1/smaps:b\n/proc/2/smaps:c\n/proc/2/sma';
  expect(of(text, FORM, true).text('/proc/1/smaps')).toBe('a\nb\n');
  expect(of(text, FORM, true).text('/proc/2/smaps')).toBeUndefined();
  const whole = '/proc/1/smaps:a\n/proc/2/smaps:c\n';
  expect(of(whole, FORM, true).text('/proc/2/smaps')).toBeUndefined();
});

test('limits the number of runs, and reports that', () => {
  const text = Array.from({ length: 40 }, (_, at) => `/proc/${at % 20}/comm:x\n`).join('');
  const lines = of(text);
  expect(lines.cut).toBe(true);
  expect([...lines.paths()]).toHaveLength(10);
  expect(of('/proc/1/comm:x\n'.repeat(40)).cut).toBe(false);
});
