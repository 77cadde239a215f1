import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { openText } from '../../src/host/text-input.js';

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
