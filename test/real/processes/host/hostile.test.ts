import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';

let folder: string;
let program: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-test-'));
  chmodSync(folder, 0o755);
  program = join(folder, 'odd');
  const source = new URL('odd.c', import.meta.url).pathname;
  execFileSync('cc', ['-O1', '-Wall', '-o', program, source, '-pthread']);
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @returns its pid, and its output until it was ready */
async function odd(kind: string, amount: number | string): Promise<{ pid: number; said: string }> {
  const child = spawn(program, [kind, String(amount)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  let said = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  while (!said.includes('ready') && child.stdout) await once(child.stdout, 'data');
  return { pid: child.pid ?? Number.NaN, said };
}

const LIST = ['procs', '--live', '--json'];

async function listed() {
  const { stdout, status } = await kdumpMem(...LIST);
  expect(status).toBe(0);
  const answer = procsSchema.parse(JSON.parse(stdout));
  const pids = answer.processes.map(({ pid }) => pid);
  expect(new Set(pids).size).toBe(pids.length);
  return answer;
}

/** Runs a shell as an unprivileged user. */
const NOBODY = 'setpriv --reuid=65534 --regid=65534 --clear-groups --';
const shell = (script: string) =>
  execa('sh', ['-c', script, process.execPath, commandPath('kdump-mem')], { reject: false, stripFinalNewline: false });
const inOwnMounts = (script: string) =>
  execa('unshare', ['-m', 'sh', '-c', script, process.execPath, commandPath('kdump-mem')], {
    reject: false,
    stripFinalNewline: false,
  });

describe('names', () => {
  test.each([
    ['a newline and an escape', Buffer.from('a\n\u001b[2Jb')],
    ['parentheses that look like fields', Buffer.from(') S 1 1 1 (')],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xc3, 0x28, 0x1b])],
    ['nothing', Buffer.from([0])],
    ['text with reversed direction', Buffer.from('x\u202ey\u0007')],
  ])('in processes may contain %s', async (_, name) => {
    const { pid } = await odd('named', name.toString('hex'));
    const { processes } = await listed();
    const own = processes.find((process) => process.pid === pid);
    expect(own?.comm).toBe(name.toString('utf8').replace(/\0.*/s, ''));
    expect(own?.ussBytes).toBeGreaterThan(0);
    const { stdout, stderr } = await kdumpMem('procs', '--live', '--limit', '100000');
    // Characters that a terminal would interpret.
    expect(/[^\P{C}\n]/u.test(stdout + stderr)).toBe(false);
    expect(stdout.split('\n').filter((line) => new RegExp(`^ *${pid} `).test(line))).toHaveLength(1);
    const groups = await kdumpMem('procs', '--live', '--by', 'command', '--limit', '100000');
    expect(/[^\P{C}\n]/u.test(groups.stdout)).toBe(false);
  });

  test('in cgroups may contain escape sequences', async () => {
    const hierarchy = mkdtempSync(join(folder, 'cgroup-'));
    execFileSync('mount', ['-t', 'cgroup2', 'none', hierarchy]);
    // Deep enough that it is longer than the path in any other hierarchy.
    const names = [`\u001b[31m(x) \u202e:${process.pid}`, 'b', 'c', 'd', 'e'];
    const cgroups = names.map((_, index) => join(hierarchy, ...names.slice(0, index + 1)));
    try {
      for (const cgroup of cgroups) mkdirSync(cgroup);
      const { pid } = await odd('named', '61');
      writeFileSync(join(cgroups.at(-1) ?? '', 'cgroup.procs'), String(pid));
      const { processes } = await listed();
      const own = processes.find((process) => process.pid === pid);
      expect(own?.cgroup).toContain('\u001b[31m(x) \u202e:');
      for (const by of [[], ['--by', 'cgroup']]) {
        const { stdout } = await kdumpMem('procs', '--live', '--limit', '100000', ...by);
        expect(/[^\P{C}\n]/u.test(stdout)).toBe(false);
        expect(stdout).toContain('\\x1b[31m(x) \\u{202e}:');
      }
      writeFileSync(join(hierarchy, 'cgroup.procs'), String(pid));
    } finally {
      for (const cgroup of cgroups.toReversed()) if (existsSync(cgroup)) rmdirSync(cgroup);
      execFileSync('umount', [hierarchy]);
    }
  });
});

describe('processes that', () => {
  test('start and exit all the time do not affect the others', async () => {
    const { pid } = await odd('named', '73746179');
    await odd('churn', 4);
    for (let times = 0; times < 5; times++) {
      const { processes } = await listed();
      expect(processes.filter((process) => process.pid === pid)).toHaveLength(1);
    }
  });

  test('have exited are counted, and have no memory', async () => {
    const { pid } = await odd('zombies', 30);
    const { zombies, processes } = await listed();
    expect(zombies).toBe(30);
    expect(processes.map((process) => process.pid)).toContain(pid);
  });

  test('have lost their main thread are no zombies: the other threads keep the memory', async () => {
    const { pid } = await odd('leaderless', 8 * 2 ** 20);
    const { processes } = await listed();
    const own = processes.find((process) => process.pid === pid);
    expect(own).toMatchObject({ comm: 'odd', complete: true });
    expect(own?.ussBytes).toBeGreaterThanOrEqual(8 * 2 ** 20);
  });

  test('have 60,000 mappings are one row', async () => {
    const { pid } = await odd('mappings', 60_000);
    const { processes } = await listed();
    const own = processes.find((process) => process.pid === pid);
    expect(own).toMatchObject({ complete: true });
    expect(readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').length).toBeGreaterThan(60_000);
    expect(own?.rssBytes).toBeGreaterThan(0);
  });

  test('number 5,000 are all listed once, with bounded memory', async () => {
    const { said } = await odd('children', 5000);
    const pids = said
      .split(/\s+/)
      .filter((word) => /^\d+$/.test(word))
      .map(Number);
    expect(pids).toHaveLength(5000);
    const { processes } = await listed();
    const found = new Set(processes.map(({ pid }) => pid));
    expect(pids.filter((pid) => !found.has(pid))).toEqual([]);
    // V8 aborts if a heap of 32 MiB is too small: each process needs a few KiB.
    const { exitCode, stdout } = await execa(
      process.execPath,
      ['--max-old-space-size=32', commandPath('kdump-mem'), 'procs', '--live'],
      { reject: false },
    );
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/ 5,\d{3} processes use /);
  });
});

describe('a /proc that', () => {
  const words = (hidepid: number) =>
    `mount -t proc -o hidepid=${hidepid} proc /proc && exec ${NOBODY} "$0" "$1" procs --live`;

  test.each([1, 2])('hides others (hidepid=%i) is reported', async (hidepid) => {
    const { pid } = await odd('named', '61');
    const { stdout, stderr, exitCode } = await inOwnMounts(`${words(hidepid)} --json`);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    const answer = procsSchema.parse(JSON.parse(stdout));
    expect(answer.complete).toBe(false);
    expect(answer.warnings.map(({ message }) => message).join()).toContain('hidepid');
    expect(answer.processes.map((process) => process.pid)).not.toContain(pid);
    const text = await inOwnMounts(`${words(hidepid)} -v`);
    expect(text.stdout).toMatch(/ \d+ process(?:es use| uses) at least [\s\S]*\nTotal of all readable figures/);
    expect((await inOwnMounts(`${words(hidepid)} --strict`)).exitCode).toBe(5);
  });

  test('hides nothing from root', async () => {
    const { pid } = await odd('named', '61');
    const script = 'mount -t proc -o hidepid=2 proc /proc && exec "$0" "$1" procs --live --json';
    const { stdout } = await inOwnMounts(script);
    const { processes } = procsSchema.parse(JSON.parse(stdout));
    expect(processes.find((process) => process.pid === pid)?.complete).toBe(true);
  });

  test('is not mounted is not a machine without processes', async () => {
    const script = 'mount -t tmpfs none /proc && exec "$0" "$1" procs --live';
    const { stdout, stderr, exitCode } = await inOwnMounts(script);
    expect({ exitCode, stdout }).toEqual({ exitCode: 3, stdout: '' });
    expect(stderr).toMatch(/^kdump-mem: \/proc lists no process\. Mount it[^\n]+\n$/);
  });
});

test('an unprivileged user sees only the RSS of others', async () => {
  const { pid } = await odd('named', '61');
  const { stdout } = await shell(`exec ${NOBODY} "$0" "$1" procs --live --json`);
  const { processes, complete } = procsSchema.parse(JSON.parse(stdout));
  expect(complete).toBe(false);
  const own = processes.find((process) => process.pid === pid);
  expect(own).toMatchObject({ ussBytes: null, freedIfKilledBytes: null, complete: false });
  expect(own?.rssBytes).toBeGreaterThan(0);
});

test.each(['procs --live', 'procs --live --sockets', 'procs --live --pid 1 --stacks 1'])(
  'with few descriptors: %s answers, or reports that in one line',
  async (words) => {
    // With fewer, Node itself does not start.
    for (const count of [22, 24, 28, 32]) {
      const ran = await shell(`ulimit -n ${count}; exec "$0" "$1" ${words}`);
      if (ran.exitCode === 0) expect(ran.stdout).toMatch(/processes(?:: | use )|pid 1 /);
      else expect(ran.stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
      expect(ran.stderr).not.toMatch(/ at .*:\d+:\d+/);
    }
  },
);
