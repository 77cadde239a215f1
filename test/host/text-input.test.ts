import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { isText, openText } from '../../src/host/text-input.js';

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
