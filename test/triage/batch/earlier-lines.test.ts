import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { failedJson, lineJson, parseLine } from '../../../src/answers/triage/line.js';
import { EarlierLines } from '../../../src/triage/batch/earlier-lines.js';
import { FiledLines } from '../../../src/triage/batch/output.js';
import { DumpDirectory } from '../../support/dump/file.js';

let folder: DumpDirectory;
beforeEach(() => {
  folder = new DumpDirectory();
});
afterEach(() => {
  folder.dispose();
});

const MTIME = '2026-11-20T04:12:00.000Z';
const facts = (dump: string, size = 100) => ({ dump, size, mtime: MTIME, parts: 1, rulesFile: null });

function line(dump: string, size = 100): string {
  const failure = failedJson({ code: 'damaged', message: 'so', signal: null });
  return JSON.stringify(lineJson(facts(dump, size), failure, 0.1));
}

function readEarlier(text: string, name = 'earlier'): EarlierLines {
  const earlier = new EarlierLines(parseLine);
  earlier.take(folder.write(name, text), true);
  return earlier;
}

test('does not match a dump with another size or modification time', () => {
  const earlier = readEarlier(`${line('/a')}\n${line('/b')}\n`);
  expect(earlier.find(facts('/a'))).toMatchObject({ dump: '/a', ok: false });
  expect(earlier.find(facts('/a', 101))).toBeUndefined();
  expect(earlier.find({ ...facts('/a'), mtime: '2026-11-20T04:12:01.000Z' })).toBeUndefined();
  // Other rules have other findings.
  expect(earlier.find({ ...facts('/a'), rulesFile: 'ab'.repeat(32) })).toBeUndefined();
  expect(earlier.text('/b')).toBe(line('/b'));
  earlier.close();
});

test.each([1, 20, 60])('drops a last line that lacks %i bytes, and writes the next in its place', (lost) => {
  const whole = `${line('/a')}\n${line('/b')}\n`;
  const file = join(folder.path, 'out');
  writeFileSync(`${file}.part`, whole.slice(0, -lost));
  const earlier = new EarlierLines(parseLine);
  const output = new FiledLines(file, earlier);
  expect(earlier.find(facts('/b'))).toBeUndefined();
  const again = line('/b');
  output.write(1, '/b', again, { ...facts('/b'), ok: false, complete: false, findings: [] });
  expect(readFileSync(`${file}.part`, 'utf8')).toBe(whole);
  output.finish(['/b', '/a'], '{}');
  expect(readFileSync(file, 'utf8')).toBe(`${line('/b')}\n${line('/a')}\n{}\n`);
  expect(() => readFileSync(`${file}.part`)).toThrow(/ENOENT/);
  output.close();
  earlier.close();
});

test('uses the later of two lines about a dump', () => {
  const earlier = readEarlier(`${line('/a', 1)}\n${line('/b')}\n${line('/a', 2)}\n`);
  expect(earlier.find(facts('/a', 1))).toBeUndefined();
  expect(earlier.find(facts('/a', 2))).toBeDefined();
  expect(earlier.own().map(({ dump }) => dump)).toEqual(['/b', '/a']);
  earlier.close();
});

test.each([
  ['a dump', 'KDUMP   and more\n'],
  ['another JSON', '{"schema":"kdump-mem.socket/1"}\n'],
  ['text without a line end', 'something else without an end'],
  ['a line that is damaged', `${line('/a')}\n{"schema":"kdump-mem.triage-line/1","dump":\n${line('/b')}\n`],
  ['malformed findings', line('/a').replace('"findings":null', '"findings":[null]')],
  ['findings that are a number', line('/a').replace('"findings":null', '"findings":5')],
  ['a release that is a number', line('/a').replace('"release":null', '"release":5')],
])('does not overwrite %s', (_, text) => {
  const file = join(folder.path, 'out');
  writeFileSync(file, text.endsWith('}') ? `${text}\n` : text);
  const earlier = new EarlierLines(parseLine);
  expect(() => new FiledLines(file, earlier)).toThrow(/is not output of triage/);
  expect(readFileSync(file, 'utf8').trimEnd()).toBe(text.trimEnd());
  expect(existsSync(`${file}.part`) && readFileSync(`${file}.part`, 'utf8')).toBeFalsy();
  earlier.close();
});

test('resumes a run that was killed during its first line', () => {
  const file = join(folder.path, 'out');
  writeFileSync(`${file}.part`, line('/a').slice(0, 50));
  const earlier = new EarlierLines(parseLine);
  new FiledLines(file, earlier).close();
  expect(readFileSync(`${file}.part`, 'utf8')).toBe('');
  earlier.close();
});

test('accepts lines with fewer or more fields than this version writes', () => {
  const { rulesFile, ...older } = JSON.parse(line('/a'));
  expect(rulesFile).toBeNull();
  const earlier = readEarlier(`${JSON.stringify({ ...older, added: 1 })}\n`);
  expect(earlier.find(facts('/a'))).toMatchObject({ dump: '/a', rulesFile: null });
  earlier.close();
});

/** Lines of failed dumps. */
const TOLD = { ok: false, complete: false, findings: [] };

test('copies no line of another run if two runs have one output', () => {
  const file = join(folder.path, 'out');
  const [earlier, others] = [new EarlierLines(parseLine), new EarlierLines(parseLine)];
  const output = new FiledLines(file, earlier);
  const other = new FiledLines(file, others);
  output.write(0, '/a', line('/a'), { ...facts('/a'), ...TOLD });
  const late = () => other.write(0, '/b', line('/b'), { ...facts('/b'), ...TOLD });
  expect(late).toThrow(/another run is writing to .*out\.part/);
  output.finish(['/a'], '{}');
  expect(readFileSync(file, 'utf8')).toBe(`${line('/a')}\n{}\n`);
  // Its file was removed.
  expect(() => other.finish([], '{}')).toThrow(/another run/);
  expect(readFileSync(file, 'utf8')).toBe(`${line('/a')}\n{}\n`);
  for (const one of [output, other, earlier, others]) one.close();
});

test('refuses a link or a FIFO before it reads dumps', () => {
  const earlier = new EarlierLines(parseLine);
  const [link, fifo] = [join(folder.path, 'link'), join(folder.path, 'fifo')];
  symlinkSync('target', link);
  execFileSync('mkfifo', [fifo, `${fifo}-2.part`]);
  for (const file of [link, fifo, `${fifo}-2`])
    expect(() => new FiledLines(file, earlier)).toThrow(/not a regular file/);
  expect(() => earlier.take(fifo, false)).toThrow(/not a regular file/);
  expect(() => earlier.take(join(folder.path, 'none'), false)).toThrow(/cannot be read \(ENOENT\)/);
  earlier.close();
});
