import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import { procsSchema } from '../../../../src/answers/procs/schema.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';
import { removeCgroup, until } from '../../skcheck/stage.js';

const AMOUNT = 4 * 2 ** 20;
const KINDS = ['anonymous', 'shared', 'locked', 'threads', 'anonymous'];

// Linked statically: no other process shares what these map.
describe('processes of this machine', () => {
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    const program = guestTool('takeuser', '6.1').from ?? '';
    for (const kind of KINDS) {
      const child = spawn(program, [kind, String(AMOUNT)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.push(child);
      if (child.stdout) await once(child.stdout, 'data');
      child.kill('SIGSTOP');
    }
  });

  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  const pids = () => children.map(({ pid }) => pid ?? Number.NaN);
  const answerOf = async (...options: string[]) => {
    const { stdout } = await kdumpMem('procs', '--live', '--json', ...options);
    return procsSchema.parse(JSON.parse(stdout));
  };

  test('USS, RSS and swap match smem to the page, and PSS except for its rounding per mapping', async () => {
    const table = execFileSync('smem', ['-H', '-c', 'pid uss pss rss swap'], { encoding: 'utf8' });
    const smem = new Map(
      table
        .trim()
        .split('\n')
        .map((line) => line.trim().split(/\s+/).map(Number))
        .map(([pid = Number.NaN, ...figures]) => [pid, figures]),
    );
    const { processes } = await answerOf();
    for (const pid of pids()) {
      const own = processes.find((process) => process.pid === pid);
      const [uss, pss = Number.NaN, rss, swap] = smem.get(pid) ?? [];
      expect([own?.ussBytes, own?.rssBytes, own?.swapBytes].map((bytes) => (bytes ?? 0) / 1024)).toEqual([
        uss,
        rss,
        swap,
      ]);
      const mappings = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').length;
      const more = (own?.pssBytes ?? Number.NaN) / 1024 - pss;
      expect(more).toBeGreaterThanOrEqual(0);
      expect(more).toBeLessThan(mappings);
    }
  });

  test('allocated memory is attributed to the process, by kind', async () => {
    const { processes } = await answerOf();
    const of = (index: number) => processes.find(({ pid }) => pid === pids()[index]);
    expect(of(0)?.anonBytes).toBeGreaterThanOrEqual(AMOUNT);
    expect(of(1)?.anonBytes).toBeLessThan(AMOUNT);
    expect(of(2)?.lockedBytes).toBeGreaterThanOrEqual(AMOUNT);
    expect(of(3)?.threads).toBeGreaterThan(10);
    for (const index of KINDS.keys()) expect(of(index)?.complete).toBe(true);
  });

  test('a missing pid exits with status 4', async () => {
    await expect(kdumpMem('procs', '--live', '--pid', '4194303')).resolves.toMatchObject({
      status: 4,
      stdout: '',
      stderr: expect.stringMatching(/^kdump-mem: [^\n]+\n$/),
    });
  });

  test('text groups by user, and prints totals', async () => {
    const { stdout } = await kdumpMem('procs', '--live', '--by', 'user');
    expect(stdout).toMatch(/^USER +PROCESSES +FREED IF KILLED/m);
    expect(stdout).toMatch(/^Total.*: USS .*, PSS .*, RSS /m);
  });

  test('without permission to inspect them, other processes are counted as not shown', () => {
    const powerless = ['--bounding-set=-all', '--inh-caps=-all', '--', process.execPath];
    const command = [...powerless, commandPath('kdump-mem'), 'procs', '--live', '--json'];
    const text = execFileSync('setpriv', command, { encoding: 'utf8' });
    const { omitted, complete, processes, warnings } = procsSchema.parse(JSON.parse(text));
    const said = warnings.map(({ message }) => message).join();
    expect(said).toContain('root lacks CAP_SYS_PTRACE');
    expect(said).not.toContain('requires root');
    expect(complete).toBe(false);
    expect(omitted).toBeGreaterThanOrEqual(KINDS.length);
    const own = processes.find(({ pid }) => pid === pids()[0]);
    expect(own).toMatchObject({ ussBytes: null, pssBytes: null, freedIfKilledBytes: null });
    expect(own?.rssBytes).toBeGreaterThanOrEqual(AMOUNT);
  });
});

const SHARED_MIB = 20;

/** Three children share what it wrote, until they write there. */
const FORKS = `
import os, time
block = bytearray(os.urandom(4096) * ${SHARED_MIB * 256})
for _ in range(3):
    if os.fork() == 0: break
print('ready', flush=True)
time.sleep(600)
`;

describe('a group whose processes share memory', () => {
  // The name of the file is its own: no other process has it.
  const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-group-'));
  const charged = existsSync('/sys/fs/cgroup/memory/cgroup.procs')
    ? mkdtempSync('/sys/fs/cgroup/memory/kdump-mem-group-')
    : undefined;
  let parent: ChildProcess;

  beforeAll(async () => {
    symlinkSync('/usr/bin/python3', join(folder, 'sharesmemory'));
    const enter = charged === undefined ? '' : `echo $$ > ${charged}/cgroup.procs; `;
    parent = spawn('sh', ['-c', `${enter}exec ${folder}/sharesmemory -c "$0"`, FORKS], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    let said = '';
    parent.stdout?.on('data', (piece: Buffer) => {
      said += piece;
    });
    await until(() => said.split('ready').length === 5);
  });

  afterAll(async () => {
    if (parent.pid !== undefined) process.kill(-parent.pid, 'SIGKILL');
    rmSync(folder, { recursive: true });
    if (charged !== undefined) await removeCgroup(charged);
  });

  test('frees together what none of them frees alone', async () => {
    const { stdout } = await kdumpMem('procs', '--live', '--by', 'command', '--json');
    const { processes, groups = [] } = procsSchema.parse(JSON.parse(stdout));
    const group = groups.find(({ key }) => key === 'sharesmemory');
    const members = processes.filter(({ comm }) => comm === 'sharesmemory');
    expect(members.length).toBe(4);
    const sum = (of: (member: (typeof members)[number]) => number | null) =>
      members.reduce((total, member) => total + (of(member) ?? Number.NaN), 0);
    const alone = sum(({ freedIfKilledBytes }) => freedIfKilledBytes);
    expect(alone).toBeLessThan(SHARED_MIB * 2 ** 20);
    // Other processes that share memory, or whose shares are unknown, reduce the lower bound.
    const others = processes
      .filter(({ comm }) => comm !== 'sharesmemory')
      .reduce((total, { anonBytes, pssByKind }) => total + anonBytes! - (pssByKind?.anonBytes ?? 0), 0);
    const { freedIfKilledBytes: least, freedIfKilledMostBytes: most } = group!;
    const anonymous = sum(({ pssByKind }) => pssByKind?.anonBytes ?? null);
    const tables = sum(({ pageTableBytes }) => pageTableBytes);
    expect(least).toBeGreaterThanOrEqual(Math.max(alone, anonymous + tables - others));
    expect(most).toBeGreaterThan(SHARED_MIB * 2 ** 20);
    if (charged === undefined) return;
    // The kernel charges these pages to a cgroup without other processes, and only killing all
    // frees them.
    const stat = readFileSync(`${charged}/memory.stat`, 'utf8');
    const freed = Number(/^rss (\d+)$/m.exec(stat)?.[1]);
    expect(freed).toBeGreaterThan(SHARED_MIB * 2 ** 20);
    expect(least! - tables).toBeLessThanOrEqual(freed + ACCURACY);
    expect(most! - tables).toBeGreaterThanOrEqual(freed - ACCURACY);
  });
});

/**
 * Charges are kept per CPU in batches of 64 pages (MEMCG_CHARGE_BATCH); USS includes file pages
 * too.
 */
const ACCURACY = 2 * 2 ** 20;
