import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { describe, expect, test } from 'vitest';
import { STEP_MS } from '../../scripts/lab-parts/limits.mjs';
import { programPath, safePath, searchPath } from '../../src/base/shell.js';
import { CAPTURE_SCRIPT } from '../../src/capture/read/script.js';
import { commandPath } from '../support/cli.js';
import { fixture } from '../support/fixtures.js';
import { scratchFolder } from '../support/scratch.js';

const SOURCE = fileURLToPath(new URL('../../src/', import.meta.url));
const folder = scratchFolder('program-path-');

/** Names of programs that the source starts. */
const HELPERS =
  'ss fincore nsenter ionice dd dmesg cat crash perf bpftrace mkfifo xz zstd sh tar gzip grep sed date id mkdir'.split(
    ' ',
  );

test.each([
  ['', '/usr/bin:/bin'],
  [':', '/usr/bin:/bin'],
  ['.', '/usr/bin:/bin'],
  ['bin:./sbin', '/usr/bin:/bin'],
  [':/opt/x::/usr/bin:', '/opt/x:/usr/bin'],
  ['/a b:.:/c', '/a b:/c'],
])('removes elements of PATH %j that name the current folder', (path, safe) => {
  expect(safePath(path)).toBe(safe);
  expect(searchPath(path)).toBe(`${safe}:/usr/sbin:/usr/bin:/sbin:/bin`);
});

test('does not find a program of the current folder by an empty or relative element', () => {
  const { PATH } = process.env;
  const cwd = process.cwd();
  try {
    process.chdir(folder);
    writeFileSync('only-here', '');
    chmodSync('only-here', 0o755);
    for (const path of ['', '.', ':/usr/bin', './']) {
      process.env.PATH = path;
      expect(programPath('only-here'), path).toBeUndefined();
    }
    expect(programPath('./only-here')).toBe(join(folder, 'only-here'));
    expect(programPath('sh')).toMatch(/^\/(usr\/)?bin\/sh$/);
  } finally {
    process.chdir(cwd);
    process.env.PATH = PATH;
  }
});

test('uses the system default for an unset PATH', () => {
  const { PATH } = process.env;
  try {
    delete process.env.PATH;
    expect(safePath()).toBe('/usr/bin:/bin');
  } finally {
    process.env.PATH = PATH;
  }
});

test('reads PATH in one place, which every start of a program uses', () => {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const texts = files.map((name) => [name, readFileSync(join(SOURCE, name), 'utf8')] as const);
  const reads = texts.filter(([, text]) => /process\.env\.PATH|env\['PATH'\]/.test(text));
  expect(reads.map(([name]) => name)).toEqual(['base/shell.ts']);
  const starts = texts.filter(([, text]) => /\b(spawn|spawnSync|execa|execFileSync)\(/.test(text));
  expect(starts.length).toBeGreaterThan(5);
  const careless = starts.filter(([, text]) => !/PATH: (searchPath|safePath)\(/.test(text));
  expect(careless.map(([name]) => name)).toEqual([]);
});

// safePath above has each element alone.
describe.each(['', ':.:x:/usr/bin'])('with PATH=%j', (path) => {
  for (const name of HELPERS) {
    const file = join(folder, name);
    writeFileSync(file, `#!/bin/sh\n: > '${folder}/ran-${name}'\nexit 1\n`);
    chmodSync(file, 0o755);
  }
  const ran = () => readdirSync(folder).filter((name) => name.startsWith('ran-'));
  const run = (program: 'kdump-mem' | 'skcheck', ...args: string[]) =>
    execa(process.execPath, [commandPath(program), ...args], {
      cwd: folder,
      env: { PATH: path },
      reject: false,
      timeout: STEP_MS,
    });

  test.each([
    ['kdump-mem', ['doctor']],
    ['skcheck', ['--interval', '0']],
    ['kdump-mem', ['snapshot', '-o', 'taken.tar.gz', '--force', '--tmpfs', '--interval', '0.1']],
    ['kdump-mem', ['info', '--engine', 'crash', '--vmcore', fixture('6.1').vmcore]],
    ['kdump-mem', ['sockets', '--engine', 'crash', '--vmlinux', '/bin/true', '--vmcore', fixture('6.1').vmcore]],
    ['kdump-mem', ['leaks', '--from', 'packed.xz']],
  ] as const)('%s %j starts nothing in the current folder', async (program, args) => {
    writeFileSync(join(folder, 'packed.xz'), Buffer.from('fd377a585a000000', 'hex'));
    await run(program, ...args);
    expect(ran()).toEqual([]);
  });

  test('the script starts nothing there either', async () => {
    const script = join(folder, 'snapshot.sh.txt');
    writeFileSync(script, CAPTURE_SCRIPT);
    await execa('/bin/sh', [script, '--tmpfs', join(folder, 'script.tar.gz'), '0'], {
      cwd: folder,
      env: { PATH: path },
      extendEnv: false,
      reject: false,
      timeout: STEP_MS,
    });
    expect(ran()).toEqual([]);
  });
});
