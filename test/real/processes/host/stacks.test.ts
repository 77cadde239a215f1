import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { STEP_MS } from '../../../../scripts/lab-parts/limits.mjs';
import { stacksSchema } from '../../../../src/contracts/stacks.js';
import { statFields } from '../../../../src/host/proc/process.js';
import { commandPath } from '../../../support/cli.js';
import { until } from '../../skcheck/stage.js';

const THREADS = 3;

let folder: string;
let program: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'stacks-test-'));
  chmodSync(folder, 0o755);
  program = join(folder, 'leak');
  const source = new URL('leak.c', import.meta.url).pathname;
  execFileSync('cc', ['-O2', '-Wall', '-o', program, source, '-pthread']);
  // Machines without systemd do not mount it.
  if (!existsSync('/sys/kernel/tracing/events'))
    execFileSync('mount', ['-t', 'tracefs', 'none', '/sys/kernel/tracing']);
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function leaking(timesASecond: number, file = program): Promise<number> {
  const child = spawn(file, [String(timesASecond), String(THREADS)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  if (child.stdout) await once(child.stdout, 'data');
  return child.pid ?? Number.NaN;
}

/** Uses a folder of its own for temporary files, so that leftovers are visible. */
function ask(args: readonly string[], { env = {}, temporary = folder } = {}) {
  return execa(process.execPath, [commandPath('kdump-mem'), 'procs', '--live', ...args], {
    reject: false,
    stdin: 'ignore',
    timeout: STEP_MS,
    stripFinalNewline: false,
    env: { TMPDIR: temporary, ...env },
  });
}

async function stacksOf(...args: string[]) {
  const { stdout, stderr } = await ask([...args, '--json']);
  expect(stderr).toBe('');
  return stacksSchema.parse(JSON.parse(stdout));
}

const leftOver = () => readdirSync(folder).filter((name) => name.startsWith('kdump-mem-'));

describe('a program that leaks', () => {
  test('the leaking function comes first, and all page faults are included', async () => {
    const pid = await leaking(20);
    const answer = await stacksOf('--pid', String(pid), '--stacks', '2');
    expect(answer).toMatchObject({ pid, comm: 'leak', ended: 'time', period: 1, lostRecords: 0 });
    expect(answer.warnings).toEqual([]);
    expect(answer.complete).toBe(true);

    const [first, second] = answer.functions;
    expect(first?.frame).toMatchObject({ symbol: 'leaks_by_malloc', module: program, guess: false });
    expect(second?.frame?.symbol).toBe('leaks_by_mmap');
    // 12 pages to 4, except for an unfinished round, and for malloc's own memory.
    const ratio = (first?.newBytes ?? 0) / (second?.newBytes ?? 0);
    expect(ratio).toBeGreaterThan(2.8);
    expect(ratio).toBeLessThan(3.4);
    const leakedBytes = (first?.newBytes ?? 0) + (second?.newBytes ?? 0);
    expect(leakedBytes).toBeGreaterThan(0.98 * answer.newBytes);

    // The kernel's own count for the same time, from /proc/PID/stat.
    const faults = answer.minorFaults + answer.majorFaults;
    expect(faults).toBeGreaterThanOrEqual(answer.kernelFaults?.atLeast ?? Number.NaN);
    expect(faults).toBeLessThanOrEqual(answer.kernelFaults?.atMost ?? Number.NaN);
    expect(answer.kernelFaults?.atLeast).toBeGreaterThan(500);
    expect(answer.stacks[0]?.frames.map(({ symbol }) => symbol)).toContain('leak');
    expect(answer.truncatedBytes).toBe(0);
    expect(leftOver()).toEqual([]);
  });

  test('mmap calls account for the memory that it leaks', async () => {
    const pid = await leaking(20);
    const { addressSpace, functions } = await stacksOf('--pid', String(pid), '--stacks', '2');
    const mapped = addressSpace?.mmap.filter(({ frames }) => frames.some(({ symbol }) => symbol === 'leaks_by_mmap'));
    const bytes = (mapped ?? []).reduce((sum, call) => sum + call.bytes, 0);
    const touched = functions.find(({ frame }) => frame?.symbol === 'leaks_by_mmap')?.newBytes;
    // Each thread may have mapped or touched its last pages outside the recording.
    expect(Math.abs(bytes - (touched ?? Number.NaN))).toBeLessThanOrEqual(THREADS * 2 * 4 * 4096);
  });

  test('samples page faults if there are many, and the sum matches the kernel', async () => {
    const pid = await leaking(800);
    const answer = await stacksOf('--pid', String(pid), '--stacks', '2', '--max-size', '48M');
    expect(answer.period).toBeGreaterThan(1);
    expect(answer.addressSpace).toBeNull();
    const { atLeast = Number.NaN, atMost = Number.NaN } = answer.kernelFaults ?? {};
    expect(answer.minorFaults).toBeLessThanOrEqual(atMost);
    const unsampled = (answer.period - 1) * (THREADS + 1) * availableParallelism();
    expect(answer.minorFaults).toBeGreaterThanOrEqual(atLeast - unsampled);
    expect(answer.functions[0]?.frame?.symbol).toBe('leaks_by_malloc');
  });

  test('text, folded stacks and a file for speedscope', async () => {
    const pid = await leaking(20);
    const file = join(folder, 'leak.speedscope.json');
    const { stdout } = await ask(['--pid', String(pid), '--stacks', '1', '--folded', '--speedscope', file]);
    expect(stdout).toMatch(/^leak;.*;leak;leaks_by_malloc;\S+ \d+$/m);
    const { shared } = JSON.parse(readFileSync(file, 'utf8'));
    expect(shared.frames).toContainEqual({ name: 'leaks_by_malloc', file: program });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await ask(['--pid', String(pid), '--stacks', '1', '--speedscope', file]);
    expect(again).toMatchObject({ exitCode: 2, stdout: '' });
    expect(again.stderr).toMatch(/^kdump-mem: .*: already exists \(--force replaces it\)\n$/);
    const printed = await ask(['--pid', String(pid), '--stacks', '1', '--speedscope', '-']);
    expect(JSON.parse(printed.stdout).shared.frames).toContainEqual({ name: 'leaks_by_malloc', file: program });
    expect(existsSync('-')).toBe(false);
  });
});

describe('ends early', () => {
  test('SIGINT ends the recording, and shows the data so far', async () => {
    const pid = await leaking(20);
    const run = ask(['--pid', String(pid), '--stacks', '600', '--json']);
    await recording(pid);
    run.kill('SIGINT');
    const { stdout, exitCode } = await run;
    expect(exitCode).toBe(0);
    const answer = stacksSchema.parse(JSON.parse(stdout));
    expect(answer.ended).toBe('interrupted');
    expect(answer.functions[0]?.frame?.symbol).toBe('leaks_by_malloc');
    expect(leftOver()).toEqual([]);
  });

  test.each(['SIGTERM', 'SIGHUP'] as const)('%s ends perf too, and leaves nothing behind', async (signal) => {
    const pid = await leaking(20);
    const run = ask(['--pid', String(pid), '--stacks', '600']);
    await recording(pid);
    run.kill(signal);
    expect((await run).signal).toBe(signal);
    expect(leftOver()).toEqual([]);
    await until(() => perfsOf(pid).length === 0);
  });

  test('SIGKILL leaves nothing on the disk', async () => {
    const pid = await leaking(20);
    const run = ask(['--pid', String(pid), '--stacks', '600']);
    await recording(pid);
    run.kill('SIGKILL');
    expect((await run).signal).toBe('SIGKILL');
    expect(leftOver()).toEqual([]);
    for (const perf of perfsOf(pid)) process.kill(Number(perf), 'SIGKILL');
  });

  test('a killed perf is reported as killed, not as a full file', async () => {
    const pid = await leaking(20);
    const args = ['--pid', String(pid), '--stacks', '600'];
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const run = ask([...args, ...(signal === 'SIGTERM' ? ['--json'] : [])]);
      await recording(pid);
      for (const perf of perfsOf(pid)) process.kill(Number(perf), signal);
      const { stdout, stderr, exitCode } = await run;
      if (signal === 'SIGKILL') {
        expect(exitCode).toBe(3);
        expect(stderr).toMatch(/^kdump-mem: perf record: killed by SIGKILL\. [^\n]+\n$/);
        continue;
      }
      const answer = stacksSchema.parse(JSON.parse(stdout));
      expect(answer).toMatchObject({ ended: 'interrupted', complete: false });
      expect(answer.warnings[0]?.message).toMatch(/^another program ended perf after .* s of \d+$/);
    }
  });

  test('reports a disk that is full before or during the recording', async () => {
    const pid = await leaking(800);
    const small = mkdtempSync(join(folder, 'small-'));
    const args = ['--pid', String(pid), '--stacks', '20'];
    for (const spare of [0, 64]) {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', small]);
      try {
        writeFileSync(join(small, 'filled'), Buffer.alloc((128 - spare) * 1024));
        const { stderr, exitCode } = await ask(args, { temporary: small });
        expect(stderr).toMatch(/^kdump-mem: no space left for perf\.data\. Set TMPDIR [^\n]+\n$/);
        expect(exitCode).toBe(3);
      } finally {
        execFileSync('umount', [small]);
      }
    }
  });

  test('reports a process that exits meanwhile, with its stacks', async () => {
    const pid = await leaking(20);
    const run = ask(['--pid', String(pid), '--stacks', '600', '--json', '--strict']);
    await recording(pid);
    children.at(-1)?.kill('SIGKILL');
    const { stdout, exitCode } = await run;
    const answer = stacksSchema.parse(JSON.parse(stdout));
    expect(exitCode).toBe(5);
    expect(answer).toMatchObject({ ended: 'process-ended', complete: false, kernelFaults: null });
    expect(answer.warnings).toMatchObject([{ code: 'ended-early' }]);
    expect(answer.functions[0]?.frame?.symbol).toBe('leaks_by_malloc');
  });

  test('reports a full file', async () => {
    const pid = await leaking(800);
    // It is stopped while its rate is measured: nothing is sampled then.
    process.kill(pid, 'SIGSTOP');
    const run = ask(['--pid', String(pid), '--stacks', '600', '--max-size', '1M', '--json']);
    await attached(pid);
    process.kill(pid, 'SIGCONT');
    const answer = stacksSchema.parse(JSON.parse((await run).stdout));
    expect(answer).toMatchObject({ ended: 'size-limit', complete: false, period: 1 });
  });
});

describe('one line, and a status', () => {
  const refusal = async (status: number, words: RegExp, args: string[], more = {}) => {
    const ran = await ask(args, more);
    expect(ran).toMatchObject({ exitCode: status, stdout: '' });
    expect(ran.stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
    expect(ran.stderr).toMatch(words);
    expect(leftOver()).toEqual([]);
  };

  test('without perf: the package to install', async () => {
    const pid = await leaking(1);
    const args = ['--pid', String(pid), '--stacks', '1'];
    await refusal(3, /perf is not installed\. Install it: linux-perf/, args, { env: { PATH: '/nowhere' } });
  });

  test('a perf for another kernel: its own message', async () => {
    const pid = await leaking(1);
    const fake = mkdtempSync(join(folder, 'bin-'));
    const script = '#!/bin/sh\necho "WARNING: perf not found for kernel 9.9" >&2\nexit 2\n';
    writeFileSync(join(fake, 'perf'), script, { mode: 0o755 });
    const env = { PATH: `${fake}:${process.env.PATH}` };
    await refusal(3, /perf not found for kernel 9\.9/, ['--pid', String(pid), '--stacks', '1'], { env });
  });

  test('a process that does not exist', async () => {
    await refusal(4, /no process has pid 4194303\./, ['--pid', '4194303', '--stacks', '1']);
  });

  test('no process, two formats, or no running machine', async () => {
    await refusal(2, /--pid/, ['--stacks', '1']);
    await refusal(2, /--folded and --json/, ['--pid', '1', '--stacks', '1', '--folded', '--json']);
    await refusal(2, /--folded belongs to --stacks/, ['--folded']);
    await refusal(2, /cannot be used with/, ['--pid', '1', '--stacks', '1', '--by', 'user']);
    await refusal(2, /0\.1 to 3600/, ['--pid', '1', '--stacks', '0']);
  });

  test('without permission to record: the message of perf', async () => {
    const pid = await leaking(1);
    const temporary = mkdtempSync(join(tmpdir(), 'stacks-nobody-'));
    chmodSync(temporary, 0o777);
    try {
      const command = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', process.execPath];
      const ran = await execa(
        'setpriv',
        [...command, commandPath('kdump-mem'), 'procs', '--live', '--pid', String(pid), '--stacks', '1'],
        { reject: false, env: { TMPDIR: temporary, HOME: temporary }, stripFinalNewline: false },
      );
      expect(ran).toMatchObject({ exitCode: 3, stdout: '' });
      expect(ran.stderr).toMatch(/^kdump-mem: perf record: [^\n]+ Run it as root[^\n]+\n$/);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
});

test('escapes hostile names of a program and its file', async () => {
  const file = join(folder, 'le\u001b[2Jak\n1 x: (y)');
  copyFileSync(program, file);
  const pid = await leaking(20, file);
  const { stdout, stderr, exitCode } = await ask(['--pid', String(pid), '--stacks', '1']);
  expect(exitCode).toBe(0);
  expect(stdout + stderr).not.toContain('\u001b');
  expect(stdout).toMatch(/^pid \d+ \(le\\x1b\[2Jak\\x0a/);
});

/** Perf processes that record this one. */
function perfsOf(pid: number): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words[0] === 'perf' && words[words.indexOf('--pid') + 1] === String(pid);
    } catch {
      return false;
    }
  });
}

/** Page faults of all threads of the process. */
const faultsOf = (pid: number) => Number(statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'))[7]);

/** Waits until perf has started (its file has no name any more) and follows the process. */
async function attached(pid: number): Promise<void> {
  await until(() => perfsOf(pid).length > 0 && leftOver().length === 0);
  await until(() => perfsOf(pid).every((perf) => readFileSync(`/proc/${perf}/maps`, 'utf8').includes('[perf_event]')));
}

/** Waits until perf follows the process, which has leaked some memory since. */
async function recording(pid: number): Promise<void> {
  await attached(pid);
  const before = faultsOf(pid);
  await until(() => faultsOf(pid) > before + 3000);
}
