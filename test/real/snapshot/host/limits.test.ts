import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { snapshotSchema } from '../../../../src/contracts/snapshot.js';
import { commandPath } from '../../../support/cli.js';
import { until } from '../../skcheck/stage.js';

const CLI = commandPath('kdump-mem');
const dir = mkdtempSync(join(tmpdir(), 'snapshot-'));
chmodSync(dir, 0o777);
const file = join(dir, 'host.tar.gz');
afterEach(() => rmSync(file, { force: true }));
afterAll(() => rmSync(dir, { recursive: true }));
const SOON = ['--tmpfs', '--interval', '0.1'];

function run(args: readonly string[], wrapper: readonly string[] = []) {
  const [command = '', ...rest] = [...wrapper, process.execPath, CLI, 'snapshot', ...args];
  return spawnSync(command, rest, { encoding: 'utf8', maxBuffer: 2 ** 28, cwd: '/' });
}

const verified = () => run(['--verify', file]).status === 0;

/** Expects either a complete file, or one line and no file. */
function expectWholeOrNone(wrapper: readonly string[]): 'whole' | 'none' {
  const { status, stdout, stderr } = run([...SOON, '-o', file], wrapper);
  const others = readdirSync(dir).filter((name) => name.includes('host'));
  if (status === 0) {
    expect(stderr.replaceAll(/^kdump-mem: warning: [^\n]+\n/gm, '')).toBe('');
    expect(verified()).toBe(true);
    rmSync(file);
    return 'whole';
  }
  expect([status, stdout, others]).toEqual([3, '', []]);
  expect(stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
  return 'none';
}

const limited = (limit: string) => ['sh', '-c', `ulimit ${limit}; exec "$@"`, 'sh'];

// With fewer than 20 Node itself does not start.
test.each([20, 22, 24, 26, 30])(
  'with %d descriptors, writes a complete file or reports why not in one line',
  (count) => {
    expectWholeOrNone(limited(`-n ${count}`));
  },
);

test('with few descriptors writes none, with many a complete one', () => {
  expect([20, 200].map((count) => expectWholeOrNone(limited(`-n ${count}`)))).toEqual(['none', 'whole']);
});

test('under a limit on file sizes, writes a complete file or none', () => {
  expect([1, 20, 200_000].map((blocks) => expectWholeOrNone(limited(`-f ${blocks}`)))).toEqual([
    'none',
    'none',
    'whole',
  ]);
});

/** A temporary disk of this size in KiB at DIR/disk, in a separate mount namespace. */
function onDisk(kib: number, more = 'true'): string[] {
  const disk = join(dir, 'disk');
  mkdirSync(disk, { recursive: true });
  const script = `mount -t tmpfs -o size=${kib}k none "$1" && ${more} && shift && "$@"; code=$?; ls -A ${disk} >&2; exit $code`;
  return ['unshare', '-m', 'sh', '-c', script, 'sh', disk];
}

describe('a destination', () => {
  const existing = join(dir, 'disk', 'host.tar.gz');
  test('in memory is refused unless requested', () => {
    const refused = run(['-o', existing, '--interval', '0.1'], onDisk(60_000));
    expect([refused.status, refused.stdout]).toEqual([3, '']);
    expect(refused.stderr).toMatch(/^kdump-mem: [^\n]+ is in memory \(tmpfs\)[^\n]+--tmpfs\n$/);
    const snapshotRun = run([...SOON, '-o', existing], onDisk(60_000));
    expect(snapshotRun.status).toBe(0);
    expect(snapshotRun.stderr).toContain('host.tar.gz\n');
  });

  test('without space is refused before any file is read', () => {
    const { status, stdout, stderr } = run([...SOON, '-o', existing], onDisk(100));
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^kdump-mem: [^\n]+ has 0 MiB free[^\n]+ write to stdout \(-o -\)\n$/);
  });

  test('on a read-only file system is reported', () => {
    const readOnly = `mount -o remount,ro ${join(dir, 'disk')}`;
    const { status, stdout, stderr } = run([...SOON, '-o', existing], onDisk(60_000, readOnly));
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^kdump-mem: [^\n]+: write failed \(EROFS\)\n$/);
  });
});

const NOBODY = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

test('without root, captures what is readable, and reports the remainder', () => {
  const { status, stdout, stderr } = run([...SOON, '-o', file, '--json', '--strict'], NOBODY);
  expect([status, stderr]).toEqual([5, '']);
  const said = snapshotSchema.parse(JSON.parse(stdout));
  expect(said.complete).toBe(false);
  expect(said.errorCounts.denied).toBeGreaterThan(1);
  const errors = spawnSync('tar', ['-xzOf', file, 'kdump-mem-snapshot/errors'], { encoding: 'utf8' });
  expect(errors.stdout).toContain('/proc/1/fd\tdenied\t');
  expect(verified()).toBe(true);
  const from = spawnSync(process.execPath, [CLI, 'memory', '--from', file], { encoding: 'utf8' });
  // Shared memory is that of the whole machine: descriptors of its owners may be unreadable.
  const unreadable =
    /^kdump-mem: warning: up to [\d.]+ [MG]iB of shared memory has no known owner \(descriptors of \d+ processes: permission denied\)\n$/;
  expect(from.status).toBe(0);
  expect(from.stderr.replace(unreadable, '')).toBe('');
  const { stdout: triaged } = spawnSync(process.execPath, [CLI, 'triage', '--from', file], { encoding: 'utf8' });
  expect(triaged).toMatch(/ncomplete: \d+ processes could not be read\. Take the snapshot as root\./);
  expect(triaged).not.toMatch(/No problems|No findings/);
});

test('if no process can be started, reads sockets from /proc/net', () => {
  // Starting a process fails with EAGAIN, as fork does at a limit.
  const folder = join(dir, 'no-fork');
  mkdirSync(folder);
  const preload = join(folder, 'preload.cjs');
  writeFileSync(
    preload,
    `const child = require('node:child_process');
     const fail = () => { throw Object.assign(new Error('spawn EAGAIN'), { code: 'EAGAIN', syscall: 'spawn' }); };
     child.spawn = fail; child.spawnSync = () => ({ status: null, error: new Error('EAGAIN') });
     require('node:module').syncBuiltinESMExports();`,
  );
  const { status, stdout } = run([...SOON, '-o', file, '--json'], ['env', `NODE_OPTIONS=--require=${preload}`]);
  expect(status).toBe(0);
  const said = snapshotSchema.parse(JSON.parse(stdout));
  expect(said.complete).toBe(false);
  expect(said.errors).toContainEqual(
    expect.objectContaining({ words: expect.stringContaining('ss cannot be started') }),
  );
  const { stdout: names } = spawnSync('tar', ['-tzf', file], { encoding: 'utf8' });
  expect(names).toMatch(/sample-1\/netns-\d+\/net\/tcp\n/);
  expect(names).toMatch(/sample-1\/netns-\d+\/failed\n/);
  expect(verified()).toBe(true);
});

describe('to stdout', () => {
  test('writes the same archive', () => {
    const whole = ['sh', '-c', '"$@" | cat > "$0"', file];
    expect(run(['--to-stdout', '--interval', '0.1'], whole)).toMatchObject({ status: 0, stdout: '' });
    expect(verified()).toBe(true);
  });

  test('a reader that closes the pipe ends it without a message', () => {
    const pipe = ['bash', '-c', '"$@" | head -c 100 > /dev/null; exit "$PIPESTATUS"', 'sh'];
    const { status, stderr } = run(['-o', '-', '--interval', '1'], pipe);
    expect([status, stderr]).toEqual([141, '']);
  });

  test('refuses a terminal', () => {
    const quoted = [process.execPath, CLI, 'snapshot', '--to-stdout'].join(' ');
    const { stdout, status } = spawnSync('script', ['-qec', quoted, '/dev/null'], { encoding: 'utf8' });
    expect(status).toBe(2);
    expect(stdout).toMatch(/^kdump-mem: stdout is a terminal[^\n]+\n$/);
  });
});

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s leaves nothing behind', async (signal) => {
  const child = spawn(
    process.execPath,
    [CLI, 'snapshot', '--tmpfs', '--interval', '600', '--timeout', '900', '-o', file],
    { stdio: 'ignore' },
  );
  const begun = () => readdirSync(dir).some((name) => /^\.host.*\.partial$/.test(name));
  await until(begun);
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([null, signal]);
  expect(existsSync(file)).toBe(false);
  expect(begun()).toBe(false);
});

test('ends in time, and reports what is missing', () => {
  const { status, stdout } = run([...SOON, '-o', file, '--json', '--timeout', '0']);
  expect(status).toBe(0);
  const said = snapshotSchema.parse(JSON.parse(stdout));
  expect(said.complete).toBe(false);
  expect(said.errors.some(({ words }) => words.includes('timeout'))).toBe(true);
  expect(verified()).toBe(true);
});

test('needs less than 100 MB of memory', () => {
  const script =
    'import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)';
  const { stdout, status } = run([...SOON, '-o', file], ['python3', '-c', script]);
  expect(status).toBe(0);
  expect(Number(stdout)).toBeLessThan(100);
});
