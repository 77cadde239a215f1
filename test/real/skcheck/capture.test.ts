import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isUnreadForLong } from './queues.js';
import { type Actor, CLI, NEW_NETNS, Stage, skcheck, skcheckJson, until } from './stage.js';

/** One second between samples is enough for these tests. */
const SOON = ['--interval', '1'];

const stage = new Stage();
const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

let outside: Actor;
let inside: Actor;
let unix: Actor;
const HOSTILE = '\u001b[31mx\n,"y\\';

beforeAll(async () => {
  const pairs = await Promise.all([
    stage.pair({ comm: HOSTILE }, { bytes: 5000 }),
    stage.pair({}, { bytes: 6000 }, NEW_NETNS),
    stage.pair({ path: join(dir, 'a 5 b.sock') }, { bytes: 7000 }),
  ]);
  [outside, inside, unix] = pairs.map(({ server }) => server) as [Actor, Actor, Actor];
  await until(isUnreadForLong);
});

/** Entries of our three readers. */
function ours(sockets: ReturnType<typeof skcheckJson>['report']['sockets']) {
  const pids = [outside.pid, inside.pid, unix.pid];
  return sockets
    .filter(({ pid }) => pid !== null && pids.includes(pid))
    .map(({ pid, comm, fds, unreadBytes, protocol, netns, stalled }) => ({
      pid,
      comm,
      fds,
      unreadBytes,
      protocol,
      netns,
      verdict: stalled.verdict,
    }))
    .sort((a, b) => (a.pid ?? 0) - (b.pid ?? 0));
}

describe('a capture', () => {
  const file = join(dir, 'host.tar.gz');
  let live: ReturnType<typeof skcheckJson>;
  beforeAll(() => {
    live = skcheckJson([...SOON, '--stale']);
    expect(skcheck([...SOON, '--capture', file])).toMatchObject({ status: 0, stderr: '' });
  });

  test('read elsewhere gives the answer of the host itself', () => {
    expect(ours(live.report.sockets).length).toBe(3);
    const read = skcheckJson(['--stale', '--from', file]);
    expect(ours(read.report.sockets)).toEqual(ours(live.report.sockets));
    expect(read.report.host).toMatchObject({ ...live.report.host, source: 'capture', ...varying(read) });
    // Captured after the live answer, on the same clock.
    expect(read.report.host.uptimeSeconds).toBeGreaterThan(live.report.host.uptimeSeconds ?? 0);
    expect(read.report.sockets.find(({ pid }) => pid === outside.pid)?.comm).toBe(HOSTILE);
  });

  test('overwrites no file without --force', () => {
    const mine = join(dir, 'mine.tar.gz');
    writeFileSync(mine, 'mine');
    const refused = skcheck(['--interval', '0.5', '--capture', mine]);
    expect(refused).toMatchObject({ status: 2, stdout: '' });
    expect(refused.stderr).toMatch(/^skcheck: .*mine\.tar\.gz: already exists \(--force replaces it\)\. [^\n]+\n$/);
    expect(readFileSync(mine, 'utf8')).toBe('mine');
    expect(skcheck(['--interval', '0.5', '--capture', mine, '--force']).status).toBe(0);
    expect(ours(skcheckJson(['--stale', '--from', mine]).report.sockets).length).toBe(3);
  });

  test('leaves no partial file', async () => {
    const none = join(dir, 'no-such-directory', 'x.tar.gz');
    expect(skcheck(['--capture', none])).toMatchObject({ status: 3, stdout: '' });
    const half = join(dir, 'half.tar.gz');
    const child = spawn(process.execPath, [CLI, '--interval', '600', '--capture', half]);
    const begun = () => readdirSync(dir).filter((name) => /^\.half\..*\.partial$/.test(name));
    await until(() => begun().length === 1);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([143, null]);
    expect(readdirSync(dir).filter((name) => name.includes('half'))).toEqual([]);
  });

  test('gives advice about the capture, not about this host', () => {
    const run = skcheck(['--pid', '999999999', '--from', file]);
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(/^skcheck: no process has pid 999999999\. .* was captured\.\n$/);
    const bare = join(dir, 'bare');
    mkdirSync(join(bare, 'sample-1', 'netns-1'), { recursive: true });
    mkdirSync(join(bare, 'proc'));
    writeFileSync(join(bare, 'version'), '1\n');
    writeFileSync(join(bare, 'sample-1', 'began'), '1.00 1.00\n');
    const blind = skcheck(['--from', bare]);
    expect(blind.status).toBe(3);
    expect(blind.stderr).toContain('the samples have no timestamps; sample 2 is missing. Capture that host again.');
  });

  test('is readable as a directory too', () => {
    expect(spawnSync('tar', ['-xzf', file, '-C', dir]).status).toBe(0);
    const unpacked = skcheckJson(['--stale', '--from', join(dir, 'kdump-mem-snapshot')]);
    expect(ours(unpacked.report.sockets).length).toBe(3);
  });

  test('can be taken by the script alone, with sh and without skcheck', () => {
    const script = join(dir, 'capture.sh');
    writeFileSync(script, skcheck(['--capture-script']).stdout);
    const other = join(dir, 'other.tar.gz');
    expect(spawnSync('sh', [script, '--tmpfs', other, '1'], { encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(ours(skcheckJson(['--stale', '--from', other]).report.sockets).length).toBe(3);
  });

  test('includes names of unix sockets only on request', () => {
    const script = join(dir, 'names.sh');
    writeFileSync(script, skcheck(['--capture-script']).stdout);
    for (const [options, local] of [
      [[], '(left-out) 5 (left-out)'],
      [['--with', 'unix-paths'], join(dir, 'a 5 b.sock')],
    ] as const) {
      const named = join(dir, `names-${options.length}.tar.gz`);
      const args = [script, '--tmpfs', ...options, named, '0.5'];
      expect(spawnSync('sh', args, { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
      const { report } = skcheckJson(['--stale', '--from', named]);
      expect(report.sockets.find(({ pid }) => pid === unix.pid)).toMatchObject({ local });
      const { stdout } = spawnSync('tar', ['-xzOf', named], { maxBuffer: 2 ** 28 });
      expect(stdout.includes('b.sock')).toBe(options.length > 0);
    }
  });

  test('if truncated or damaged is refused in one line with status 3', () => {
    const bytes = readFileSync(file);
    for (const [name, content] of [
      ['cut', bytes.subarray(0, bytes.length / 2)],
      ['rubbish', Buffer.alloc(5000, 'x')],
      ['empty', Buffer.alloc(0)],
    ] as const) {
      writeFileSync(join(dir, name), content);
      const run = skcheck(['--from', join(dir, name)]);
      expect(run).toMatchObject({ status: 3, stdout: '' });
      expect(run.stderr).toMatch(/^skcheck: [^\n]+\n$/);
    }
  });

  test('does not follow a link out of its directory', () => {
    const trap = join(dir, 'trap');
    mkdirSync(join(trap, 'proc'), { recursive: true });
    writeFileSync(join(dir, 'secret'), 'MemTotal: 1 kB');
    symlinkSync(join(dir, 'secret'), join(trap, 'proc', 'meminfo'));
    expect(skcheck(['--from', trap]).status).toBe(3);
  });
});

test('from a sosreport: its one sample of ss, with owners', () => {
  const top = join(dir, 'sosreport-x');
  mkdirSync(join(top, 'sos_commands/networking'), { recursive: true });
  mkdirSync(join(top, 'proc'));
  writeFileSync(join(top, 'proc/meminfo'), readFileSync('/proc/meminfo'));
  const { stdout } = spawnSync('ss', ['-peaonmi'], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  writeFileSync(join(top, 'sos_commands/networking/ss_-peaonmi'), stdout);
  const archive = join(dir, 'sosreport.tar.xz');
  expect(spawnSync('tar', ['-cJf', archive, '-C', dir, 'sosreport-x']).status).toBe(0);
  const { report } = skcheckJson(['--stale', '--from', archive]);
  expect(report.host).toMatchObject({ samples: 1, source: 'capture' });
  const socket = report.sockets.find(({ pid }) => pid === outside.pid);
  expect(socket).toMatchObject({ unreadBytes: 5000, stalled: { certainty: 'likely' } });
});

/** Fields of one host that differ between two scans. */
function varying({ report }: ReturnType<typeof skcheckJson>) {
  const { takenAt, watchedMs, namespaces, uptimeSeconds, memoryBytes, memoryAvailableBytes } = report.host;
  expect(watchedMs).toBeGreaterThan(900);
  expect(memoryAvailableBytes).toBeGreaterThan(0);
  expect(memoryAvailableBytes).toBeLessThan(memoryBytes ?? 0);
  return { takenAt, watchedMs, namespaces, uptimeSeconds, memoryAvailableBytes };
}
