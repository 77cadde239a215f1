import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CLI, Stage, skcheck, skcheckJson, until } from './stage.js';

const SOON = ['--interval', '0.5'];
const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

const ports: number[] = [];
beforeAll(async () => {
  const pairs = await Promise.all([5000, 6000, 7000].map((bytes) => stage.pair({}, { bytes })));
  ports.push(...pairs.map(({ server }) => server.port));
});

/** Runs a command with a temporary disk of this size in KiB, in a separate mount namespace. */
function onDisk(kib: number): string[] {
  const disk = join(dir, 'disk');
  mkdirSync(disk, { recursive: true });
  const script = 'mount -t tmpfs -o size="$1"k none "$2" && export TMPDIR="$2" && shift 2 && exec "$@"';
  return ['unshare', '-m', 'sh', '-c', script, 'sh', `${kib}`, disk];
}

/** A capture either fails with one line and leaves no file, or reads as the host does. */
function expectWholeOrNone(file: string, wrapper: string[]): 'whole' | 'none' {
  const run = skcheck([...SOON, '--capture', file], wrapper);
  if (run.status !== 0) {
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(/^skcheck: the capture failed: [^\n]+ cannot be written[^\n]+\n$/);
    expect(readdirSync(dir).filter((name) => name.includes('tar.gz'))).toEqual([]);
    return 'none';
  }
  const { report } = skcheckJson(['--stale', '--from', file]);
  expect(report.complete).toBe(true);
  for (const port of ports) expect(report.sockets.map(({ local }) => local)).toContain(`127.0.0.1:${port}`);
  rmSync(file);
  return 'whole';
}

describe('without space', () => {
  test('on the temporary disk, writes a complete capture or none', () => {
    const outcomes = [4, 300, 400, 500, 700, 20_000].map((kib) =>
      expectWholeOrNone(join(dir, 'c.tar.gz'), onDisk(kib)),
    );
    expect(new Set(outcomes)).toEqual(new Set(['none', 'whole']));
  });

  test('under a limit on file sizes, writes a complete capture or none', () => {
    const limited = (blocks: number) => ['sh', '-c', `ulimit -f ${blocks}; exec "$@"`, 'sh'];
    const outcomes = [1, 20, 100, 200_000].map((blocks) => expectWholeOrNone(join(dir, 'c.tar.gz'), limited(blocks)));
    expect(new Set(outcomes)).toEqual(new Set(['none', 'whole']));
  });

  test.each(['sh', '/bin/bash'])('the script alone exits with one line and a status, in %s', (shell) => {
    const script = join(dir, 'capture.sh');
    writeFileSync(script, skcheck(['--capture-script']).stdout);
    const out = join(dir, 'alone.tar.gz');
    const [command = '', ...rest] = [...onDisk(300), shell, script, '--tmpfs', out, '0'];
    const run = spawnSync(command, rest, { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(/^snapshot: [^\n]+ cannot be written: the disk may be full\. [^\n]+\n$/);
    expect(existsSync(out)).toBe(false);
  });

  test('keeps an existing file of any user', () => {
    const disk = join(dir, 'disk');
    mkdirSync(disk, { recursive: true });
    const script = [
      'mount -t tmpfs -o size=16k none "$1" && echo before > "$1/c.tar.gz" && shift',
      '"$@"; echo "status $?"; ls -A "$0"; cat "$0/c.tar.gz"',
    ].join('; ');
    const { stdout } = spawnSync(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        script,
        disk,
        disk,
        process.execPath,
        CLI,
        ...SOON,
        '--force',
        '--capture',
        join(disk, 'c.tar.gz'),
      ],
      { encoding: 'utf8' },
    );
    expect(stdout).toBe('status 3\nc.tar.gz\nbefore\n');
  });
});

describe('--force', () => {
  test('replaces a file of any mode by one for its owner only', () => {
    const file = join(dir, 'mine.tar.gz');
    writeFileSync(file, 'mine', { mode: 0o644 });
    expect(skcheck([...SOON, '--capture', file, '--force']).status).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    rmSync(file);
  });

  test('follows no link', () => {
    const [target, link] = [join(dir, 'target'), join(dir, 'link')];
    writeFileSync(target, 'kept');
    symlinkSync(target, link);
    const run = skcheck([...SOON, '--capture', link, '--force']);
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(/^skcheck: [^\n]*link: not a regular file\. [^\n]+\n$/);
    expect(readFileSync(target, 'utf8')).toBe('kept');
  });
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('%s leaves nothing behind, with the status of that signal', async (signal, status) => {
  const temporary = join(dir, `tmp-${signal}`);
  mkdirSync(temporary);
  const before = join(dir, 'before.tar.gz');
  writeFileSync(before, 'before');
  const child = spawn(process.execPath, [CLI, '--interval', '600', '--force', '--capture', before], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (bytes: Buffer) => {
    stderr += bytes.toString();
  });
  await until(() => readdirSync(temporary, { recursive: true }).join().includes('sample-1/ended'));
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([status, null]);
  expect(stderr).toBe('skcheck: interrupted, no capture written.\n');
  expect(readdirSync(temporary)).toEqual([]);
  expect(readdirSync(dir).filter((name) => name.includes('before'))).toEqual(['before.tar.gz']);
  expect(readFileSync(before, 'utf8')).toBe('before');
});

test('escapes control characters in the metadata of a capture', () => {
  const folder = join(dir, 'hostile', 'kdump-mem-snapshot');
  expect(skcheck([...SOON, '--capture', join(dir, 'h.tar.gz')]).status).toBe(0);
  mkdirSync(join(dir, 'hostile'));
  expect(spawnSync('tar', ['-xzf', join(dir, 'h.tar.gz'), '-C', join(dir, 'hostile')]).status).toBe(0);
  const hostile = '\u001b]0;title\u0007\u001b[2J';
  writeFileSync(join(folder, 'unknown-tables'), `mptcp ${hostile} ${hostile}x\n`);
  const sample = readdirSync(join(folder, 'sample-2')).find((name) => name.startsWith('netns-'));
  writeFileSync(join(folder, 'sample-2', `${sample}`, 'failed'), `${hostile}\n`);
  writeFileSync(join(folder, 'taken'), hostile);
  writeFileSync(join(folder, 'proc', 'sys', 'kernel', 'hostname'), hostile);
  for (const args of [[], ['--json'], ['--prometheus']]) {
    const run = skcheck(['--from', folder, ...args]);
    expect(run.stdout).not.toBe('');
    for (const control of ['\u001b', '\u0007']) expect(`${run.stdout}${run.stderr}`).not.toContain(control);
  }
});

test('a capture without its second sample is never complete, even if its manifest agrees', () => {
  const archive = join(dir, 'lost.tar.gz');
  expect(skcheck([...SOON, '--capture', archive]).status).toBe(0);
  const captured = (lost: RegExp) => {
    const folder = mkdtempSync(join(dir, 'lost-'));
    expect(spawnSync('tar', ['-xzf', archive, '-C', folder]).status).toBe(0);
    const root = join(folder, 'kdump-mem-snapshot');
    const names = readdirSync(root, { recursive: true }).map(String);
    for (const name of names.filter((each) => lost.test(each)))
      rmSync(join(root, name), { recursive: true, force: true });
    const lines = readFileSync(join(root, 'manifest'), 'utf8').trimEnd().split('\n').slice(0, -1);
    const left = lines.filter((line) => !lost.test(line.replace(/^\d+ \d+ \.\//, '')));
    writeFileSync(join(root, 'manifest'), `${left.join('\n')}\nwhole ${left.length}\n`);
    return root;
  };
  const whole = skcheckJson(['--from', captured(/^$/)]).report;
  expect(whole.warnings.filter(({ code }) => code === 'capture')).toEqual([]);
  for (const lost of [/^sample-2/, /^sample-2\/netns-/, /^sample-2\/netns-\d+\/inet$/]) {
    const { status, stdout } = skcheck(['--from', captured(lost), '--json']);
    expect(stdout === '' ? status === 3 : !JSON.parse(stdout).complete).toBe(true);
  }
  const { report } = skcheckJson(['--from', captured(/^sample-2\/netns-\d+\/unix$/)]);
  expect(report.complete).toBe(false);
  expect(report.warnings.map(({ message }) => message).join()).toContain('no sockets (unix)');
});
