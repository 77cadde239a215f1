import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { readCapture } from '../../../src/capture/read/files.js';
import { CapturedHost } from '../../../src/capture/read/host.js';
import { wantedName } from '../../../src/capture/read/manifest.js';
import { verifySnapshot } from '../../../src/capture/write/verify.js';
import type { UnpackLimit } from '../../../src/host/recognise.js';
import { packedLines } from '../../../src/leaks/from/packed-lines.js';
import { tarEntry, tarOf } from '../../support/tar.js';

const folder = mkdtempSync(join(tmpdir(), 'archive-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Longer than the buffer of any stage, so that the first stages still run when the last one refuses. */
const MORE = Buffer.alloc(1 << 20, 'x');

test.each([
  ['not a tar', MORE, 'the archive is not a tar file, or is corrupt'],
  [
    'an unterminated name',
    Buffer.concat([tarOf(tarEntry('././@LongLink', 'n'.repeat(70_000), 'L')), MORE]),
    'a file name in the archive is too long',
  ],
  ['a truncated tar', tarEntry('version', '1\n'), 'the archive is not a tar file, or is truncated'],
])('reports %s in the same words, compressed or not', async (_, bytes, words) => {
  const path = join(folder, 'capture');
  for (const stored of [bytes, gzipSync(bytes, { level: 0 })]) {
    writeFileSync(path, stored);
    await expect(readCapture(path)).rejects.toMatchObject({ code: 'not-a-capture', message: words });
  }
});

test('reads the beginning of a truncated file, without its last process', async () => {
  const path = join(folder, 'giant.tar.gz');
  const line = (pid: number) => `/proc/${pid}/smaps_rollup:Rss: ${'1'.repeat(60)} kB\n`;
  const giant = line(1) + line(2).repeat(Math.ceil((260 << 20) / line(2).length));
  const files: [string, string][] = [
    ['kdump-mem-snapshot/version', '3\n'],
    ['kdump-mem-snapshot/sample-2/began', '1.00 1.00\n'],
    ['kdump-mem-snapshot/sample-2/ended', '2.00 1.00\n'],
    ['kdump-mem-snapshot/sample-2/memory', giant],
  ];
  const entries = files.map(([name, text]) => tarEntry(name, text));
  writeFileSync(path, gzipSync(tarOf(...entries), { level: 1 }));
  const captured = await readCapture(path);
  expect(captured.bytes('sample-2/memory')?.length).toBe(256 << 20);
  const host = new CapturedHost(captured, 'last');
  expect(host.damage).toContainEqual(expect.stringContaining('sample-2/memory is too large'));
  expect(host.readText('/proc/1/smaps_rollup')).toMatch(/^Rss: 1+ kB\n$/);
  expect(() => host.readText('/proc/2/smaps_rollup')).toThrow('was not captured');
});

test('refuses an archive of countless files, each of which takes memory', async () => {
  const path = join(folder, 'many.tar.gz');
  const blocks = (from: number) =>
    Array.from({ length: 10_000 }, (_, index) => tarEntry(`k/sample-1/netns-${from + index}/inet`, ''));
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
  'x/../sample-2/memory',
  '../proc/meminfo',
  'x/proc/../../etc/passwd',
  'x/sample-2/../log',
  'x/y/proc/../meminfo',
  'x/sys/kernel/mm/../../../etc/shadow',
  'x/proc/sys/kernel/..',
])('ignores %s, which is no file of a capture', (name) => {
  expect(wantedName(name, { mappings: true })).toBeNull();
});

test('reads only requested parts, since mappings of processes are large', () => {
  expect(wantedName('x/sample-2/smaps', {})).toBeNull();
  expect(wantedName('x/sample-2/smaps', { mappings: true })).toBe('sample-2/smaps');
  expect(wantedName('./x/sample-2/memory', {})).toBe('sample-2/memory');
});

/** A few kilobytes that expand to 64 MiB of padding, between facts of a host. */
function bomb(): Buffer {
  return tarOf(
    tarEntry('kdump-mem-snapshot/version', '3\n'),
    tarEntry('kdump-mem-snapshot/proc/meminfo', 'MemTotal: 1 kB\n'),
    tarEntry('kdump-mem-snapshot/other', '\0'.repeat(64 << 20)),
    tarEntry('kdump-mem-snapshot/proc/loadavg', '0.00 0.00 0.00 1/1 1\n'),
  );
}

const LIMITS: readonly [string, UnpackLimit, string][] = [
  ['bytes', { bytes: 16 << 20, seconds: 300 }, '0.0 GiB were unpacked'],
  ['seconds', { bytes: 2 ** 40, seconds: 0 }, '0 seconds'],
];

test.each(LIMITS)('limits an archive to %s, and reports that', async (_, limit, words) => {
  const path = join(folder, 'bomb.tar');
  for (const packed of [gzipSync(bomb(), { level: 1 }), xz(bomb())]) {
    writeFileSync(path, packed);
    expect(packed.length).toBeLessThan(1 << 20);
    const captured = await readCapture(path, {}, limit);
    expect(captured.get('proc/meminfo')).toBe('MemTotal: 1 kB\n');
    expect(captured.has('proc/loadavg')).toBe(false);
    expect(captured.damage).toContain(`reading stopped after ${words}, the remainder is missing`);
    const whole = await readCapture(path);
    expect(whole.has('proc/loadavg')).toBe(true);
    expect(whole.damage).toEqual([]);
  }
  writeFileSync(path, gzipSync(bomb(), { level: 1 }));
  const { faults } = await verifySnapshot(path, limit);
  expect(faults.map(({ code }) => code)).toContain('archive-damaged');
});

test.each(LIMITS)('limits lines of a compressed file to %s, and reports it as truncated', async (_, limit) => {
  const path = join(folder, 'lines');
  const text = Buffer.from(`${'x'.repeat(99)}\n`.repeat(1 << 18));
  for (const packed of [gzipSync(text, { level: 1 }), xz(text)]) {
    writeFileSync(path, packed);
    let [cuts, lines] = [0, 0];
    for await (const some of packedLines(path, () => cuts++, limit)) lines += some.length;
    expect(cuts).toBe(1);
    expect(lines).toBeGreaterThan(0);
    expect(lines).toBeLessThan(1 << 18);
  }
  // Uncompressed data has no such limit.
  writeFileSync(path, text);
  let lines = 0;
  for await (const some of packedLines(path, () => expect.unreachable(), limit)) lines += some.length;
  expect(lines).toBe(1 << 18);
});

function xz(bytes: Buffer): Buffer {
  return execFileSync('xz', ['-0', '-c'], { input: bytes, maxBuffer: 2 ** 28 });
}
