import { beforeAll, expect, test } from 'vitest';
import { machineProgram } from '../../../../scripts/lab-parts/programs.mjs';
import { memorySchema } from '../../../../src/contracts/memory.js';
import { triageSchema } from '../../../../src/contracts/triage.js';
import { drgnJson } from '../../../support/drgn.js';
import { jsonInGuest, testGuest } from '../../../support/guest.js';

const MIB = 2 ** 20;
const [HEAP, MEMFD] = [100 * MIB, 60 * MIB];

const guest = testGuest('newest', 900_000);
beforeAll(async () => {
  await guest.boot({ kdumpMem: true, tools: ['buffers'], files: machineProgram('/usr/bin/perl'), limitMs: 1_800_000 });
  await guest.run('mount -t debugfs none /sys/kernel/debug; mount --bind /dev/null /proc/kcore');
});

const answerOf = async (command: string) => memorySchema.parse(await jsonInGuest(guest, command, 600_000));
const rowOf = ({ memory }: Awaited<ReturnType<typeof answerOf>>, name: string) =>
  memory.children.flatMap(({ children }) => children).find(({ category }) => category === name);

test('dma-bufs of a heap are a row without kernel memory, each once, with the processes that have them', async () => {
  const before = await answerOf('memory --live --source counters');
  await guest.run(`(buffers system ${HEAP / MIB} & buffers udmabuf ${MEMFD / MIB} &) > /tmp/pids`);
  await guest.run('until [ $(wc -l < /tmp/pids) = 2 ]; do usleep 100000; done');
  // A decoy as large, in no dma-buf.
  await guest.run(`dd if=/dev/zero of=/run/decoy bs=1M count=${HEAP / MIB} 2>/dev/null`);
  const answer = await answerOf('memory --live --source counters');
  expect(rowOf(answer, 'dma-buf')).toMatchObject({ bytes: HEAP, complete: true });
  const sum = answer.memory.children.reduce((all, { bytes }) => all + bytes, 0);
  expect(sum).toBe(answer.memory.bytes);
  expect(answer.memory.bytes).toBe(before.memory.bytes);
  const [heap, memfd] = answer.named?.filter(({ kind }) => kind === 'dma-buf') ?? [];
  expect(heap).toMatchObject({ name: 'system', bytes: HEAP, source: '/sys/kernel/debug/dma_buf/bufinfo' });
  expect(memfd).toMatchObject({ name: 'udmabuf', category: null, bytes: MEMFD });
  const pids = (await guest.output('grep -h . /tmp/pids')).split(/\s+/).filter(Boolean).map(Number);
  const holders = [...(heap?.processes ?? []), ...(memfd?.processes ?? [])];
  expect(holders.map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual(pids.toSorted((a, b) => a - b));
  expect(new Set(holders.map(({ comm }) => comm))).toEqual(new Set(['buffers']));
  const flags = await answerOf('memory --live --source pageflags');
  expect(rowOf(flags, 'dma-buf')?.bytes).toBe(HEAP);
  const { findings } = triageSchema.parse(await jsonInGuest(guest, 'triage --live', 600_000));
  // The other one is below the least size of a finding.
  expect(findings.filter(({ code }) => code === 'dma-buf')).toMatchObject([
    { figures: { bytes: HEAP, exporter: 'system' } },
  ]);
});

test('buffers of ftrace are a row without kernel memory, with their instances', async () => {
  const tracing = '/sys/kernel/tracing';
  await guest.run(`mount -t tracefs none ${tracing}; mkdir ${tracing}/instances/second`);
  const before = await answerOf('memory --live --source counters');
  const cpus = Number(await guest.output('grep -c ^processor /proc/cpuinfo'));
  await guest.run(`echo 20480 > ${tracing}/buffer_size_kb; echo 30720 > ${tracing}/instances/second/buffer_size_kb`);
  // The kernel rounds up to pages, less their headers.
  const isNear = (bytes: number | null | undefined, mib: number) =>
    expect(Math.abs((bytes ?? 0) / (mib * MIB * cpus) - 1)).toBeLessThanOrEqual(0.01);
  const unattributed = (answer: typeof before) => rowOf(answer, 'unattributed')?.bytes ?? Number.NaN;
  for (const source of ['counters', 'pageflags']) {
    const answer = await answerOf(`memory --live --source ${source}`);
    const rings = answer.named?.filter(({ kind }) => kind === 'trace-rings') ?? [];
    expect(rings.map(({ name }) => name)).toEqual(['ftrace instance second', 'ftrace']);
    isNear(rings[0]?.bytes, 30);
    isNear(rings[1]?.bytes, 20);
    isNear(rowOf(answer, 'rings')?.bytes, 50);
    // What was allocated for them is named.
    if (source === 'counters')
      expect(Math.abs(unattributed(answer) - unattributed(before))).toBeLessThanOrEqual(0.05 * 50 * MIB * cpus);
  }
});

test('a page pool has as much in flight as drgn counts', async () => {
  const answer = await answerOf('memory --live --source counters');
  const core = await guest.lastDump();
  const pools = drgnJson<{ bytes: number; detached: boolean }[]>(
    core,
    'newest',
    new URL('page_pools.py', import.meta.url),
  );
  expect(pools.filter(({ detached }) => detached)).toEqual([]);
  // Each CPU has a pool without an interface too, which netlink does not list.
  const used = pools.filter((one) => one.bytes > 0);
  const bytes = used.reduce((sum, one) => sum + one.bytes, 0);
  expect(bytes).toBeGreaterThan(0);
  expect(answer.named?.filter(({ kind }) => kind === 'page-pools')).toMatchObject([
    { name: 'eth0', bytes, figures: { pools: used.length, detachedPools: 0 } },
  ]);
  expect(rowOf(answer, 'network-other')?.bytes).toBe(bytes);
});
