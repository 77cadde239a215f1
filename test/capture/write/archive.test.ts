import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkManifest } from '../../../src/capture/read/manifest.js';
import { cksum, TarReader } from '../../../src/capture/read/tar.js';
import { Archive } from '../../../src/capture/write/archive.js';

function unpacked(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const tar = new TarReader(
    () => 2 ** 26,
    (name, bytes) => files.set(name.replace('kdump-mem-snapshot/', ''), Buffer.from(bytes)),
  );
  tar.push(gunzipSync(archive));
  tar.end();
  return files;
}

test('round-trips contents in pieces of any size, verified by the manifest', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(300_000), { maxLength: 3 }), { maxLength: 4 }), (members) => {
      const out: Buffer[] = [];
      const archive = new Archive((bytes) => out.push(bytes), Date.now());
      const all = new Map<string, Buffer>();
      for (const [index, sizes] of members.entries()) {
        const member = archive.member(`part-${index}`);
        const pieces = sizes.map((size) => Buffer.alloc(size, `${index}\n`));
        for (const piece of pieces) {
          const reused = Buffer.from(piece);
          member.write(reused);
          reused.fill(0);
        }
        member.end();
        all.set(`part-${index}`, Buffer.concat(pieces));
      }
      archive.finish();
      const files = unpacked(Buffer.concat(out));
      const manifest = files.get('manifest')?.toString() ?? '';
      files.delete('manifest');
      expect([...files.keys()]).toEqual([...all.keys()]);
      for (const [name, bytes] of all) expect(files.get(name)?.equals(bytes)).toBe(true);
      const seen = new Map(
        [...files].map(([name, bytes]) => [
          name,
          { size: bytes.length, read: bytes.length, sum: cksum(bytes), times: 1 },
        ]),
      );
      expect(checkManifest(manifest, seen, () => true)).toEqual([]);
      expect(archive.bytes).toBe(Buffer.concat(out).length);
    }),
    { numRuns: 30 },
  );
});

test('keeps only compressed data of a large file in memory', () => {
  const out: Buffer[] = [];
  const archive = new Archive((bytes) => out.push(bytes), Date.now());
  const member = archive.member('large');
  const line = Buffer.from('/proc/1/status:VmRSS: 4096 kB\n'.repeat(1000));
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let index = 0; index < 2000; index++) {
    member.write(line);
    if (index % 100 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
  }
  expect(member.size).toBe(2000 * line.length);
  // 60 MB were written. Garbage that is not collected yet counts, too.
  expect(most).toBeLessThan(member.size / 2);
  member.end();
  archive.finish();
  expect(unpacked(Buffer.concat(out)).get('large')?.length).toBe(member.size);
});

test('omits a file that is not finished', () => {
  const out: Buffer[] = [];
  const archive = new Archive((bytes) => out.push(bytes), Date.now());
  archive.member('none').write('lost');
  archive.add('some', 'kept');
  archive.finish();
  expect([...unpacked(Buffer.concat(out)).keys()]).toEqual(['some', 'manifest']);
});
