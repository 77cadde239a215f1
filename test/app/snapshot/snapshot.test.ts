import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { snapshotVerifySchema } from '../../../src/contracts/snapshot.js';
import { kdumpMem } from '../../support/cli.js';

const dir = mkdtempSync(join(tmpdir(), 'snapshot-cli-'));
afterAll(() => rmSync(dir, { recursive: true }));
const file = join(dir, 'host.tar.gz');

describe('a usage error is one line and status 2', () => {
  test.each([
    [[], 'no output file given'],
    [['-o', ''], 'is empty'],
    [['-o', file, '--to-stdout'], 'cannot be used'],
    [['--to-stdout', '--json'], '--json cannot be combined with --to-stdout'],
    [['-o', '-', '--json'], '--json cannot be combined with --to-stdout'],
    [['-o', file, '--with', 'everything'], 'Parts are smaps'],
    [['-o', file, '--with', 'perf'], 'procs --live --pid PID --stacks'],
    [['-o', file, '--with', 'kpageflags'], 'memory --live'],
    [['-o', file, '--with', 'arguments', '--anonymize'], 'cannot be combined with --anonymize'],
    [['-o', file, '--with', 'smaps,unix-paths', '--anonymize'], 'cannot be combined with --anonymize'],
    [['--script', '-o', file], 'cannot be used'],
    [['--verify', file, '--force'], 'cannot be used'],
    [['-o', file, '--interval', '0'], '0.1 to 3600'],
  ])('%j', async (args, words) => {
    const { stdout, stderr, status } = await kdumpMem('snapshot', ...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(words);
    expect(stderr.trim().split('\n').length).toBe(1);
    expect(existsSync(file)).toBe(false);
  });
});

test('an existing file is kept, and a missing folder is reported', async () => {
  const mine = join(dir, 'mine.tar.gz');
  writeFileSync(mine, 'mine');
  const existing = await kdumpMem('snapshot', '--tmpfs', '-o', mine);
  expect([existing.status, existing.stdout]).toEqual([2, '']);
  expect(existing.stderr).toMatch(/^kdump-mem: .*mine\.tar\.gz: already exists \(--force replaces it\)\n$/);
  expect(readFileSync(mine, 'utf8')).toBe('mine');
  const none = await kdumpMem('snapshot', '-o', join(dir, 'none', 'x.tar.gz'));
  expect([none.status, none.stdout]).toEqual([3, '']);
  expect(none.stderr).toMatch(/^kdump-mem: .*: write failed \(ENOENT\)\n$/);
  expect(readdirSync(dir)).toEqual(['mine.tar.gz']);
});

test('the script runs from a pipe, as documented', async () => {
  const said = ['README.md', 'docs/snapshot.md'].flatMap((name) =>
    Array.from(
      readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8').matchAll(/sh (-s [^<>|`]+)/g),
      ([, words = '']) => words.trim(),
    ),
  );
  expect(said.length).toBeGreaterThan(2);
  const { stdout: script } = await kdumpMem('snapshot', '--script');
  for (const words of new Set(said)) {
    const path = join(dir, 'piped.tar.gz');
    const options = { input: script, maxBuffer: 256 * 1024 ** 2 };
    writeFileSync(path, execFileSync('sh', words.split(' '), options));
    const { stdout } = await kdumpMem('snapshot', '--verify', path, '--json');
    expect(snapshotVerifySchema.parse(JSON.parse(stdout)).problems, words).toEqual([]);
    rmSync(path);
  }
});

test.each(['', '.', '--force', '1s', '-1', '1.2.3', '1234567'])(
  'the script refuses %j as interval, and leaves nothing',
  async (seconds) => {
    const { stdout: script } = await kdumpMem('snapshot', '--script');
    const folder = mkdtempSync(join(tmpdir(), 'script-'));
    const run = spawnSync('sh', ['-s', '--', '--tmpfs', join(folder, 'x.tar.gz'), seconds], {
      input: script,
      encoding: 'utf8',
    });
    expect([run.status, run.stdout, readdirSync(folder)]).toEqual([2, '', []]);
    expect(run.stderr).toBe(`snapshot: SECONDS is a number, not ${seconds}\n`);
    rmSync(folder, { recursive: true });
  },
);

test('the script removes its folder when its reader is gone', async () => {
  const { stdout: script } = await kdumpMem('snapshot', '--script');
  const folder = mkdtempSync(join(tmpdir(), 'script-'));
  writeFileSync(join(folder, 'snapshot.sh'), script);
  // Node ignores SIGPIPE, and a shell keeps ignored signals: env resets it.
  const command = 'env --default-signal=PIPE sh snapshot.sh - 0 2>&1 | true; ls -A';
  const run = spawnSync('sh', ['-c', command], {
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
    encoding: 'utf8',
  });
  expect(run.stdout).toBe('snapshot.sh\n');
  rmSync(folder, { recursive: true });
});

test('--verify has its own status for a damaged snapshot', async () => {
  const path = join(dir, 'rubbish.tar.gz');
  writeFileSync(path, 'rubbish');
  const { stdout, stderr, status } = await kdumpMem('snapshot', '--verify', path, '--json');
  expect([status, stderr]).toEqual([1, '']);
  const said = snapshotVerifySchema.parse(JSON.parse(stdout));
  expect(said).toMatchObject({ intact: false, files: 0 });
  const none = await kdumpMem('snapshot', '--verify', join(dir, 'none'));
  expect([none.status, none.stdout]).toEqual([3, '']);
  expect(none.stderr).toMatch(/none: not found\. Name an archive written by kdump-mem snapshot or [^\n]*\.\n$/);
  const folder = await kdumpMem('snapshot', '--verify', dir);
  expect([folder.status, folder.stderr]).toEqual([
    3,
    expect.stringMatching(/: not a regular file\. Name an archive written by kdump-mem snapshot /),
  ]);
});

test('--script prints valid sh', async () => {
  const { stdout, status } = await kdumpMem('snapshot', '--script');
  expect(status).toBe(0);
  const script = join(dir, 'snapshot.sh');
  writeFileSync(script, stdout);
  expect(execFileSync('sh', ['-n', script]).toString()).toBe('');
});
