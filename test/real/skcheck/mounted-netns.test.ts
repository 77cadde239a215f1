import { spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Stage, skcheck, skcheckJson } from './stage.js';

/** One second between samples is enough for these tests. */
const SOON = ['--interval', '1'];

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
const NAME = `skcheck-mount-${process.pid}`;
/** A mount point outside the directory of `ip netns`, with a space in its name. */
const ELSEWHERE = join(dir, 'a b');
const script = join(dir, 'capture.sh');

let pid: number;
let netns: number;

beforeAll(async () => {
  run('ip', 'netns', 'add', NAME);
  run('ip', '-n', NAME, 'link', 'set', 'lo', 'up');
  netns = statSync(`/run/netns/${NAME}`).ino;
  ({ pid } = await stage.perl('./lives-elsewhere.pl', `/run/netns/${NAME}`));
  writeFileSync(script, skcheck(['--capture-script']).stdout);
});

afterAll(() => {
  stage.end();
  spawnSync('ip', ['netns', 'delete', NAME]);
  rmSync(dir, { recursive: true });
});

/** Entries of sockets in our namespace. */
function inside(args: string[]) {
  return skcheckJson(args).report.sockets.filter((socket) => socket.netns === netns);
}

const STALLED = { comm: 'perl', unreadBytes: 5000, stalled: { verdict: 'stalled-reader' } };

/** The capture script, with these commands hidden. */
function captureWithout(file: string, ...commands: string[]) {
  const hide = commands.map((command) => `mount --bind /dev/null ${pathOf(command)}`).join(' && ');
  const args = ['-m', 'sh', '-c', `${hide} && exec sh "$@"`, 'sh', script, '--tmpfs', file, '1'];
  return spawnSync('unshare', args, { encoding: 'utf8' });
}

test('no process lives in it', () => {
  const { stdout } = spawnSync('ip', ['netns', 'pids', NAME], { encoding: 'utf8' });
  expect(stdout).toBe('');
});

test('finds a stalled socket in a namespace that only a mount keeps, with its owner elsewhere', () => {
  expect(inside([...SOON, '--stale'])).toMatchObject([{ ...STALLED, pid, netnsName: NAME }]);
  expect(inside([...SOON, '--procfs', '--netns', NAME])).toMatchObject([{ pid, unreadBytes: 5000 }]);
});

test('its capture contains the socket too', () => {
  const file = join(dir, 'whole.tar.gz');
  expect(skcheck([...SOON, '--capture', file])).toMatchObject({ status: 0, stderr: '' });
  const timeless = (text = '') => text.replaceAll(/[\d.]+ s/g, 'T');
  const [live] = inside([...SOON, '--stale']);
  const [read] = inside(['--stale', '--from', file]);
  expect(timeless(live?.stalled.because)).toMatch(/^read nothing in T; its main thread is sleeping in \w+$/);
  expect({ ...read, stalled: timeless(read?.stalled.because) }).toEqual({
    ...live,
    stalled: timeless(live?.stalled.because),
  });
  expect(inside(['--stale', '--from', file, '--netns', NAME])).toMatchObject([{ pid }]);
});

test('the script contains it too if only ip can enter the namespace', () => {
  const file = join(dir, 'by-ip.tar.gz');
  const { status } = captureWithout(file, 'nsenter');
  expect(status).toBe(0);
  expect(inside(['--stale', '--from', file])).toMatchObject([{ ...STALLED, pid, netnsName: NAME }]);
});

test('finds it without ss', () => {
  const file = join(dir, 'no-ss.tar.gz');
  expect(captureWithout(file, 'ss')).toMatchObject({ status: 0, stderr: '' });
  const { report } = skcheckJson(['--from', file, '--stale']);
  expect(report.host.source).toBe('capture');
  expect(report.sockets.filter((socket) => socket.netns === netns)).toMatchObject([{ pid, unreadBytes: 5000 }]);
});

test('the capture and its answer report namespaces that could not be entered', () => {
  const file = join(dir, 'closed.tar.gz');
  const { status, stderr } = captureWithout(file, 'nsenter', 'ip');
  expect(status).toBe(0);
  expect(stderr).toMatch(/^snapshot: note: network namespaces that could not be entered: \d+ \(no nsenter/);
  const { report } = skcheckJson(['--from', file, '--stale']);
  expect(report.sockets.filter((socket) => socket.netns === netns)).toEqual([]);
  const count = Number(/\d+/.exec(stderr)?.[0]);
  expect(report.warnings).toContainEqual({
    code: 'netns-closed',
    count,
    message: expect.stringMatching(/could not be entered\. Capture as root, with nsenter .* or ip /),
  });
  const netnsRun = skcheck(['--from', file, '--netns', NAME]);
  expect(netnsRun).toMatchObject({ status: 3, stdout: '' });
  expect(netnsRun.stderr).toMatch(/could not be entered\. Capture as root, with nsenter .* or ip /);
});

test('finds the namespace at any mount point', () => {
  const moved = (from: string, to: string) => {
    writeFileSync(to, '');
    run('mount', '--bind', from, to);
    run('umount', from);
    rmSync(from);
  };
  const file = join(dir, 'elsewhere.tar.gz');
  moved(`/run/netns/${NAME}`, ELSEWHERE);
  try {
    expect(skcheck([...SOON, '--capture', file])).toMatchObject({ status: 0, stderr: '' });
    expect(inside(['--stale', '--from', file])).toMatchObject([{ ...STALLED, pid, netnsName: 'a b' }]);
  } finally {
    moved(ELSEWHERE, `/run/netns/${NAME}`);
  }
});

function pathOf(command: string): string {
  const { stdout } = spawnSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' });
  return realpathSync(stdout.trim());
}

function run(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
}
