import fs, { existsSync, linkSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { checkOutput, OutputFile } from '../../src/base/output-file.js';
import { scratchFolder } from '../support/scratch.js';

const folder = scratchFolder('kdump-mem-output-');
const path = (name: string) => join(folder, name);

test('creates a complete file under its name, and replaces it on request', () => {
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

test('leaves nothing of a discarded file', () => {
  const file = new OutputFile(path('given-up'), false);
  file.write(4096, Buffer.from('x'));
  file.discard();
  expect(readdirSync(folder)).not.toContain('given-up');
  expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
});

test('does not replace a link, such as /dev/stdout', () => {
  writeFileSync(path('target'), 'kept');
  symlinkSync(path('target'), path('link'));
  expect(() => checkOutput(path('link'), true)).toThrow('not a regular file');
  symlinkSync(path('nowhere'), path('dangling'));
  expect(() => checkOutput(path('dangling'), true)).toThrow('not a regular file');
  expect(lstatSync(path('link')).isSymbolicLink()).toBe(true);
  expect(existsSync(path('nowhere'))).toBe(false);
});

test('does not replace the dump that is read, under any name', () => {
  writeFileSync(path('dump'), 'all of it');
  linkSync(path('dump'), path('same'));
  symlinkSync(path('dump'), path('symbolic'));
  for (const source of ['dump', 'symbolic']) {
    expect(() => checkOutput(path('same'), true, [path(source)])).toThrow('is the dump');
  }
  expect(() => checkOutput(path('same'), true, [path('target')])).not.toThrow();
});

test('reports a folder, with and without permission to replace', () => {
  for (const replace of [false, true]) {
    expect(() => checkOutput(folder, replace)).toThrow('not a regular file');
  }
});

test('reports a parent folder that is a file', () => {
  writeFileSync(path('file'), '');
  expect(() => checkOutput(join(path('file'), 'out'), false)).toThrow('(ENOTDIR)');
});

test('is not disturbed by the partial file of a killed run with the same pid', () => {
  writeFileSync(path(`.again.${process.pid}.partial`), 'left');
  const file = new OutputFile(path('again'), true);
  file.finish();
  expect(existsSync(path('again'))).toBe(true);
});

test('handles signals before the file exists and until it is finished', async () => {
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
