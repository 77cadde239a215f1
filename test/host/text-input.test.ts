import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { findLogs, folderLimit, openLog } from '../../src/host/logs.js';
import { isText, openText } from '../../src/host/text-input.js';
import { scratchFolder } from '../support/scratch.js';

test('limits and reports the expansion of a small compressed file', async () => {
  const content = gzipSync(Buffer.alloc(64 << 20));
  let bytes = 0;
  const read = async () => {
    for await (const part of openText('bomb.gz', { content, limit: { bytes: 1 << 20, seconds: 60 } }))
      bytes += part.length;
  };
  await expect(read()).rejects.toMatchObject({
    code: 'unreadable',
    message: 'bomb.gz: incomplete (reading stopped after 0.0 GiB were unpacked)',
  });
  expect(bytes).toBeLessThan(4 << 20);
});

test('a kernel log in UTF-16 is text, with and without its times', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'utf16-'));
  try {
    const file = join(folder, 'log.txt');
    for (const text of ['[    1.000000] usb 1-1: x\n', 'x\nOut of memory: Killed process 7 (x)\nCall Trace:\n']) {
      writeFileSync(file, Buffer.from(`\ufeff${text}`, 'utf16le'));
      expect(await isText(file), text).toBe(true);
    }
    writeFileSync(file, Buffer.from('\ufeffdear diary,\n', 'utf16le'));
    expect(await isText(file)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.each([
  ['that ends in a hole', 'text\n', 'text\n'],
  ['of a hole alone', '', ''],
])('a sparse file of a tebibyte %s is not read to its end', async (_, begin, content) => {
  const file = join(scratchFolder('sparse-'), 'sparse.log');
  writeFileSync(file, begin);
  truncateSync(file, 2 ** 40);
  let text = '';
  const read = async () => {
    for await (const part of openText(file, { limit: { bytes: 4 << 20, seconds: 60 } }))
      text += part.toString('latin1').replaceAll('\0', '');
  };
  await expect(read()).rejects.toMatchObject({ code: 'unreadable', message: /incomplete .* of holes/ });
  expect(text).toBe(content);
});

test('a folder of logs has a time limit, and reports what was not read', async () => {
  const folder = scratchFolder('sparse-');
  for (const name of ['a.log', 'b.log']) writeFileSync(join(folder, name), '[    1.000000] usb 1-1: x\n');
  const found = await findLogs(folder, folderLimit(0));
  expect(found.warnings).toEqual(['the search stopped after 0 seconds: logs may be missing']);
  const { logs } = await findLogs(folder);
  expect(logs.map(({ name }) => name)).toEqual(['a.log', 'b.log']);
  const [log] = logs;
  const late = { ...log!, files: log!.files.map((file) => ({ ...file, within: folderLimit(0) })) };
  const read = async () => {
    for await (const part of openLog(late, () => {})) expect(part).toHaveLength(0);
  };
  await expect(read()).rejects.toMatchObject({ message: 'a.log: incomplete (reading stopped after 0 seconds)' });
});
