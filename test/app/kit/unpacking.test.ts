import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { kdumpMem } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { scratchFolder } from '../../support/scratch.js';

const { vmcore } = fixture('5.10');
const folder = scratchFolder('unpacking-');

/** The printed advice for a compressed file. */
async function advice(file: string): Promise<string> {
  const ran = await kdumpMem('info', '--vmcore', file);
  expect(ran).toMatchObject({ status: 3, stdout: '' });
  expect(ran.stderr).toMatch(/^kdump-mem: [^\n]*\. Unpack it: [^\n]*\n$/);
  return ran.stderr.trimEnd().split('. Unpack it: ')[1] ?? '';
}

async function run(command: string, path = process.env.PATH) {
  const ran = await execa('bash', ['-ec', command], { cwd: folder, env: { PATH: path } });
  expect(ran.stderr).toBe('');
}

test.each([
  ['vmcore.gz', 'vmcore'],
  ['VMCORE.GZ', 'VMCORE'],
  ['vmcore', 'vmcore.unpacked'],
  ["it's 1 $(reboot).gz", "it's 1 $(reboot)"],
  ['-n.gz', '-n'],
  ['new\nline\\1.gz', 'new\nline\\1'],
])('the command for %j works as printed', async (name, unpacked) => {
  const file = join(folder, name);
  const bytes = readFileSync(vmcore);
  writeFileSync(file, gzipSync(bytes, { level: 1 }));
  const packed = readFileSync(file);
  await run(await advice(file));
  expect(readFileSync(join(folder, unpacked)).equals(bytes)).toBe(true);
  expect(readFileSync(file).equals(packed)).toBe(true);
  // It never overwrites an existing file.
  const second = await advice(file);
  expect(second).toContain('.unpacked');
  await run(second);
  for (const one of [name, unpacked, `${name}.unpacked`, `${name}.unpacked2`])
    rmSync(join(folder, one), { force: true });
});

test('unpacks a tar archive to a folder that can be read', async () => {
  const inside = join(folder, '2026-11-20');
  mkdirSync(inside);
  copyFileSync(vmcore, join(inside, 'vmcore'));
  await execa('tar', ['-C', folder, '-cf', join(folder, 'host:1 .tar'), '2026-11-20']);
  await run(await advice(join(folder, 'host:1 .tar')));
  expect((await kdumpMem('info', join(folder, 'host:1 '))).status).toBe(0);
});

test.each([
  ['xz', '.xz', '\xfd7zXZ\0'],
  ['zstd', '.zst', '\x28\xb5\x2f\xfd'],
  ['bzip2', '.bz2', 'BZh9'],
  ['lz4', '.lz4', '\x04\x22\x4d\x18'],
  ['lzop', '.lzo', '\x89LZO\0'],
  ['lzip', '.lz', 'LZIP'],
])('%s receives the file and reports its contents', async (program, suffix, magic) => {
  const bin = join(folder, `bin-${program}`);
  mkdirSync(bin);
  const stub = join(bin, program);
  writeFileSync(stub, '#!/bin/sh\n[ "$*" = -dc ] && exec cat\n');
  chmodSync(stub, 0o755);
  const file = join(folder, `a ${program}${suffix}`);
  writeFileSync(file, `${magic}rest`, 'latin1');
  await run(await advice(file), `${bin}:${process.env.PATH}`);
  expect(readFileSync(join(folder, `a ${program}`), 'latin1')).toBe(`${magic}rest`);
});
