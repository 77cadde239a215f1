import fs, {
  existsSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { checkOutput, OutputFile } from '../../src/base/output-file.js';

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-output-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);

test('a file appears complete under its name, and is replaced on request', () => {
  for (const [bytes, replace] of [
    ['first', false],
    ['second', true],
  ] as const) {
    const file = new OutputFile(path('whole'), replace);
    file.write(0, Buffer.from(bytes));
    expect(file.finish()).toBe(bytes.length);
    expect(readFileSync(path('whole'), 'latin1')).toBe(bytes);
  }
  expect(() => new OutputFile(path('whole'), false)).toThrow('(--force replaces it)');
  expect(readdirSync(folder)).toEqual(['whole']);
});

test('a discarded file leaves nothing', () => {
  const file = new OutputFile(path('given-up'), false);
  file.write(4096, Buffer.from('x'));
  file.discard();
  expect(readdirSync(folder)).not.toContain('given-up');
  expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
});

test('a link is not replaced: /dev/stdout is one', () => {
  writeFileSync(path('target'), 'kept');
  symlinkSync(path('target'), path('link'));
  expect(() => checkOutput(path('link'), true)).toThrow('not a regular file');
  symlinkSync(path('nowhere'), path('dangling'));
  expect(() => checkOutput(path('dangling'), true)).toThrow('not a regular file');
  expect(lstatSync(path('link')).isSymbolicLink()).toBe(true);
  expect(existsSync(path('nowhere'))).toBe(false);
});

test('the dump that is read is not replaced, by whatever name', () => {
  writeFileSync(path('dump'), 'all of it');
  linkSync(path('dump'), path('same'));
  symlinkSync(path('dump'), path('symbolic'));
  for (const source of ['dump', 'symbolic']) {
    expect(() => checkOutput(path('same'), true, [path(source)])).toThrow('is the dump');
  }
  expect(() => checkOutput(path('same'), true, [path('target')])).not.toThrow();
});

test('a folder is reported, with and without permission to replace', () => {
  for (const replace of [false, true]) {
    expect(() => checkOutput(folder, replace)).toThrow('not a regular file');
  }
});

test('a folder that is a file is reported', () => {
  writeFileSync(path('file'), '');
  expect(() => checkOutput(join(path('file'), 'out'), false)).toThrow('(ENOTDIR)');
});

test('the file of a killed run with the same pid does no harm', () => {
  writeFileSync(path(`.again.${process.pid}.partial`), 'left');
  const file = new OutputFile(path('again'), true);
  file.finish();
  expect(existsSync(path('again'))).toBe(true);
});

test('signals are handled from before the file exists until it is gone', async () => {
  const pending = () => new Promise((done) => setImmediate(done));
  await pending();
  const before = process.listenerCount('SIGINT');
  let whenOpened = before;
  const real = fs.openSync;
  const open = vi.spyOn(fs, 'openSync').mockImplementation((...args) => {
    whenOpened = process.listenerCount('SIGINT');
    return real(...args);
  });
  const file = new OutputFile(path('signalled'), false);
  open.mockRestore();
  expect(whenOpened).toBe(before + 1);
  file.discard();
  await pending();
  expect(process.listenerCount('SIGINT')).toBe(before);
});
