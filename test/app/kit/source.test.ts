import { symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandPath, kdumpMem } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';

const { vmcore } = fixture('6.1');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'source-'));
  symlinkSync('loop', join(folder, 'loop'));
});
afterAll(() => rm(folder, { recursive: true }));

test.each([
  ['an empty name, as from an unset variable', 2, /^kdump-mem: a file’s name is empty$/m, ['']],
  ['stdin', 3, /^kdump-mem: standard input is not supported here \(-\)\. /, ['-']],
  ['a missing file', 3, /^kdump-mem: nowhere: not found\. Check the path\.$/m, ['nowhere']],
  ['a device as the dump', 3, /null: not a regular file\. Name a dump written by kdump/, ['/dev/null']],
  [
    'a device as the vmlinux',
    3,
    /zero: not a regular file\. See the list of supported formats in the README/,
    [vmcore, '--vmlinux', '/dev/zero'],
  ],
  ['a file inside a file', 3, /x: open failed \(ENOTDIR\)\. Check/, [`${vmcore}/x`]],
])('%s is refused in one line', async (_, status, line, args) => {
  const ran = await kdumpMem('info', '--vmcore', ...args);
  expect(ran).toMatchObject({ status, stdout: '' });
  expect(ran.stderr).toMatch(line);
  expect(ran.stderr).toMatch(/^[^\n]+\n$/);
});

test('a link to itself is refused in one line', async () => {
  const ran = await kdumpMem('info', '--vmcore', join(folder, 'loop'));
  expect(ran).toMatchObject({ status: 3, stdout: '' });
  expect(ran.stderr).toMatch(/^kdump-mem: [^\n]*loop: open failed \(ELOOP\)\. Check the path\.\n$/);
});

test('an unknown format is reported with its escaped first bytes', async () => {
  const { stderr } = await kdumpMem('info', '--vmcore', new URL(import.meta.url).pathname);
  expect(stderr).toContain('(no \\x7fELF header, no KDUMP header)');
});

test('reads a folder whose name is not valid UTF-8', async () => {
  const script = `d=$(printf '%s/\\377' "$1") && mkdir -- "$d" && cp -- "$2" "$d/vmcore" && cd -- "$d" &&
    "$3" "$4" info vmcore`;
  const args = [folder, vmcore, process.execPath, commandPath('kdump-mem')];
  const { stdout, stderr } = await execa('sh', ['-c', script, 'sh', ...args], { reject: false, stdin: 'ignore' });
  expect(stderr).not.toContain('a bug of');
  expect(stdout).toMatch(/^Linux 6\.1\./);
});

test('a missing file whose name is not valid UTF-8 is reported with that cause', async () => {
  for (const args of [
    ['info', 'gone\ufffd.vmcore'],
    ['info', '--vmcore', 'gone\ufffd.vmcore'],
  ]) {
    const { stderr, status } = await kdumpMem(...args);
    expect(status).toBeGreaterThan(1);
    expect(stderr).toMatch(/^kdump-mem: .*gone\ufffd\.vmcore: not found \(the name is not valid UTF-8\)/);
  }
});
