import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { captureTar } from '../../support/capture.js';
import { kdumpMem } from '../../support/in-process.js';
import { scratchFolder } from '../../support/scratch.js';
import { snapshotFiles, writeCapture } from '../../support/snapshot.js';

const folder = scratchFolder('wrong-source-');

const files = snapshotFiles([]);
const tar = captureTar(files);
const path = join(folder, 'it');

test.each([
  ['a directory', () => void writeCapture(path, files)],
  ['tar', () => writeFileSync(path, tar)],
  ['tar.gz', () => writeFileSync(path, gzipSync(tar))],
  // The stream continues after the part that is examined.
  ['a long tar.gz', () => writeFileSync(path, gzipSync(Buffer.concat([tar, noise()]), { level: 0 }))],
])('a capture (%s) instead of a dump is refused with the correct command', async (_, write) => {
  rmSync(path, { recursive: true, force: true });
  write();
  for (const [command, next] of [
    ['memory', 'kdump-mem memory'],
    ['procs', 'kdump-mem procs'],
    ['info', 'kdump-mem triage'],
    ['sockets', 'skcheck'],
  ] as const) {
    const { status, stdout, stderr } = await kdumpMem(command, '--vmcore', path);
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toBe(`kdump-mem: ${path} is a snapshot, not a kernel dump. Run: ${next} --from ${path}.\n`);
  }
});

test.each(['triage', 'memory', 'procs', 'log'])(
  '%s reads a snapshot beside the options as with --from',
  async (command) => {
    for (const write of [() => void writeCapture(path, files), () => writeFileSync(path, tar)]) {
      rmSync(path, { recursive: true, force: true });
      write();
      const beside = await kdumpMem(command, path);
      expect(beside).toEqual(await kdumpMem(command, '--from', path));
    }
    const refused = await kdumpMem(command, path, '--vmlinux', 'x');
    expect([refused.status, refused.stderr]).toEqual([
      2,
      `kdump-mem: --vmlinux does not apply to the snapshot ${path}\n`,
    ]);
  },
);

test('a file of an unknown type is reported with what triage accepts', async () => {
  rmSync(path, { recursive: true, force: true });
  writeFileSync(path, 'no log\n');
  const { status, stderr } = await kdumpMem('triage', path);
  expect(status).toBe(3);
  expect(stderr).toBe(
    `kdump-mem: ${path}: contains no kernel log. Name a dump, a snapshot, a kernel log (dmesg, journal, syslog), a folder with logs, or text of docs/pasted.md.\n`,
  );
});

const noise = () => Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7919) % 251));

test.each([
  ['sockets', 'skcheck --from FILE'],
  ['skb', 'skcheck --from FILE'],
  ['stacks', 'sample-2/stacks'],
  ['info', 'kdump-mem triage --from FILE'],
  ['extract', 'memory, procs, log, blocked, triage and skcheck'],
])('%s refuses a snapshot, and names a command that reads it', async (command, words) => {
  const { status, stdout, stderr } = await kdumpMem(command, '--from', path);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toMatch(/^kdump-mem: [^\n]+ reads kernel memory, which a snapshot does not contain\. [^\n]+\n$/);
  expect(stderr).toContain(words);
});

test('any other compressed file is no dump', async () => {
  rmSync(path, { recursive: true, force: true });
  writeFileSync(path, gzipSync('no tar at all'));
  const { stderr } = await kdumpMem('memory', '--vmcore', path);
  expect(stderr).toContain(': compressed file without a dump');
});

test.each(['\x7fELF\x02\x01\x01', 'KDUMP   \x06', 'makedumpfile\0\0\0\0'])(
  'a dump (%j) instead of a capture is refused with the correct command',
  async (head) => {
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, `${head}${'\0'.repeat(4096)}`);
    for (const command of ['memory', 'procs', 'log']) {
      const { status, stdout, stderr } = await kdumpMem(command, '--from', path);
      expect([status, stdout]).toEqual([3, '']);
      expect(stderr).toBe(
        `kdump-mem: ${path} is a kernel dump, not a capture. Read it with: kdump-mem memory --vmcore ${path}\n`,
      );
    }
  },
);
