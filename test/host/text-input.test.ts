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

async function all(parts: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const read: Buffer[] = [];
  for await (const part of parts) read.push(part);
  return read;
}

test('UTF-16 is text as UTF-8 is, also in pieces that end within a character', async () => {
  const text = '[    1.000000] usb 1-1: Gerät 😀\n';
  const little = Buffer.from(`\ufeff${text}`, 'utf16le');
  for (const content of [little, Buffer.from(little).swap16(), gzipSync(little)]) {
    expect(await isText('log.txt', content)).toBe(true);
    const read = await all(openText('log.txt', { content }));
    expect(Buffer.concat(read).toString()).toBe(text);
  }
  const folder = mkdtempSync(join(tmpdir(), 'utf16-'));
  try {
    const file = join(folder, 'log.txt');
    const long = text.repeat(100_000);
    writeFileSync(file, Buffer.from(`\ufeff${long}`, 'utf16le'));
    expect(await isText(file)).toBe(true);
    expect(Buffer.concat(await all(openText(file))).toString()).toBe(long);
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
