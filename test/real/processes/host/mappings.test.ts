import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import { processSchema } from '../../../../src/contracts/process.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';

describe('mappings of a process of this machine', () => {
  let folder: string;
  let child: ChildProcess;
  let pids: number[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'maps-'));
    // A copy: its pages are shared with no process that another test starts.
    const program = join(folder, 'takemaps');
    copyFileSync(guestTool('takemaps', '6.1').from ?? '', program);
    child = spawn(program, [folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [words] = child.stdout ? await once(child.stdout, 'data') : [''];
    pids = String(words).trim().split(' ').slice(1).map(Number);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
  });

  afterAll(() => {
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    rmSync(folder, { recursive: true });
  });

  const answerOf = async (pid: number) => {
    const { stdout } = await kdumpMem('procs', '--live', '--json', '--pid', String(pid));
    return processSchema.parse(JSON.parse(stdout));
  };

  /** The answer, and /proc/PID/smaps: as it was before and after, since reclaim and write-back change it. */
  const steady = async (pid: number) => {
    const read = () => readFileSync(`/proc/${pid}/smaps`, 'utf8');
    for (;;) {
      const before = read();
      const answer = await answerOf(pid);
      const pmap = execFileSync('pmap', ['-x', String(pid)], { encoding: 'utf8' });
      if (read() === before) return { answer, smaps: before, pmap };
    }
  };

  /** Sums of all mappings in /proc/PID/smaps, kB. */
  const sumOf = (smaps: string, field: string) =>
    smaps
      .split('\n')
      .filter((line) => line.startsWith(`${field}:`))
      .reduce((sum, line) => sum + Number(line.split(/\s+/)[1]), 0);

  test('match pmap -x, with resident and dirty bytes of each', async () => {
    for (const pid of pids) {
      const { answer, pmap } = await steady(pid);
      const theirs = pmap
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([address = '', size]) => /^[0-9a-f]{16}$/.test(address) && size !== undefined)
        .map(([address = '', ...figures]) => [
          BigInt(`0x${address}`),
          ...figures.slice(0, 3).map(Number),
          figures[3]?.slice(0, 3),
        ]);
      const ours = answer.mappings.map((mapping) => [
        BigInt(mapping.start),
        mapping.sizeBytes / 1024,
        (mapping.rssBytes ?? 0) / 1024,
        ((mapping.privateDirtyBytes ?? 0) + (mapping.sharedDirtyBytes ?? 0)) / 1024,
        mapping.permissions.slice(0, 3),
      ]);
      expect(ours).toEqual(theirs);
      expect(ours.length).toBeGreaterThan(40);
    }
  });

  test('sums match smaps, for groups and the process', async () => {
    for (const pid of pids) {
      const { answer, smaps } = await steady(pid);
      for (const [field, bytes] of [
        ['Rss', answer.mapped.rssBytes],
        ['Pss', answer.mapped.pssBytes],
        ['Private_Dirty', answer.mapped.privateDirtyBytes],
        ['Shared_Clean', answer.mapped.sharedCleanBytes],
        ['Private_Hugetlb', answer.mapped.privateHugetlbBytes],
        ['Locked', answer.mapped.lockedBytes],
        ['Referenced', answer.mapped.referencedBytes],
      ] as const)
        expect((bytes ?? 0) / 1024, field).toBe(sumOf(smaps, field));
      const { groups, mapped } = answer;
      expect(answer.rssBytes).toBe(mapped.rssBytes);
      expect(answer.pssBytes).toBe(mapped.pssBytes);
      expect(groups.reduce((sum, { rssBytes }) => sum + (rssBytes ?? 0), 0)).toBe(mapped.rssBytes);
      expect(groups.reduce((sum, { mappings }) => sum + mappings, 0)).toBe(answer.mappings.length);
    }
  });

  test('each has its kind', async () => {
    const { mappings } = await answerOf(pids[0] ?? 0);
    const kindOf = (path: RegExp) => mappings.find((one) => path.test(one.path ?? ''))?.kind;
    expect({
      file: kindOf(/takemaps/),
      memfd: kindOf(/^\/memfd:a memfd/),
      sysv: kindOf(/^\/SYSV/),
      shared: kindOf(/^\/dev\/zero \(deleted\)$/),
      heap: kindOf(/^\[heap\]$/),
      stack: kindOf(/^\[stack\]$/),
      vdso: kindOf(/^\[vdso\]$/),
    }).toEqual({
      file: 'file',
      memfd: 'memfd',
      sysv: 'sysv',
      shared: 'shared-anonymous',
      heap: 'heap',
      stack: 'stack',
      vdso: 'vdso',
    });
  });

  test('text groups them, -v lists them, --limit shortens either, and the last line adds them up', async () => {
    const pid = String(pids[0]);
    const { stdout: groups } = await kdumpMem('procs', '--live', '--pid', pid, '--limit', '3');
    expect(groups).toMatch(/^ *PRIVATE +DIRTY +PSS +RSS .*KIND +NAME$/m);
    expect(groups).toMatch(/^\d+ more rows: --limit N lists them\.$/m);
    const { mappings } = await answerOf(pids[0] ?? 0);
    expect(groups).toContain(`Total of ${mappings.length} mappings: private `);
    const { stdout: all } = await kdumpMem('procs', '--live', '--pid', pid, '-v');
    for (const { start } of mappings) expect(all).toMatch(new RegExp(`^ *${start.toString(16)} `, 'm'));
  });

  test('a user without permission is advised to become root', () => {
    const powerless = ['--bounding-set=-all', '--inh-caps=-all', '--', process.execPath];
    const command = [commandPath('kdump-mem'), 'procs', '--live', '--pid', String(pids[0])];
    try {
      execFileSync('setpriv', [...powerless, ...command], { stdio: 'pipe' });
      expect.unreachable();
    } catch (error) {
      const { status, stderr } = error as { status: number; stderr: Buffer };
      expect(status).toBe(3);
      expect(stderr.toString()).toMatch(/^kdump-mem: [^\n]*root[^\n]*\n$/);
    }
  });
});
