import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { readCapture } from '../../../src/host/capture/files.js';
import { CapturedHost } from '../../../src/host/capture/host.js';
import { wantedName } from '../../../src/host/capture/wanted.js';
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

test('of a file without end the beginning is read, and the last process in it is not taken', async () => {
  const path = join(folder, 'giant.tar.gz');
  const line = (pid: number) => `/proc/${pid}/smaps_rollup:Rss: ${'1'.repeat(60)} kB\n`;
  const giant = line(1) + line(2).repeat(Math.ceil((50 << 20) / line(2).length));
  const files: [string, string][] = [
    ['kdump-mem-snapshot/version', '3\n'],
    ['kdump-mem-snapshot/sample-2/began', '1.00 1.00\n'],
    ['kdump-mem-snapshot/sample-2/ended', '2.00 1.00\n'],
    ['kdump-mem-snapshot/sample-2/memory', giant],
  ];
  const entries = files.map(([name, text]) => tarEntry(name, text));
  writeFileSync(path, gzipSync(tarOf(...entries), { level: 1 }));
  const captured = await readCapture(path);
  expect(captured.bytes('sample-2/memory')?.length).toBe(48 << 20);
  const host = new CapturedHost(captured, 'last');
  expect(host.damage).toEqual([expect.stringContaining('sample-2/memory is too large')]);
  expect(host.readText('/proc/1/smaps_rollup')).toMatch(/^Rss: 1+ kB\n$/);
  expect(() => host.readText('/proc/2/smaps_rollup')).toThrow('was not captured');
});

test('an archive of countless files is refused: each takes memory, also an empty one', async () => {
  const path = join(folder, 'many.tar.gz');
  const blocks = (from: number) =>
    Array.from({ length: 10_000 }, (_, index) =>
      tarEntry(`k/sample-1/netns-${from + index}/inet`, ''),
    );
  const packed = Array.from({ length: 21 }, (_, index) =>
    gzipSync(Buffer.concat(blocks(index * 10_000)), { level: 1 }),
  );
  writeFileSync(path, Buffer.concat([...packed, gzipSync(Buffer.alloc(1024))]));
  await expect(readCapture(path)).rejects.toMatchObject({
    code: 'not-a-capture',
    message: expect.stringContaining('too many files'),
  });
});

test.each([
  ...['x/../sample-2/memory', '../proc/meminfo', 'x/proc/../../etc/passwd', 'x/sample-2/../log'],
  ...['x/y/proc/meminfo', 'x/sys/kernel/mm/../../../etc/shadow', 'x/proc/sys/kernel/..'],
])('%s is no file of a capture', (name) => {
  expect(wantedName(name, { mappings: true })).toBeNull();
});

test('what is asked for alone is read: mappings of processes take room', () => {
  expect(wantedName('x/sample-2/smaps', {})).toBeNull();
  expect(wantedName('x/sample-2/smaps', { mappings: true })).toBe('sample-2/smaps');
  expect(wantedName('./x/sample-2/memory', {})).toBe('sample-2/memory');
});
