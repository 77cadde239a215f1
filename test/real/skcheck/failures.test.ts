import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { Stage, skcheck, skcheckJson } from './stage.js';

const dir = mkdtempSync(join(tmpdir(), 'skcheck-'));
const stage = new Stage();
afterAll(() => {
  stage.end();
  rmSync(dir, { recursive: true });
});

/** Puts another `ss` in front of the real one. */
function withSs(script: string) {
  const path = join(dir, 'ss');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { PATH: `${dir}:${process.env.PATH}` };
}

describe('wrong usage is status 2 and one line', () => {
  test.each([
    ['an unknown option', ['--stalled']],
    ['an unknown option with an escape sequence', ['--\u001b[2J\nx']],
    ['an argument', ['4711']],
    ['no interval', ['--interval']],
    ['a negative interval', ['--interval', '-1']],
    ['an interval that is too short for a verdict', ['--interval', '0.1']],
    ['an interval in words', ['--interval', 'two']],
    ['half a byte', ['--min-bytes', '0.5']],
    ['pid 0', ['--pid', '0']],
    ['an unknown verdict', ['--verdict', 'stalled-reader,lazy']],
    ['two ways to select verdicts', ['--stale', '--verdict', 'slow-reader']],
    ['one sample twice', ['--samples', '1']],
    ['an invalid port', ['--sport', '65536']],
    ['an invalid address', ['--address', '10.0.0.256']],
    ['an age in words', ['--min-age', 'long']],
    ['an invalid state', ['--state', 'established,nonsense']],
    ['a capture, counted in the memory of this host', ['--from', 'c.tar.gz', '--exact']],
    ['a capture, watched', ['--from', 'c.tar.gz', '--watch']],
    ['a capture, without the tables that it lacks', ['--from', 'c.tar.gz', '--procfs']],
    ['a capture, captured', ['--from', 'c.tar.gz', '--capture', 'd.tar.gz']],
    ['two formats', ['--json', '--prometheus']],
    ['a capture, with another interval', ['--from', 'c.tar.gz', '--interval', '3']],
    ['a capture, with more samples', ['--from', 'c.tar.gz', '--samples', '3']],
    ['a capture, and pages that are counted here', ['--from', 'c.tar.gz', '--census']],
    ['several samples at once', ['--samples', '3', '--interval', '0']],
    ['a watch without time', ['--watch', '--interval', '0']],
    ['a capture without time', ['--capture', 'd.tar.gz', '--interval', '0']],
    ['a capture with a verdict filter', ['--capture', 'd.tar.gz', '--stale']],
    ['a capture of one process', ['--capture', 'd.tar.gz', '--pid', '1']],
    ['force without a capture', ['--force']],
    ['the script and a query', ['--capture-script', '--stale']],
    ['the script and an interval', ['--capture-script', '--interval', '3']],
    ['the script and an argument', ['--capture-script', 'c.sh']],
    ['metrics of listed sockets', ['--prometheus', '--stale']],
    ['metrics, the worst', ['--listen', '127.0.0.1:0', '--top', '3']],
    ['metrics, watched', ['--prometheus', '--watch']],
    ['metrics in two ways', ['--prometheus', '--listen', '127.0.0.1:0']],
  ])('%s', (_, args) => {
    const run = skcheck(args);
    expect(run).toMatchObject({ status: 2, stdout: '' });
    expect(run.stderr).toMatch(/^skcheck: [^\n]*Try skcheck --help\.\n$/);
    expect(run.stderr).not.toContain('\u001b');
  });
});

test.each([['nope'], ['help', 'nope'], ['help']])('refuses the command %s %s', (...args) => {
  const run = skcheck(args.filter((arg) => arg !== undefined));
  expect(run).toMatchObject({ status: 2, stdout: '' });
  expect(run.stderr).toBe(
    `skcheck: unknown argument "${args.join(' ')}": skcheck accepts only options. Try skcheck --help.\n`,
  );
});

test('--help has examples and the exit statuses, --version the version', () => {
  const help = skcheck(['--help']);
  expect(help.status).toBe(0);
  expect(help.stdout).toContain('skcheck --stale --interval 0');
  expect(help.stdout).toMatch(/Exit status: 0 .*1 .*2 .*\n3 /);
  expect(Math.max(...help.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(skcheck(['--version'])).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});

describe('a failed scan is status 3 and one line', () => {
  test('a device or a fifo instead of a capture', () => {
    expect(spawnSync('mkfifo', [join(dir, 'fifo')]).status).toBe(0);
    for (const path of ['/dev/zero', join(dir, 'fifo')]) {
      const run = skcheck(['--from', path]);
      expect(run).toMatchObject({ status: 3, stdout: '' });
      expect(run.stderr).toMatch(/^skcheck: [^\n]* is neither a file nor a directory\. [^\n]*\n$/);
    }
  });

  test('a full disk behind stdout', () => {
    for (const args of [['--interval', '0'], ['--help'], ['--capture-script']]) {
      const run = skcheck(args, ['sh', '-c', 'exec "$@" > /dev/full', 'sh']);
      expect(run.status).toBe(3);
      const complaint = run.stderr.replaceAll(/^skcheck: note: .*\n/gm, '');
      expect(complaint).toBe('skcheck: the answer cannot be written (ENOSPC).\n');
    }
  });

  test('no such process', () => {
    const run = skcheck(['--stale', '--pid', '999999999']);
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(/^skcheck: no process has pid 999999999\. [^\n]+\n$/);
  });

  test.each([
    [
      'ss fails',
      'echo "Cannot open netlink socket: \u001b[31mno" >&2; exit 255',
      /^skcheck: ss failed with status 255: Cannot open netlink socket: \\x1b\[31mno\. [^\n]+\n$/,
    ],
    ['ss is killed', 'kill -9 $$', /^skcheck: ss failed \(SIGKILL\)\. [^\n]+\n$/],
  ])('%s', (_, script, words) => {
    const run = skcheck(['--stale'], [], withSs(script));
    expect(run).toMatchObject({ status: 3, stdout: '' });
    expect(run.stderr).toMatch(words);
  });
});

describe('without ss', () => {
  // In a separate mount namespace, where the directories of all commands are empty.
  const script = [
    'node=$1; shift',
    `touch ${dir}/node && mount --bind "$node" ${dir}/node`,
    'mount -t tmpfs none /usr/sbin && mount -t tmpfs none /usr/bin',
    `exec ${dir}/node "$@"`,
  ].join('; ');
  const bare = ['unshare', '-m', 'sh', '-c', script, 'sh'];

  test('reads /proc/net, and reports what is missing there', async () => {
    const { server } = await stage.pair({}, { bytes: 5000 });
    server.stop();
    const run = skcheckJson(['--stale', '--sport', `${server.port}`], bare);
    expect(run.report.host.source).toBe('procfs');
    expect(run.report.sockets).toMatchObject([{ pid: server.pid, unreadBytes: 5000 }]);
    expect(run.report.warnings.map(({ code }) => code)).toContain('without-ss');
    expect(run.stderr).toMatch(/without ss: no unix queues, .* the bounds are wide/);
  });
});

test('a missing network namespace is status 3', () => {
  const run = skcheck(['--netns', 'no-such-namespace']);
  expect(run).toMatchObject({ status: 3, stdout: '' });
  expect(run.stderr).toMatch(/^skcheck: network namespace "no-such-namespace" not found[^\n]+\n$/);
});

test('reports the number of malformed rows', () => {
  const args = ['--stale', '--netns', 'own', '--interval', '0'];
  const run = skcheck(args, [], withSs('echo "tcp WHAT is this"'));
  expect(run.status).toBe(3);
  expect(run.stderr).toMatch(/3 malformed lines of ss skipped/);
});
