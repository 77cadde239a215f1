import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type MemoryJson, memorySchema } from '../../../../src/answers/memory/schema.js';
import { commandPath, kdumpMem } from '../../../support/cli.js';

/** Holds 32 MiB in a memfd that it does not map. */
const HOLDER = `import os, time
fd = os.memfd_create('captured')
os.write(fd, b'x' * (32 << 20))
print(fd, flush=True)
time.sleep(600)`;

const folder = mkdtempSync(join(tmpdir(), 'captured-'));
const file = join(folder, 'host.tar.gz');
const held = spawn('python3', ['-c', HOLDER], { stdio: ['ignore', 'pipe', 'inherit'] });
afterAll(() => {
  held.kill();
  rmSync(folder, { recursive: true });
});

/** A file of the capture, extracted by tar. */
const captured = (name: string, sample = '') =>
  execFileSync('tar', ['-xzOf', file, `kdump-mem-snapshot/${sample}proc/${name}`], {
    encoding: 'utf8',
  });

const answerOf = async (...more: string[]): Promise<MemoryJson> => {
  const { stdout } = await kdumpMem('memory', '--json', '--from', file, ...more);
  return memorySchema.parse(JSON.parse(stdout));
};

beforeAll(async () => {
  await once(held.stdout, 'data');
  execFileSync(commandPath('skcheck'), ['--capture', file, '--interval', '1']);
});

test('lines of /proc/meminfo match the captured file', async () => {
  const { figures } = await answerOf('--as', 'meminfo');
  const lines = (figures?.lines ?? []).filter(
    ({ name, kernelBytes }) => kernelBytes !== null && /^\w+$/.test(name),
  );
  expect(lines.length).toBeGreaterThan(10);
  // It was read with each sample, and the answer uses one of them.
  const readings = [1, 2].map((sample) => captured('meminfo', `sample-${sample}/`));
  const reportedValues = Object.fromEntries(
    lines.map(({ name, kernelBytes }) => [name, kernelBytes]),
  );
  expect(
    readings.map((meminfo) =>
      Object.fromEntries(
        lines.map(({ name }) => [
          name,
          Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(meminfo)?.[1]) * 1024,
        ]),
      ),
    ),
  ).toContainEqual(reportedValues);
});

test('rows sum to the zones, and callers and caches to their files', async () => {
  const { memory, callers, caches, host, noDetails } = await answerOf();
  const pageSize = host?.pageSize ?? Number.NaN;
  expect(pageSize).toBe(Number(execFileSync('getconf', ['PAGESIZE'], { encoding: 'utf8' })));
  expect(noDetails).toEqual({});
  const sum = (text: string, pattern: RegExp) =>
    [...text.matchAll(pattern)].reduce((all, [, pages]) => all + Number(pages), 0) * pageSize;
  expect(memory.bytes).toBe(sum(captured('zoneinfo'), /^ +present +(\d+)$/gm));
  const areas = captured('vmallocinfo')
    .split('\n')
    .filter(
      (line) =>
        !/ (alloc_thread_stack_node|dup_task_struct|copy_process|kernel_clone|_do_fork|fork_idle)\+/.test(
          line,
        ),
    );
  expect(callers.reduce((all, { bytes }) => all + bytes, 0)).toBe(
    sum(areas.join('\n'), / pages=(\d+)/g),
  );
  expect(caches.length).toBe(captured('slabinfo').trim().split('\n').length - 2);
});

test('names the owner of a memfd that no process maps', async () => {
  const snapshot = join(folder, 'snapshot.tar.gz');
  await kdumpMem('snapshot', '-o', snapshot);
  const { stdout } = await kdumpMem('memory', '--json', '--from', snapshot);
  const { memory } = memorySchema.parse(JSON.parse(stdout));
  const owners = (part: MemoryJson['memory']): MemoryJson['memory']['owners'] => [
    ...part.owners,
    ...part.children.flatMap(owners),
  ];
  expect(owners(memory)).toContainEqual({
    kind: 'file',
    name: 'memfd:captured',
    pid: held.pid,
    bytes: 32 * 2 ** 20,
  });
});

test('constant figures match this machine now', async () => {
  const [then, now] = [
    await answerOf(),
    await kdumpMem('memory', '--json', '--live', '--source', 'counters'),
  ];
  const live = memorySchema.parse(JSON.parse(now.stdout));
  expect(then.memory.bytes).toBe(live.memory.bytes);
  expect(then.host).toEqual(live.host);
});
