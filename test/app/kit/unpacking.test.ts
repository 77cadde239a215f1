import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { STEP_MS } from '../../../scripts/lab-parts/limits.mjs';
import { unpackedDump } from '../../../src/capture/read/unpacked-dump.js';
import { commandPath, kdumpMem } from '../../support/cli.js';
import { fixture } from '../../support/fixtures.js';
import { scratchFolder } from '../../support/scratch.js';

const { vmcore } = fixture('5.10');
const folder = scratchFolder('unpacking-');
const bytes = readFileSync(vmcore);

async function shell(command: string, path = process.env.PATH): Promise<void> {
  const ran = await execa('bash', ['-ec', command], { cwd: folder, env: { PATH: path } });
  expect(ran.stderr).toBe('');
}

describe('a compressed dump is read in place', () => {
  const temporary = join(folder, 'tmp');
  const file = (name: string) => join(folder, name);

  /** Runs a command that unpacks into `temporary`, and checks that nothing is left there. */
  async function run(words: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const { stdout, stderr, exitCode } = await execa(process.execPath, [commandPath('kdump-mem'), ...words], {
      cwd: folder,
      env: { TMPDIR: temporary, ...env },
      reject: false,
      stdin: 'ignore',
    });
    if (env.TMPDIR === undefined) expect(readdirSync(temporary)).toEqual([]);
    return { status: exitCode, stdout, stderr };
  }

  /** The answer without the names of the files, which differ. */
  async function answer(name: string): Promise<unknown> {
    const { stdout, stderr } = await run(['info', '--json', '--vmcore', name]);
    expect(stderr).toBe('');
    const { files, ...rest } = JSON.parse(stdout).dump;
    return { ...JSON.parse(stdout), dump: rest };
  }

  beforeAll(async () => {
    mkdirSync(temporary);
    mkdirSync(file('case/host-2026'), { recursive: true });
    copyFileSync(vmcore, file('plain'));
    copyFileSync(vmcore, file('case/host-2026/vmcore'));
    writeFileSync(file('case/host-2026/vmcore-dmesg.txt'), '[    0.000000] Linux version 5.10\n');
    await shell('gzip -1 < plain > a.gz; xz -0 < plain > a.xz; zstd -q -1 < plain > a.zst; bzip2 < plain > a.bz2');
    await shell('lz4 -q -1 < plain > a.lz4; lz4 -q -l < plain > old.lz4; tar -cf a.tar case; tar -czf a.tar.gz case');
    mkdirSync(file('crash/202611200412'), { recursive: true });
    copyFileSync(file('a.gz'), file('crash/202611200412/dump.202611200412.gz'));
  });

  test.each(['a.gz', 'a.xz', 'a.zst', 'a.bz2', 'a.lz4', 'old.lz4', 'a.tar', 'a.tar.gz', 'crash'])(
    '%s',
    async (name) => {
      expect(await answer(name)).toEqual(await answer('plain'));
    },
  );

  test('by a run over many, and by diff', async () => {
    const { status, stdout } = await run(['triage', '--ndjson', 'crash', 'a.xz']);
    expect(status).toBe(0);
    const lines = stdout.split('\n').map((line) => JSON.parse(line));
    expect(lines.map(({ ok }) => ok)).toEqual([true, true, undefined]);
    const { stderr } = await run(['diff', 'a.gz', 'plain']);
    expect(stderr).toContain('at least two have the same time of capture');
  });

  test('zeros take no space', async () => {
    await shell('(cat plain; head -c 1G /dev/zero) | gzip -1 > zeros.gz');
    const parts: number[] = [];
    const descriptor = await unpackedDump(file('zeros.gz'), (part) => parts.push(part));
    const { size, blocks } = fstatSync(descriptor);
    closeSync(descriptor);
    expect(size).toBe(bytes.length + 2 ** 30);
    expect(blocks * 512).toBeLessThan(bytes.length + (1 << 20));
    expect(parts.at(-1)).toBe(1);
  });

  test('a killed run leaves no file and no process', async () => {
    await stub('xz', 'cat plain; : > begun; cat gate');
    await shell('mkfifo gate');
    const killed = execa(process.execPath, [commandPath('kdump-mem'), 'info', 'a.xz'], {
      cwd: folder,
      env: { TMPDIR: temporary, PATH: `${file('bin')}:${process.env.PATH}` },
      reject: false,
    });
    await vi.waitFor(() => expect(existsSync(file('begun'))).toBe(true), { timeout: STEP_MS });
    expect(readdirSync(temporary)).toEqual([]);
    killed.kill('SIGKILL');
    expect((await killed).signal).toBe('SIGKILL');
    expect(readdirSync(temporary)).toEqual([]);
    // Ends the program.
    writeFileSync(file('gate'), '');
  });

  test.each([
    ['cut.gz', /^kdump-mem: cut\.gz: corrupt \(unexpected end of file\)\. /],
    ['cut.xz', /^kdump-mem: cut\.xz: corrupt \(\S*xz: \(stdin\): Unexpected end of input\)\. /],
    ['cut.tar', /^kdump-mem: cut\.tar: the archive is not a tar file, or is truncated\. /],
    ['text.gz', /^kdump-mem: text\.gz: compressed file without a dump\. /],
    [
      'none.tar.gz',
      /^kdump-mem: none\.tar\.gz: no dump in the archive\. Unpack it, and name the dump\. --from reads an archive of outputs or logs\.$/,
    ],
    ['two.tar', /^kdump-mem: two\.tar: 2 dumps in the archive \(two\/a, two\/b\)\. Unpack it, and name the dump\.$/],
    ['twice.gz', /^kdump-mem: twice\.gz: compressed file without a dump\. /],
  ])('%s is refused', async (name, message) => {
    await shell('for kind in gz xz tar; do head -c 100000 a.$kind > cut.$kind; done; echo hello | gzip > text.gz');
    await shell('tar -czf none.tar.gz case/host-2026/vmcore-dmesg.txt; gzip -1 < a.gz > twice.gz');
    await shell('mkdir -p two; cp plain two/a; cp plain two/b; tar -cf two.tar two/a two/b');
    const { status, stdout, stderr } = await run(['memory', '--vmcore', name]);
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(message);
    expect(stderr).not.toContain('\n');
  });

  test.each([
    [
      'a folder that does not exist',
      { TMPDIR: '/nonexistent' },
      'info',
      /cannot be unpacked into \/nonexistent \(ENOENT\)/,
    ],
    ['no program', { PATH: '/nonexistent' }, 'info', /compressed file \(xz is not installed\)/],
    ['no descriptor', {}, 'ulimit -n 24; exec', /xz cannot be started[^\n]*\. Raise the limit of open files/],
    ['no room', {}, 'ulimit -f 512; exec', /cannot be unpacked into \S+ \(EFBIG\)\. Set TMPDIR /],
  ])('%s is reported', async (_, env, words, message) => {
    const command = words === 'info' ? 'exec' : words;
    const { stderr, exitCode } = await execa(
      '/bin/bash',
      ['-c', `${command} "$0" "$@"`, process.execPath, commandPath('kdump-mem'), 'info', '--vmcore', 'a.xz'],
      { cwd: folder, env: { TMPDIR: temporary, ...env }, reject: false },
    );
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(message);
    expect(readdirSync(temporary)).toEqual([]);
  });

  async function stub(program: string, script: string): Promise<void> {
    mkdirSync(file('bin'), { recursive: true });
    writeFileSync(join(file('bin'), program), `#!/bin/sh\n${script}\n`);
    chmodSync(join(file('bin'), program), 0o755);
  }
});

describe('the command for other packed files works as printed', () => {
  /** The printed advice. */
  async function advice(file: string): Promise<string> {
    const ran = await kdumpMem('info', '--vmcore', file);
    expect(ran).toMatchObject({ status: 3, stdout: '' });
    expect(ran.stderr).toMatch(/^kdump-mem: [^\n]*\. Unpack it: [^\n]*\n$/);
    return ran.stderr.trimEnd().split('. Unpack it: ')[1] ?? '';
  }

  test.each([
    ['vmcore.lzo', 'vmcore'],
    ['VMCORE.LZO', 'VMCORE'],
    ['vmcore', 'vmcore.unpacked'],
    ["it's 1 $(reboot).lzo", "it's 1 $(reboot)"],
    ['-n.lzo', '-n'],
    ['new\nline\\1.lzo', 'new\nline\\1'],
  ])('%j', async (name, unpacked) => {
    const packed = await stubbed('lzop', name, '\x89LZO\0');
    expect(readFileSync(join(folder, unpacked), 'latin1')).toBe(packed);
    // It never overwrites an existing file.
    const second = await advice(join(folder, name));
    expect(second).toContain('.unpacked');
    for (const one of [name, unpacked]) rmSync(join(folder, one), { force: true });
  });

  test('lzip', async () => {
    const packed = await stubbed('lzip', 'a lzip.lz', 'LZIP');
    expect(readFileSync(join(folder, 'a lzip'), 'latin1')).toBe(packed);
  });

  /** Runs the advice for a file with a program that passes its input on. */
  async function stubbed(program: string, name: string, magic: string): Promise<string> {
    const bin = join(folder, `bin-${program}`);
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, program), '#!/bin/sh\n[ "$*" = -dc ] && exec cat\n');
    chmodSync(join(bin, program), 0o755);
    writeFileSync(join(folder, name), `${magic}rest`, 'latin1');
    await shell(await advice(join(folder, name)), `${bin}:${process.env.PATH}`);
    return `${magic}rest`;
  }
});
