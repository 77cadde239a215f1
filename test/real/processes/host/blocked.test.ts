import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../../scripts/lab-parts/limits.mjs';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { snapshotSchema } from '../../../../src/contracts/snapshot.js';
import { liveHost } from '../../../../src/host/live.js';
import { optionalText, statFields } from '../../../../src/host/proc/process.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { Stage, skcheckJson, until } from '../../skcheck/stage.js';

const folder = mkdtempSync(join(tmpdir(), 'blocked-test-'));
const stage = new Stage();
const children: ChildProcess[] = [];
const blocked: number[] = [];

const PARTS = ['--with', 'smaps,arguments', '--tmpfs'];
const RESIDENT = 32 << 20;

beforeAll(async () => {
  const program = join(folder, 'blocked');
  const source = new URL('blocked.c', import.meta.url).pathname;
  execFileSync('cc', ['-O1', '-Wall', '-Werror', '-o', program, source, '-pthread']);
  for (const name of ['a', 'b']) {
    writeFileSync(join(folder, name), '');
    const child = spawn(program, [join(folder, name)], { stdio: ['pipe', 'pipe', 'inherit'] });
    children.push(child);
    const [pid] = await once(child.stdout!, 'data');
    blocked.push(Number(pid));
  }
});

afterAll(async () => {
  stage.end();
  await Promise.all(
    children.map((child) => {
      child.stdin?.end();
      return once(child, 'exit');
    }),
  );
  rmSync(folder, { recursive: true });
});

test('a read of its smaps blocks here', () => {
  for (const pid of blocked) {
    for (const file of ['smaps_rollup', 'smaps', 'cmdline']) {
      const { signal } = spawnSync('cat', [`/proc/${pid}/${file}`], {
        timeout: 300,
        killSignal: 'SIGKILL',
        stdio: 'ignore',
      });
      expect(signal, file).toBe('SIGKILL');
    }
  }
});

/** Children by /proc/PID/stat: ps would block too. */
function childrenOf(parent: number | undefined): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    const stat = optionalText(liveHost, `/proc/${pid}/stat`);
    return stat !== '' && statFields(stat)[1] === `${parent}`;
  });
}

const WARNING =
  /PSS and USS of pid \d+ \(blocked\), pid \d+ \(blocked\): reads of smaps are blocked \(mmap_lock held\)/;

/** Expects rows of blocked processes without PSS, and others of the test with it. */
function expectRows(stdout: string): void {
  const { processes, warnings, complete } = procsSchema.parse(JSON.parse(stdout));
  const rowOf = (pid: number) => processes.find((process) => process.pid === pid);
  for (const pid of blocked) {
    const row = rowOf(pid);
    expect(row).toMatchObject({ pssBytes: null, ussBytes: null, complete: false });
    expect(row?.rssBytes).toBeGreaterThanOrEqual(RESIDENT);
  }
  expect(rowOf(process.pid)?.pssBytes).toBeGreaterThan(0);
  expect(complete).toBe(false);
  expect(warnings.length).toBeGreaterThan(0);
}

describe('with blocked reads of the memory of two processes', () => {
  test('procs --live lists all others, and reports that', async () => {
    const { stdout, stderr, status } = await kdumpMem('procs', '--live', '--json');
    expect(status).toBe(0);
    expectRows(stdout);
    expect(`${stderr}${stdout}`).toMatch(WARNING);
  });

  test('procs --live --strict exits with status 5', async () => {
    expect((await kdumpMem('procs', '--live', '--strict')).status).toBe(5);
  });

  test('procs --live --pid reports the reason for one of them', async () => {
    const { stderr, status } = await kdumpMem('procs', '--live', '--pid', `${blocked[0]}`);
    expect([stderr, status]).toEqual([expect.stringContaining('mmap_lock held'), 3]);
  });

  test('procs --watch continues', async () => {
    const watch = ['--watch', '--interval', '1', '--count', '2', '--ndjson'];
    const { stdout, status } = await kdumpMem('procs', '--live', ...watch);
    expect(status).toBe(0);
    expect(stdout.trim().split('\n').at(-1)).toContain('-end/1"');
  });

  /** Programs of the script that begin or end late, as on a busy machine: for the readers of such files alone. */
  const lateAt = (path: string) => {
    mkdirSync(path);
    const late = {
      xargs: 'case "$*" in "-0 sh -c"*) sleep 1 ;; esac; exec /usr/bin/xargs "$@"',
      head: '/usr/bin/head "$@"; case $1 in -c) sleep 1 ;; esac',
    };
    for (const [name, text] of Object.entries(late))
      writeFileSync(join(path, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return path;
  };

  test.each(['native', 'script', 'late script'])('a snapshot (%s) contains all others', async (kind) => {
    const file = join(folder, `${kind}.tar.gz`);
    let unreadable: number | undefined;
    if (kind === 'native') {
      // Where CPUs are short, its usual 30 s end before all processes are read.
      const limits = ['--interval', '1', '--timeout', '240'];
      const { stdout, status } = await kdumpMem('snapshot', '--json', ...PARTS, '-o', file, ...limits);
      expect(status).toBe(0);
      ({ unreadable } = snapshotSchema.parse(JSON.parse(stdout)).errorCounts);
    } else {
      const { stdout: script } = await kdumpMem('snapshot', '--script');
      const run = spawnSync('sh', ['-s', '--', ...PARTS, file, '1'], {
        input: script,
        encoding: 'utf8',
        ...(kind === 'script'
          ? {}
          : { env: { ...process.env, PATH: `${lateAt(join(folder, 'late'))}:${process.env.PATH}` } }),
        timeout: STEP_MS,
        killSignal: 'SIGKILL',
      });
      expect(run).toMatchObject({ status: 0, stderr: '', signal: null });
    }
    const { stdout } = await kdumpMem('procs', '--from', file, '--json');
    expectRows(stdout);
    const errors = execFileSync('tar', ['-xzOf', file, 'kdump-mem-snapshot/errors']).toString();
    const all = errors.split('\n').filter((line) => line.includes('\tunreadable\t'));
    const own = all.filter((line) => blocked.some((pid) => line.startsWith(`/proc/${pid}/`)));
    const lines = own.filter((line) => line.includes('mmap_lock held'));
    // Once a process blocked, the script leaves it out.
    expect(lines.filter((line) => line.includes('/smaps_rollup\t'))).toHaveLength(2);
    // Where CPUs are short, reads of others may end, too.
    if (unreadable !== undefined) expect([unreadable, own.length]).toEqual([all.length, 6]);
  });

  test('doctor reports which files of others are readable, without a blocking read', async () => {
    const { stdout, status } = await kdumpMem('doctor', '--json');
    expect([status, stdout]).toEqual([0, expect.stringContaining('"processes"')]);
  });

  test('skcheck reports the stalled reader', async () => {
    const { server } = await stage.pair({}, { bytes: 5000 });
    const { sockets } = skcheckJson(['--interval', '1']).report;
    expect(sockets.map(({ pid }) => pid)).toContain(server.pid);
  });

  test('a reader process exits with the command, even if that is killed', async () => {
    const child = spawn(process.execPath, [commandPath('kdump-mem'), 'procs', '--live'], { stdio: 'ignore' });
    let readers: string[] = [];
    await until(() => {
      readers = childrenOf(child.pid);
      return readers.length > 0;
    });
    expect(readers).toHaveLength(1);
    child.kill('SIGTERM');
    await once(child, 'exit');
    await until(() => !existsSync(`/proc/${readers[0]}`));
  });
});
