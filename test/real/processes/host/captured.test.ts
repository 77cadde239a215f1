import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guestTool } from '../../../../scripts/lab-parts/guest-program.mjs';
import { type ProcessAnswer, processSchema } from '../../../../src/contracts/process.js';
import { type ProcsAnswer, procsSchema } from '../../../../src/contracts/procs.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';

const AMOUNT = 4 * 2 ** 20;
const KINDS = ['anonymous', 'shared', 'locked', 'threads'];

// Before, from a snapshot, and after: figures that did not change from the first to the last are
// the same in all.
describe('processes of this machine, live and from a snapshot', () => {
  // Not a tmpfs: the script writes there only on request.
  const folder = mkdtempSync('/var/tmp/captured-');
  const file = join(folder, 'host.tar.gz');
  const children: ChildProcess[] = [];
  let [before, captured, after]: (ProcsAnswer | undefined)[] = [];
  const pids = () => children.map(({ pid }) => pid ?? Number.NaN);
  const answerOf = async (...source: string[]) => {
    const { stdout } = await kdumpMem('procs', '--json', ...source);
    return procsSchema.parse(JSON.parse(stdout));
  };

  beforeAll(async () => {
    // Not the program itself: pages of its text are shared with processes that other tests start from it.
    const program = join(folder, 'takeuser');
    copyFileSync(guestTool('takeuser', '6.1').from ?? '', program);
    for (const kind of KINDS) {
      const child = spawn(program, [kind, String(AMOUNT)], { stdio: ['ignore', 'pipe', 'inherit'] });
      children.push(child);
      if (child.stdout) await once(child.stdout, 'data');
      child.kill('SIGSTOP');
    }
    const script = execFileSync(commandPath('skcheck'), ['--capture-script']);
    before = await answerOf('--live');
    execFileSync('sh', ['-s', '--', '--with', 'smaps', file, '1'], {
      input: script,
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    after = await answerOf('--live');
    captured = await answerOf('--from', file);
  });

  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  const of = (answer: ProcsAnswer | undefined, pid: number) => answer?.processes.find((process) => process.pid === pid);

  test('unchanged processes that share no memory have the same figures, to the byte', () => {
    for (const pid of pids()) {
      const [first, own, last] = [before, captured, after].map((answer) => {
        const { ageSeconds, ...figures } = of(answer, pid) ?? {};
        return JSON.stringify(figures);
      });
      expect(last).toBe(first);
      expect(own).toBe(first);
      expect(of(captured, pid)).toMatchObject({ complete: true, anonBytes: expect.any(Number) });
    }
  });

  test('all processes that existed before and after are listed, with their identity', () => {
    const who = (answer: ProcsAnswer | undefined, pid: number) => {
      const { comm, uid, nsPids, cgroup, oomScoreAdj } = of(answer, pid) ?? {};
      return JSON.stringify([comm, uid, nsPids, cgroup, oomScoreAdj]);
    };
    for (const { pid } of before?.processes ?? [])
      if (who(after, pid) === who(before, pid)) expect.soft(who(captured, pid), `${pid}`).toBe(who(before, pid));
    const host = execFileSync('hostname', { encoding: 'utf8' }).trim();
    expect(captured?.captured?.host).toBe(host);
  });

  test('ages are relative to the time of the snapshot', () => {
    for (const pid of pids()) {
      const age = (answer: ProcsAnswer | undefined) => of(answer, pid)?.ageSeconds ?? Number.NaN;
      expect(age(captured)).toBeGreaterThanOrEqual(age(before));
      expect(age(captured)).toBeLessThanOrEqual(age(after));
    }
  });

  test('mappings are the same, one by one', async () => {
    const mapped = async (pid: number, ...source: string[]): Promise<Partial<ProcessAnswer>> => {
      const { stdout } = await kdumpMem('procs', '--json', ...source, '--pid', String(pid));
      const { captured: _, ageSeconds, ...answer } = processSchema.parse(JSON.parse(stdout));
      return answer;
    };
    for (const pid of pids()) {
      const live = await mapped(pid, '--live');
      expect(live.mappings?.length).toBeGreaterThan(3);
      expect(await mapped(pid, '--from', file)).toEqual(live);
    }
  });
});
