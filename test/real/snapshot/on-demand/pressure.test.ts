import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Guest } from '../../../../scripts/lab-parts/guest.mjs';
import { memorySchema } from '../../../../src/contracts/memory.js';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { kdumpMem } from '../../../support/cli.js';
import { bring, fromJson, guestWithCgroups, snapshotOf, takes } from '../guest-snapshot.js';

const MIB = 2 ** 20;

describe('a snapshot under memory pressure', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pressure-'));
  const file = join(folder, 'guest.tar.gz');
  let guest: Guest;

  const outputOf = async (command: string) => (await guest.run(command)).output.toString();
  const number = async (file_: string, name: string) =>
    Number(new RegExp(`^${name}:? +(\\d+)`, 'm').exec(await outputOf(`cat ${file_}`))?.[1]);
  const kills = () => number('/proc/vmstat', 'oom_kill');
  const available = async () => (await number('/proc/meminfo', 'MemAvailable')) / 1024;
  const free = async (pids: readonly number[]) => {
    for (const pid of pids)
      await guest.run(`kill -9 ${pid}; while [ -e /proc/${pid}/exe ]; do usleep 20000; done`, { mayFail: true });
  };
  /**
   * Allocates all but this many MiB, the last ones in small steps. Of no process the PSS is left out (above 512 MiB).
   *
   * @returns the largest process, and the others
   */
  const leaves = async (mib: number): Promise<[number, ...number[]]> => {
    const taker = async (most: number) =>
      takes(guest, Math.floor(Math.min((await available()) - mib, most) * MIB), 'lives');
    const pids: [number, ...number[]] = [await taker(400)];
    while ((await available()) > mib + 48) pids.push(await taker(Math.min(300, (await available()) - mib - 40)));
    while ((await available()) > mib + 8) pids.push(await taker(6));
    return pids;
  };
  const isWhole = async () => {
    const { status, stdout } = await kdumpMem('snapshot', '--verify', file);
    expect([status, stdout]).toEqual([0, expect.any(String)]);
  };

  beforeAll(async () => {
    guest = await guestWithCgroups('6.12');
    const { stdout } = await kdumpMem('snapshot', '--script');
    const encoded = Buffer.from(stdout).toString('base64');
    await guest.run(`echo ${encoded} | base64 -d > /snapshot.sh`);
  });

  afterAll(() => {
    guest?.kill();
    rmSync(folder, { recursive: true });
  });

  test('120 MiB are available: completes, and no process is killed', async () => {
    const [eater, before] = [await leaves(120), await kills()];
    expect(await available()).toBeLessThan(150);
    const { status, said } = await snapshotOf(guest, file);
    expect([status, said]).toEqual([0, expect.stringContaining('/s.tar.gz: ')]);
    expect(await kills()).toBe(before);
    await isWhole();
    const { processes, complete } = procsSchema.parse(await fromJson('procs', file));
    expect(processes[0]).toMatchObject({ pid: eater[0], cgroup: '/lives', complete: true });
    expect(complete).toBe(true);
    const { memory } = memorySchema.parse(await fromJson('memory', file));
    const anonymous = memory.children
      .flatMap(({ children }) => children)
      .find(({ category }) => category === 'anonymous');
    expect(anonymous?.bytes).toBeGreaterThan(processes[0]?.ussBytes ?? Number.NaN);
    await free(eater);
  });

  test('20 MiB are available: the script completes', async () => {
    const [eater, before] = [await leaves(20), await kills()];
    expect(await available()).toBeLessThan(30);
    const { status, output } = await guest.run('sh /snapshot.sh --tmpfs /s.tar.gz 1', { mayFail: true });
    expect([status, output.toString()]).toEqual([0, '']);
    expect(await kills()).toBe(before);
    await bring(guest, '/s.tar.gz', file);
    await isWhole();
    const { processes } = procsSchema.parse(await fromJson('procs', file));
    expect(processes[0]).toMatchObject({ pid: eater[0], complete: true });
    await free(eater);
  });

  test('completes in a cgroup at its limit, and contains that cgroup', async () => {
    await guest.run(`echo ${16 * MIB} > /sys/fs/cgroup/limited/memory.high`);
    const { status, said } = await snapshotOf(guest, file, { group: 'limited' });
    expect([status, said]).toEqual([0, expect.stringContaining('/s.tar.gz: ')]);
    await isWhole();
    const cgroups = execFileSync('tar', ['-xzOf', file, 'kdump-mem-snapshot/cgroups'], { encoding: 'utf8' });
    expect(cgroups).toContain(`/sys/fs/cgroup/limited/memory.high:${16 * MIB}\n`);
    expect(await number('/sys/fs/cgroup/limited/memory.events', 'high')).toBeGreaterThan(0);
  });

  test('if no process can be started, completes without ss, or reports what is missing', async () => {
    // The maximum allows our own threads and one child, so that the child sometimes cannot be
    // started.
    await guest.run('echo max > /sys/fs/cgroup/limited/memory.high; mkdir /sys/fs/cgroup/few');
    await snapshotOf(guest, file, { group: 'few' });
    const most = Number(await outputOf('cat /sys/fs/cgroup/few/pids.peak'));
    await guest.run(`echo ${most - 1} > /sys/fs/cgroup/few/pids.max`);
    const { status, said } = await snapshotOf(guest, file, { group: 'few' });
    const refused = await outputOf('cat /sys/fs/cgroup/few/pids.events');
    expect([status, said]).toEqual([0, expect.stringContaining('/s.tar.gz: ')]);
    expect(refused).toMatch(/^max [1-9]/);
    await isWhole();
    expect(procsSchema.parse(await fromJson('procs', file)).complete).toBe(true);
  });

  test('--when takes a snapshot when memory becomes short, as a waiting service', async () => {
    const waits = 'kdump-mem snapshot --when available=30%,oom --into /into --tmpfs --count 1 --json';
    await guest.run(`mkdir -p /into; ${waits} > /tmp/due 2> /tmp/waits < /dev/null &`);
    await guest.run('until grep -q waiting /tmp/waits; do usleep 50000; done');
    expect(await outputOf('ls /into')).toBe('');
    const eater = await leaves(150);
    await guest.run('until grep -q due-end /tmp/due; do usleep 50000; done');
    const [due] = (await outputOf('cat /tmp/due'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(due).toMatchObject({ reasons: [{ condition: 'available' }], failed: null });
    await bring(guest, due.snapshot.file, file);
    await isWhole();
    await free(eater);
  });

  test('reports that the kernel was booted without PSI', async () => {
    const answer = await guest.run(
      'mount -t tmpfs none /proc/pressure 2>&1; kdump-mem snapshot --when psi=20 --into /into',
      { mayFail: true },
    );
    expect([answer.status, answer.output.toString()]).toEqual([
      3,
      expect.stringContaining('--when psi is not available here: /proc/pressure/memory: not found'),
    ]);
  });
});
