import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { processSampleSchema, procsGrowthSchema } from '../../../../src/contracts/growth.js';
import { kdumpMem } from '../../../support/cli.js';
import { metricTools } from '../../../support/metric-tools.js';

type Grown = z.infer<typeof procsGrowthSchema>['processes'][number];

const MIB = 2 ** 20;

const TIMES = 10;
const THREADS = 4;

const SHARED = 48 * MIB;
const CHILDREN = 10;

// A folder on a disk: files of tmpfs are shared memory.
const folder = mkdtempSync('/var/tmp/kdump-mem-growth-');
const started: ChildProcess[] = [];

afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

function compiled(name: string): string {
  const program = join(folder, name);
  const source = new URL(`${name}.c`, import.meta.url).pathname;
  execFileSync('cc', ['-O1', '-Wall', '-pthread', '-o', program, source]);
  return program;
}

async function run(program: string, ...args: (string | number)[]): Promise<number> {
  const child = spawn(program, args.map(String), { stdio: ['ignore', 'pipe', 'inherit'] });
  started.push(child);
  if (child.stdout) await once(child.stdout, 'data');
  return child.pid ?? Number.NaN;
}

describe('programs with growing memory', () => {
  let leaking: number;
  let growth: z.infer<typeof procsGrowthSchema>;
  let samples: z.infer<typeof processSampleSchema>[];
  let ours: Grown[];

  beforeAll(async () => {
    const [leak, grow] = ['leak', 'grow'].map(compiled) as [string, string];
    const file = join(folder, 'file');
    writeFileSync(file, Buffer.alloc(64 * MIB, 1));
    const pids = await Promise.all([
      run(leak, TIMES, THREADS),
      run(grow, 'cache', file, 6 * MIB),
      run(grow, 'share', SHARED, CHILDREN),
    ]);
    leaking = pids[0];
    const watch = ['--watch', '--interval', '0.2', '--count', '45'];
    const { stdout } = await kdumpMem('procs', '--live', '--ndjson', ...watch);
    const stored = join(folder, 'samples.ndjson');
    writeFileSync(stored, stdout);
    samples = stdout
      .split('\n')
      .filter((line) => line.includes('process-sample/1'))
      .map((line) => processSampleSchema.parse(JSON.parse(line)));
    const growthRun = await kdumpMem('procs', '--from-samples', stored, '--json');
    growth = procsGrowthSchema.parse(JSON.parse(growthRun.stdout));
    const children = new Set(pids);
    for (const { pid } of growth.processes) if (children.has(parentOf(pid) ?? Number.NaN)) children.add(pid);
    ours = growth.processes.filter(({ pid }) => children.has(pid));
    expect(ours).toHaveLength(pids.length + CHILDREN);
  });

  test('the leaking one is named first, with the right rate', () => {
    const [first] = ours;
    expect(first).toMatchObject({ pid: leaking, comm: 'leak', course: 'grows', heldBy: 'pss' });
    expect(first?.growth?.samples).toBe(45);
    // On a busy machine the rate varies: the estimate is the median of the rates between any two samples.
    const own = samples.filter(({ pid }) => pid === leaking);
    const points = own.map(
      ({ pssBytes, uptimeSeconds }) => [uptimeSeconds ?? Number.NaN, pssBytes ?? Number.NaN] as const,
    );
    const rates = points.flatMap(([at, bytes], index) =>
      points.slice(index + 1).map(([later, more]) => (more - bytes) / (later - at)),
    );
    const median = rates.sort((one, other) => one - other)[rates.length >> 1]!;
    expect(Math.abs((first?.growth?.perSecond ?? 0) / median - 1)).toBeLessThan(0.02);
    expect(first?.growth?.low).toBeGreaterThan(0);
    // One per page, and some for malloc's own memory. A sample reads faults first, and pages when the process that reads
    // mappings has its turn, which may be late: the median of all pairs that are half of the run apart.
    const [begin, end] = [own[0]!, own.at(-1)!];
    const perPage = own
      .flatMap((one, index) => own.slice(index + own.length / 2).map((later) => [one, later] as const))
      .map(([one, later]) => ((later.minorFaults! - one.minorFaults!) * 4096) / (later.pssBytes! - one.pssBytes!))
      .sort((one, other) => one - other);
    expect(Math.abs(perPage[perPage.length >> 1]! - 1)).toBeLessThan(0.02);
    const faults = (first?.minorFaultsPerSecond ?? 0) * first!.growth!.seconds;
    expect(Math.abs(faults / (end.minorFaults! - begin.minorFaults!) - 1)).toBeLessThan(0.02);
  });

  test('a program that fills the page cache and one with shared memory do not leak', () => {
    expect(ours.filter(({ course }) => course === 'grows').map(({ pid }) => pid)).toEqual([leaking]);
  });

  test('although the RSS of both grows, and each child has all shared memory', () => {
    const last = new Map(samples.map((process) => [process.pid, process]));
    const rss = ours.map(({ pid }) => last.get(pid)?.rssBytes ?? 0);
    expect(rss.filter((bytes) => bytes >= 2 * SHARED)).toHaveLength(1 + CHILDREN);
    expect(ours.some(({ pid }) => (last.get(pid)?.fileBytes ?? 0) > 30 * MIB)).toBe(true);
  });
});

/** Field 4 of /proc/PID/stat; undefined: the process exited. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
  } catch {
    return undefined;
  }
}

test('promtool accepts the metrics without a message, including hostile names', async () => {
  const hostile = `$0 = "a\\"b\\\\c\\n\\e{x}"; my $more = "x" x ${32 * MIB}; $| = 1; print 1; sleep 100`;
  await run('perl', '-e', hostile);
  const { stdout, stderr } = await kdumpMem('procs', '--live', '--prometheus');
  expect(stderr).toBe('');
  expect(stdout).toMatch(
    /^kdump_mem_process_held_bytes\{comm="a\\"b\\\\\\\\c\\\\x0a\\\\x1b\{x\}",container="",pod=""\} \d/m,
  );
  const check = spawnSync(join(metricTools(), 'promtool'), ['check', 'metrics'], { input: stdout, encoding: 'utf8' });
  expect(check).toMatchObject({ status: 0, stdout: '', stderr: '' });
});
