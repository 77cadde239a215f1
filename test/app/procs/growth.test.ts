import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, test } from 'vitest';
import {
  processSampleSchema,
  procsEndSchema,
  procsGrowthSchema,
  procsSampleSchema,
} from '../../../src/contracts/growth.js';
import { commandPath, kdumpMem } from '../../support/cli.js';
import { scratchFolder } from '../../support/scratch.js';

const folder = scratchFolder('kdump-mem-growth-');

const WATCH = ['procs', '--live', '--watch', '--interval', '0.1'];

const linesOf = (stdout: string) =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { schema: string });

/** A file of samples, with replacements by the text. */
function fileOf(name: string, lines: readonly object[], end = '\n'): string {
  const path = join(folder, name);
  writeFileSync(path, lines.map((line) => JSON.stringify(line)).join('\n') + end);
  return path;
}

const NONE = {
  memAvailableGrowth: null,
  memAvailableCourse: null,
  processesGrowth: null,
  otherGrowth: null,
  memAvailableExhausted: null,
  explanation: null,
  ended: [],
  endedProcesses: 0,
  warnings: [],
};

/** A sample of a made-up machine, and the line of its only process. */
function sample(uptime: number, bootId = 'first', heldBytes: number | null = 1000 * uptime): object[] {
  return [
    {
      schema: 'kdump-mem.procs-sample/1',
      sample: 1,
      at: new Date(1e12 + 1000 * uptime).toISOString(),
      host: 'made-up',
      bootId,
      uptimeSeconds: uptime,
      memTotalBytes: 1e9,
      memAvailableBytes: 5e8,
      swapTotalBytes: 0,
      swapFreeBytes: 0,
      pressure: null,
      noPressure: 'none',
      processes: 1,
      ...NONE,
      allListed: true,
      complete: true,
    },
    {
      schema: 'kdump-mem.process-sample/1',
      pid: 7,
      comm: 'leaky',
      uid: 0,
      nsPids: [7],
      cgroup: '/',
      pod: null,
      container: null,
      startTicks: 5,
      uptimeSeconds: uptime,
      heldBytes,
      takenBytes: heldBytes,
      heldBy: heldBytes === null ? null : 'pss',
      minorFaults: uptime,
      majorFaults: 0,
      cgroupPressure: null,
    },
  ];
}

const samples = (times: readonly number[], bootId?: string) => times.flatMap((time) => sample(time, bootId));
const upTo = (many: number, from = 1) => Array.from({ length: many }, (_, at) => from + at);

test('--pid selects one process, and exits with status 4 if it is missing', async () => {
  const { stdout } = await kdumpMem('procs', '--live', '--ndjson', '--pid', String(process.pid));
  const [look, own] = linesOf(stdout);
  expect(procsSampleSchema.parse(look)).toMatchObject({ processes: 1, allListed: false });
  expect(processSampleSchema.parse(own).pid).toBe(process.pid);
  const { status, stderr } = await kdumpMem(...WATCH, '--pid', '4194304');
  expect(status).toBe(4);
  expect(stderr).toMatch(/^kdump-mem: no process matches --pid and --container\n$/);
});

describe.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('%s', (signal) => {
  test('ends it with a complete last line', async () => {
    const args = ['procs', '--live', '--watch', '--interval', '3600', '--ndjson'];
    const child = spawn(process.execPath, [commandPath('kdump-mem'), ...args]);
    const exit = once(child, 'exit');
    const lines: string[] = [];
    let due = Number.POSITIVE_INFINITY;
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      due = Math.min(due, 1 + Number(JSON.parse(lines[0] ?? '').processes));
      if (lines.length === due) child.kill(signal);
    }
    expect(await exit).toEqual([0, null]);
    expect(procsEndSchema.parse(JSON.parse(lines.at(-1) ?? ''))).toMatchObject({ samples: 1, interrupted: true });
  });
});

test('a reader that closes the pipe ends it without an error message', () => {
  const command = `${process.execPath} ${commandPath('kdump-mem')} ${WATCH.join(' ')}`;
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `${command} --ndjson | head -n 1 | cut -c 1-36; echo "\${PIPESTATUS[0]}"`],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(stdout).toBe('{"schema":"kdump-mem.procs-sample/1"\n141\n');
});

describe('--from-samples', () => {
  const growthOf = async (...files: string[]) => {
    const named = files.flatMap((file) => ['--from-samples', file]);
    const { stdout, stderr } = await kdumpMem('procs', '--json', ...named);
    expect(stderr).toBe('');
    return procsGrowthSchema.parse(JSON.parse(stdout));
  };

  test('reads several files in the order of their times', async () => {
    const late = fileOf('a.ndjson', samples(upTo(20, 21)));
    const early = fileOf('b.ndjson', samples(upTo(20)));
    const found = await growthOf(late, early);
    expect(found).toMatchObject({ samples: 40, seconds: 39, notLater: 0, complete: true });
    expect(found.processes).toMatchObject([
      { pid: 7, comm: 'leaky', course: 'grows', growth: { samples: 40 }, minorFaultsPerSecond: 1 },
    ]);
    expect(found.processes[0]?.growth?.perSecond).toBeCloseTo(1000, 6);
  });

  test('reports clocks that go backwards or stop, and null figures, never zeros', async () => {
    const times = [1, 2, 3, 3, 2, ...upTo(20, 4)];
    const lines = times.flatMap((time, at) => sample(time, 'first', at % 4 === 0 ? null : 1000 * time));
    const found = await growthOf(fileOf('back.ndjson', lines));
    expect(found).toMatchObject({ samples: 23, notLater: 2, complete: false });
    expect(found.warnings[0]?.message).toContain('2 samples are ignored: their timestamps');
    expect(found.processes[0]?.growth?.perSecond).toBeCloseTo(1000, 6);
    expect(found.processes[0]?.growth?.samples).toBe(17);
  });

  test('after a reboot, counts only the last boot', async () => {
    const lines = [...samples(upTo(30)), ...samples(upTo(9), 'second')];
    const found = await growthOf(fileOf('booted.ndjson', lines));
    expect(found).toMatchObject({ boots: 2, samples: 9, machine: { bootId: 'second' } });
  });

  test('reports a truncated last line with its file and line', async () => {
    const path = fileOf('torn.ndjson', samples(upTo(20)), '');
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -30));
    const { stdout, stderr, status } = await kdumpMem('procs', '--from-samples', path, '--strict');
    expect(status).toBe(5);
    expect(stdout).toContain('Source: 20 samples on made-up');
    expect(stderr.split('\n')).toEqual([
      `kdump-mem: warning: ${path}:40: the last line is truncated, and ignored`,
      `kdump-mem: warning: ${path}: 1 sample is incomplete: sums and exited processes are unknown there`,
      '',
    ]);
  });

  test('reports truncated lines in between, as after a power failure, and lines without an end', async () => {
    const path = fileOf('between.ndjson', samples(upTo(20)));
    const lines = readFileSync(path, 'utf8').split('\n');
    const damaged = lines.map((line, at) => (at === 6 || at === 39 ? line.slice(0, 50) : line));
    writeFileSync(path, `${'x'.repeat(3e6)}\n${damaged.join('\n')}`);
    const { stdout, stderr, status } = await kdumpMem('procs', '--from-samples', path);
    expect(status).toBe(0);
    expect(stdout).toContain('Source: 19 samples on made-up');
    expect(stderr).toContain(`${path}:8: 3 of the lines are truncated, and ignored`);
    expect(stderr).toContain(': 2 samples are incomplete: sums and exited processes are unknown');
  });

  test('an impossible start time, null and omitted processes make the answer incomplete, with reasons', async () => {
    const wrong = upTo(40).flatMap((at) => {
      const [look = {}, process = {}] = sample(at);
      return [look, at === 4 ? { ...process, uptimeSeconds: 9000 } : process];
    });
    const found = await growthOf(fileOf('time.ndjson', wrong));
    expect(found).toMatchObject({ complete: false, processes: [{ course: 'grows' }] });
    expect(found.warnings.map(({ message }) => message)).toEqual([
      'start times of processes are inconsistent once: growth is computed from there on',
    ]);
    const partial = upTo(20).flatMap((at) => {
      const [look = {}, process = {}] = sample(at, 'first', null);
      return [{ ...look, allListed: at > 1 }, process];
    });
    const { warnings } = await growthOf(fileOf('some.ndjson', partial));
    expect(warnings.map(({ message }) => message)).toEqual([
      `${join(folder, 'some.ndjson')}: 1 sample lacks some processes (--pid, --container or hidepid): sums and exited processes are unknown there`,
      'memory of 1 process is unknown',
    ]);
  });

  const refused = async (path: string) => {
    const { stdout, stderr, status } = await kdumpMem('procs', '--from-samples', path);
    expect({ stdout, status }).toEqual({ stdout: '', status: 3 });
    expect(stderr).toMatch(/^kdump-mem: [^\n]+\n$/);
    return stderr;
  };

  test('refuses a line that is not a sample, with its file and line', async () => {
    const path = fileOf('other.ndjson', [...samples([1]), { schema: 'kdump-mem.memory/1' }]);
    expect(await refused(path)).toContain(
      `${path}:3: kdump-mem.memory/1 is not a sample of procs --ndjson. Use files that`,
    );
    const [look = {}] = sample(1);
    const wrong = fileOf('wrong.ndjson', [...samples([1]), { ...look, memAvailableBytes: 'much' }]);
    expect(await refused(wrong)).toContain(`${wrong}:3: memAvailableBytes: Invalid input`);
  });

  test('refuses a process that occurs twice in one sample, because another would be missing', async () => {
    const [look = {}, process = {}] = sample(1);
    const path = fileOf('twice.ndjson', [{ ...look, processes: 2 }, process, process]);
    expect(await refused(path)).toContain(`${path}:3: pid 7 occurs twice in one sample`);
  });

  test('refuses samples of two machines', async () => {
    const path = fileOf(
      'mixed.ndjson',
      [1, 2, 3].flatMap((at) => sample(at, at === 2 ? 'b' : 'a')),
    );
    expect(await refused(path)).toContain(`${path}:6: samples of several machines or boots are mixed`);
  });

  test('refuses a missing, special or empty file', async () => {
    expect(await refused(join(folder, 'none'))).toContain('none: not found. Check the path.');
    expect(await refused(folder)).toContain('not a regular file');
    expect(await refused('/dev/zero')).toContain('/dev/zero: not a regular file');
    expect(await refused('-')).toContain('-: stdin is not supported');
    expect(await refused(fileOf('empty', [], ''))).toContain(': no samples');
  });
});

describe('--prometheus', () => {
  test('replaces FILE atomically, readable for the collector', async () => {
    const path = join(folder, 'procs.prom');
    for (const args of [['--live'], ['--live', '--watch', '--interval', '0.1', '--count', '3']]) {
      const { stdout, status } = await kdumpMem('procs', ...args, '--prometheus', path);
      expect({ stdout, status }).toEqual({ stdout: '', status: 0 });
      const text = readFileSync(path, 'utf8');
      expect(text).toMatch(/^kdump_mem_procs_samples [13]$/m);
      expect(text.endsWith('\n')).toBe(true);
      expect(statSync(path).mode & 0o777).toBe(0o644);
    }
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([]);
  });

  test('reports the growth in stored samples', async () => {
    const path = fileOf('metrics.ndjson', samples(upTo(20)));
    const { stdout } = await kdumpMem('procs', '--from-samples', path, '--prometheus');
    expect(stdout).toMatch(
      /^kdump_mem_process_growth_bytes_per_second\{comm="leaky",container="",pod="",bound="likely"\} 1000/m,
    );
    expect(stdout).toMatch(/^kdump_mem_processes_growing 1$/m);
  });
});

test.each([
  [['--live', '--interval', '2'], '--interval requires --watch'],
  [['--live', '--count', '2'], '--count requires --watch'],
  [['--live', '--watch', '--count', '0'], '--count must be 1 or more'],
  [['--live', '--watch', '--interval', '0.05'], 'It must be 0.1 to 3600 seconds'],
  [['--live', '--watch', '--json'], "'--watch' cannot be used with option '--json'"],
  [['--live', '--watch', '--sort', 'uss'], "'--watch' cannot be used with option '--sort"],
  [['--live', '--watch', '--sockets'], "'--watch' cannot be used with option '--sockets'"],
  [['--live', '--ndjson', '--by', 'pod'], "'--ndjson' cannot be used with option '--by"],
  [['--live', '--from-samples', 'x'], "'--from-samples <file>' cannot be used with option '--live'"],
  [['--live', '--watch', '--engine', 'native'], '--watch reads /proc and has no --engine'],
  [['--live', '--watch', '--prometheus'], '--watch requires a file name'],
  [['--vmcore', '/dev/null', '--ndjson'], '--ndjson requires --live: a dump does not change'],
  [['--from-samples', '/dev/null', '/dev/null'], 'Repeat --from-samples before each file'],
])('%j is refused', async (args, message) => {
  const { status, stderr, stdout } = await kdumpMem('procs', ...args);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain(message);
});
