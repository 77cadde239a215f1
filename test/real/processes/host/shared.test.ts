import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { procsSchema } from '../../../../src/contracts/procs.js';
import { kdumpMem } from '../../../support/cli.js';

const RESIDENT = 32 << 20;
const folder = mkdtempSync(join(tmpdir(), 'shared-test-'));
let child: ChildProcess;
let pids: number[];

beforeAll(async () => {
  const program = join(folder, 'shared');
  const source = new URL('shared.c', import.meta.url).pathname;
  execFileSync('cc', ['-O0', '-Wall', '-Werror', '-o', program, source]);
  child = spawn(program, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout!, 'data');
  pids = `${line}`.trim().split(' ').map(Number);
});

afterAll(async () => {
  child.stdin?.end();
  await once(child, 'exit');
  rmSync(folder, { recursive: true });
});

test('memory shared with a process that is not its thread is counted once', async () => {
  const [first = 0, sharer = 0, copy = 0] = pids;
  const answer = procsSchema.parse(JSON.parse((await kdumpMem('procs', '--live', '--json')).stdout));
  const found = new Map(answer.processes.map((process) => [process.pid, process]));
  expect(found.get(first)).toMatchObject({ sharedWith: [sharer] });
  expect(found.get(sharer)).toBe(undefined);
  expect(found.get(copy)).toMatchObject({ sharedWith: [] });
  for (const pid of [first, copy]) expect(found.get(pid)?.ussBytes).toBeGreaterThanOrEqual(RESIDENT);
  const { stdout } = await kdumpMem('procs', '--live', '--pid', `${sharer}`, '--json');
  expect(stdout).toMatch(new RegExp(`"pid": *${sharer}\\b`));
});
