import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FiledLines } from '../../src/many/output.js';
import { ToldLines } from '../../src/many/told-lines.js';
import { parseLine } from '../../src/report/triage/end.js';
import { failedJson, lineJson } from '../../src/report/triage/line.js';
import { DumpDirectory } from '../support/dump/file.js';

let folder: DumpDirectory;
beforeEach(() => {
  folder = new DumpDirectory();
});
afterEach(() => {
  folder.dispose();
});

const MTIME = '2026-11-20T04:12:00.000Z';
const facts = (dump: string, size = 100) => ({ dump, size, mtime: MTIME, parts: 1 });

function line(dump: string, size = 100): string {
  const told = failedJson({ code: 'damaged', message: 'so', signal: null });
  return JSON.stringify(lineJson(facts(dump, size), told, 0.1));
}

function taken(text: string, name = 'earlier'): ToldLines {
  const told = new ToldLines(parseLine);
  told.take(folder.write(name, text), true);
  return told;
}

test('a dump that has another size or time is not known', () => {
  const told = taken(`${line('/a')}\n${line('/b')}\n`);
  expect(told.find(facts('/a'))).toMatchObject({ dump: '/a', ok: false });
  expect(told.find(facts('/a', 101))).toBeUndefined();
  expect(told.find({ ...facts('/a'), mtime: '2026-11-20T04:12:01.000Z' })).toBeUndefined();
  expect(told.text('/b')).toBe(line('/b'));
  told.close();
});

test.each([1, 20, 60])(
  'a last line that lacks %i bytes is none, and the next begins in its place',
  (lost) => {
    const whole = `${line('/a')}\n${line('/b')}\n`;
    const file = join(folder.path, 'out');
    writeFileSync(`${file}.part`, whole.slice(0, -lost));
    const told = new ToldLines(parseLine);
    const output = new FiledLines(file, told);
    expect(told.find(facts('/b'))).toBeUndefined();
    const again = line('/b');
    output.write(1, '/b', again, { ...facts('/b'), ok: false, complete: false, findings: [] });
    expect(readFileSync(`${file}.part`, 'utf8')).toBe(whole);
    output.finish(['/b', '/a'], '{}');
    expect(readFileSync(file, 'utf8')).toBe(`${line('/b')}\n${line('/a')}\n{}\n`);
    expect(() => readFileSync(`${file}.part`)).toThrow(/ENOENT/);
    output.close();
    told.close();
  },
);

test('of two lines of a dump the later counts', () => {
  const told = taken(`${line('/a', 1)}\n${line('/b')}\n${line('/a', 2)}\n`);
  expect(told.find(facts('/a', 1))).toBeUndefined();
  expect(told.find(facts('/a', 2))).toBeDefined();
  expect(told.own().map(({ dump }) => dump)).toEqual(['/b', '/a']);
  told.close();
});

test.each([
  ['a dump', 'KDUMP   and more\n'],
  ['another JSON', '{"schema":"kdump-mem.socket/1"}\n'],
  ['no line at all', 'something else without an end'],
  [
    'a line that is damaged',
    `${line('/a')}\n{"schema":"kdump-mem.triage-line/1","dump":\n${line('/b')}\n`,
  ],
])('%s is not written over', (_, text) => {
  const file = join(folder.path, 'out');
  writeFileSync(file, text);
  const told = new ToldLines(parseLine);
  expect(() => new FiledLines(file, told)).toThrow(/is no output of triage/);
  expect(readFileSync(file, 'utf8')).toBe(text);
  told.close();
});

test('a run that was killed in its first line is gone on with', () => {
  const file = join(folder.path, 'out');
  writeFileSync(`${file}.part`, line('/a').slice(0, 50));
  const told = new ToldLines(parseLine);
  new FiledLines(file, told).close();
  expect(readFileSync(`${file}.part`, 'utf8')).toBe('');
  told.close();
});
