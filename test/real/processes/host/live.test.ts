import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';

const AMOUNT = 4 * 2 ** 20;
const KINDS = ['anonymous', 'shared', 'locked', 'threads', 'anonymous'];

// Linked statically: no other process shares what these map.
describe('processes of this machine', () => {
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    const program = guestTool('takeuser', '6.1').from ?? '';
    for (const kind of KINDS) {
      const child = spawn(program, [kind, String(AMOUNT)], { stdio: ['ignore', 'pipe', 'inherit'] });
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
    const { stdout } = await kdumpMem('procs', '--live', '--by', 'user', '-v');
    expect(stdout).toMatch(/^USER +PROCESSES +OWN MEMORY/m);
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
