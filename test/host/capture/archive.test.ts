import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { readCapture } from '../../../src/host/capture/files.js';
import { tarEntry, tarOf } from '../../support/tar.js';

const folder = mkdtempSync(join(tmpdir(), 'archive-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Longer than what any stage holds, so that the first ones still run when the last one refuses. */
const MORE = Buffer.alloc(1 << 20, 'x');

test.each([
  ['no tar', MORE, 'the archive is no tar, or is damaged'],
  [
    'a name without end',
    Buffer.concat([tarOf(tarEntry('././@LongLink', 'n'.repeat(70_000), 'L')), MORE]),
    'the archive has a name that is too long',
  ],
  ['a cut tar', tarEntry('version', '1\n'), 'the archive is no tar, or it is cut'],
])('%s is told in the same words, packed or not', async (_, bytes, words) => {
  const path = join(folder, 'capture');
  for (const stored of [bytes, gzipSync(bytes, { level: 0 })]) {
    writeFileSync(path, stored);
    await expect(readCapture(path)).rejects.toMatchObject({
      code: 'not-a-capture',
      message: words,
    });
  }
});
