import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, test } from 'vitest';
import {
  processSampleSchema,
  procsEndSchema,
  procsGrowthSchema,
  procsSampleSchema,
} from '../../../../src/contracts/growth.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';

const folder = mkdtempSync(join(tmpdir(), 'kdump-mem-procs-watch-'));
afterAll(() => rmSync(folder, { recursive: true }));

const WATCH = ['procs', '--live', '--watch', '--interval', '0.1'];

const linesOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { schema: string });

describe('--ndjson', () => {
  test('prints a line for the machine, one for each process, and a last line', async () => {
    const { stdout, status } = await kdumpMem('procs', '--live', '--ndjson');
    expect(status).toBe(0);
    const [first, ...rest] = linesOf(stdout);
    const look = procsSampleSchema.parse(first);
    expect(procsEndSchema.parse(rest.pop())).toMatchObject({ samples: 1, interrupted: false });
    expect(rest).toHaveLength(look.processes);
    const processes = rest.map((line) => processSampleSchema.parse(line));
    const own = processes.find(({ pid }) => pid === process.pid);
    const stat = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? [];
    expect(own).toMatchObject({ startTicks: Number(stat[19]), growth: null, heldBy: 'pss' });
    expect(own?.minorFaults).toBeLessThanOrEqual(Number(stat[7]) + 1e6);
    expect(look.bootId).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  });

  test('with --watch reports growth, and its lines can be read as samples', async () => {
    const { stdout } = await kdumpMem(...WATCH, '--count', '10', '--ndjson');
    const lines = linesOf(stdout);
    const looks = lines.filter(({ schema }) => schema === 'kdump-mem.procs-sample/1');
    expect(looks.map((line) => procsSampleSchema.parse(line).sample)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const own = lines
      .filter(({ schema }) => schema === 'kdump-mem.process-sample/1')
      .map((line) => processSampleSchema.parse(line))
      .filter(({ pid }) => pid === process.pid);
    expect(own.map(({ growth }) => growth?.samples ?? null)).toEqual([...new Array(7).fill(null), 8, 9, 10]);
    expect(own[0]?.minorFaultsPerSecond).toBeNull();
    expect(own[9]?.minorFaultsPerSecond).toBeGreaterThanOrEqual(0);
    const path = join(folder, 'watched.ndjson');
    writeFileSync(path, stdout);
    const reread = await kdumpMem('procs', '--from-samples', path, '--json');
    const growth = procsGrowthSchema.parse(JSON.parse(reread.stdout));
    expect(growth).toMatchObject({ samples: 10, boots: 1, notLater: 0, warnings: [] });
    const again = growth.processes.find(({ pid }) => pid === process.pid);
    // Reading it again gives the same result, to the bit.
    expect(again?.growth).toEqual(own[9]?.growth);
  });
});

test('in a pipe --watch prints a block for each sample', async () => {
  const { stdout } = await kdumpMem(...WATCH, '--count', '2', '--limit', '3');
  expect(stdout.match(/^sample \d, \S+Z$/gm)).toHaveLength(2);
  expect(stdout.match(/^ *PID +HELD +RATE\/MIN +LOW +HIGH +TREND +MINOR\/S/gm)).toHaveLength(2);
  expect(stdout).toContain('RATE/MIN is shown from sample 8 on');
});

test('reports a process that exited', async () => {
  const child = spawn('sleep', ['1000']);
  const watching = spawn(process.execPath, [commandPath('kdump-mem'), ...WATCH, '--ndjson']);
  let seen = false;
  let ended: readonly { pid: number; comm: string }[] = [];
  for await (const text of createInterface(watching.stdout)) {
    const line = JSON.parse(text);
    if (line.pid === child.pid && line.comm === 'sleep' && !seen) {
      seen = true;
      child.kill('SIGKILL');
    }
    const gone = line.ended?.filter((one: { pid: number }) => one.pid === child.pid) ?? [];
    if (gone.length === 0) continue;
    ended = gone;
    watching.kill('SIGTERM');
  }
  expect(ended).toMatchObject([{ pid: child.pid, comm: 'sleep', pidReused: false }]);
});
