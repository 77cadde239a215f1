import { describe, expect, test } from 'vitest';
import { countedMemory } from '../../../src/account/memory/counted.js';
import { formatFigures } from '../../../src/account/memory/figures.js';
import { type Category, leaves } from '../../../src/account/memory/tree.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { memoryText } from '../../../src/answers/memory/text.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { liveHost } from '../../../src/host/live.js';
import { readHostCounts } from '../../../src/host/proc/memory.js';
import type { MemoryCounters } from '../../../src/records/machine-sample.js';
import { WHOLE } from '../../../src/records/meminfo-lines.js';
import { FakeHost } from '../../host/fake-host.js';

const MIB = 1 << 20;

/** Lines that every kernel prints. */
const NONE = {
  SwapCached: 0,
  Buffers: 0,
  AnonPages: 0,
  SReclaimable: 0,
  SUnreclaim: 0,
  KernelStack: 0,
  PageTables: 0,
  VmallocUsed: 0,
  VmallocChunk: 0,
};

/** A machine with 1,000 MiB, of which 900 MiB were available to the kernel after boot. */
function machine(meminfo: Readonly<Record<string, number>>): MemoryCounters {
  const counted = { ...NONE, MemTotal: 900, MemFree: 300, Cached: 200, Shmem: 50, ...meminfo };
  return {
    release: '6.1.0',
    pageSize: 4096,
    present: 1000 * MIB,
    managed: 900 * MIB,
    zoneFree: undefined,
    onCpus: 10 * MIB,
    cpus: 2,
    whyNoZones: undefined,
    hasPageSize: true,
    printed: new Set([...Object.keys(counted), WHOLE]),
    damaged: new Map(),
    meminfo: new Map(Object.entries(counted).map(([name, size]) => [name, size * MIB])),
    compressed: undefined,
    memmap: undefined,
  };
}

function bytesOf(category: Category, name: string): number {
  return category.category === name
    ? category.bytes
    : category.children.reduce((sum, child) => sum + bytesOf(child, name), 0);
}

function checkSums({ bytes, children }: Category): void {
  if (children.length === 0) return;
  expect(children.reduce((sum, child) => sum + child.bytes, 0)).toBe(bytes);
  children.forEach(checkSums);
}

test('sums rows up to the zones, with memory in no counter as unattributed', () => {
  const { memory } = countedMemory(machine({ AnonPages: 100, KernelStack: 5, VmallocUsed: 25 }));
  checkSums(memory);
  expect(memory.bytes).toBe(1000 * MIB);
  expect(bytesOf(memory, 'reserved-other')).toBe(100 * MIB);
  expect(bytesOf(memory, 'unattributed')).toBe((900 - 300 - 10 - 200 - 100 - 25) * MIB);
});

test('counts overlaps once: shared memory in Cached, stacks in vmalloc', () => {
  const { memory } = countedMemory(machine({ KernelStack: 5, VmallocUsed: 25 }));
  expect(bytesOf(memory, 'page-cache')).toBe(150 * MIB);
  expect(bytesOf(memory, 'shared')).toBe(50 * MIB);
  expect(bytesOf(memory, 'vmalloc')).toBe(20 * MIB);
});

test('a missing line of page cache leaves a lower bound without shared memory', () => {
  const counted = machine({});
  const without = (...names: string[]) => {
    const lines = [...counted.meminfo].filter(([name]) => !names.includes(name));
    const meminfo = new Map(lines);
    const { memory } = countedMemory({ ...counted, meminfo, printed: new Set(meminfo.keys()) });
    return leaves(memory).find(({ category }) => category === 'page-cache');
  };
  expect(without('Buffers')).toMatchObject({ bytes: 150 * MIB, range: { leastBytes: 150 * MIB }, complete: false });
  expect(without('Buffers', 'Shmem')).toMatchObject({ range: { leastBytes: 0 }, complete: false });
});

test('reports an incomplete answer, and each row without a counter', () => {
  const answer = countedMemory(machine({}));
  expect(answer.complete).toBe(false);
  const text = memoryText(answer, { source: '--live', width: null, verbose: true });
  expect(text).toMatch(/^Source: counters in \/proc only\.$/m);
  expect(text).toContain('network: socket queues');
  expect(text).toContain('no counter exists');
});

describe('reports counters that contradict each other, and still answers:', () => {
  test.each([
    ['more than MemTotal', machine({ AnonPages: 901 }), 'the sum of counters exceeds MemTotal by 525336576 bytes'],
    ['more shared than cached', machine({ Shmem: 301 }), 'Shmem exceeds Cached and Buffers by 105906176 bytes'],
    ['more memory than zones have', machine({ MemTotal: 1001 }), '/proc/zoneinfo is not used'],
    ['zones of another machine', { ...machine({}), managed: 100 * MIB, zoneFree: 300 * MIB }, 'is not used'],
  ])('%s', (_, counted, message) => {
    const answer = countedMemory(counted);
    expect(answer.warnings).toEqual([{ code: 'corrupt', message: expect.stringContaining(message) }]);
    checkSums(answer.memory);
    expect(leaves(answer.memory).find(({ category }) => category === 'anonymous')?.bytes).toBe(
      counted.meminfo.get('AnonPages'),
    );
  });
});

test('counts uninitialized memory as free, and drops figures below 0', () => {
  const counts = machine({ MemTotal: 10_000, MemFree: 9_400, MemAvailable: 11_000, SReclaimable: 0 });
  const lazy = { ...counts, present: 10_100 * MIB, zoneFree: 305 * MIB };
  const answer = countedMemory(lazy);
  checkSums(answer.memory);
  expect(bytesOf(answer.memory, 'free-uninitialized')).toBe(9_100 * MIB);
  expect(bytesOf(answer.memory, 'free-buddy')).toBe(300 * MIB);
  expect(answer.freeConflict).toBeNull();
  const zone = { node: 0, zone: 'Normal', freePages: null, freeBlocks: [], watermarks: null };
  const managedPages = (900 * MIB) / 4096;
  const zones = [{ ...zone, presentPages: managedPages, managedPages }];
  const used = (one: typeof answer) =>
    formatFigures({ ...one, zones }, 'free').lines.filter(({ name }) => name.startsWith('used'));
  expect(used(answer)).toMatchObject([
    { bytes: null, kernelBytes: null },
    { bytes: 400 * MIB, kernelBytes: 400 * MIB },
  ]);
  // Zones that do not count their free pages do not show what is initialized.
  const unknown = used(countedMemory({ ...lazy, zoneFree: undefined }));
  expect(unknown[1]).toMatchObject({ bytes: null });
});

test('gives bounds to free and unattributed memory if zones were read at another time', () => {
  const answer = countedMemory({ ...machine({}), zoneFree: 100 * MIB });
  expect(answer.freeConflict).toMatchObject({ foundBy: 'counters', countedBytes: 300 * MIB });
  expect(answer.warnings).toEqual([]);
  const rangeOf = (name: string) => leaves(answer.memory).find(({ category }) => category === name)?.range;
  expect(rangeOf('free-buddy')).toEqual({ leastBytes: 100 * MIB, mostBytes: 300 * MIB });
  // Lists of CPUs may have had what zones lack.
  expect(rangeOf('unattributed')).toEqual({ leastBytes: 190 * MIB, mostBytes: 600 * MIB });
  const [first] = memoryText(answer, { source: '--live', width: null }).split('\n');
  expect(first).toMatch(/^100 MiB to 300 MiB of 1000 MiB free \(it changed while it was read\)\. /);
  expect(first).toContain('(unattributed), at least 190 MiB (19 %).');
});

test('reports pages that are mapped and in the swap cache', () => {
  const { memory } = countedMemory(machine({ AnonPages: 100, SwapCached: 7 }));
  const anonymous = memory.children
    .flatMap(({ children }) => children)
    .find(({ category }) => category === 'anonymous');
  expect(anonymous).toMatchObject({ complete: false, why: expect.stringContaining('swap cache') });
});

test('accepts the counters of this host', () => {
  const answer = countedMemory(readHostCounts(liveHost));
  checkSums(answer.memory);
  const json = memoryJson(answer);
  expect(memorySchema.parse(json)).toEqual(json);
  expect(json).toMatchObject({ source: 'counters', kernel: null });
  expect(bytesOf(answer.memory, 'anonymous')).toBeGreaterThan(MIB);
});

test('counts zones and per-CPU lists of a machine with 8 nodes and 64 CPUs', () => {
  const [nodes, cpus] = [8, 64];
  const [presentOf, freeOf, countOf] = [
    (node: number) => 4_000_000 + node,
    (node: number) => 100_000 + 7 * node,
    (node: number, cpu: number) => 10 * node + cpu,
  ];
  const zone = (node: number, name: string, present: number, free: number) =>
    [
      `Node ${node}, zone ${name}`,
      `  pages free     ${free}`,
      '        min      10',
      `        present  ${present}`,
      `        managed  ${present - Math.min(present, 1000)}`,
      '  pagesets',
      ...Array.from({ length: cpus }, (_, cpu) => [
        `    cpu: ${cpu}`,
        `              count: ${present && countOf(node, cpu)}`,
      ]),
    ]
      .flat()
      .join('\n');
  const zoneinfo = Array.from({ length: nodes }, (_, node) =>
    // Only the first node has memory for old devices.
    [
      zone(node, 'DMA', node === 0 ? 3999 : 0, node === 0 ? 2000 : 0),
      zone(node, 'Normal', presentOf(node), freeOf(node)),
    ],
  )
    .flat()
    .join('\n');
  const host = new FakeHost();
  host.files.set('/proc/zoneinfo', `${zoneinfo}\n`);
  const sum = (of: (node: number) => number) =>
    Array.from({ length: nodes }, (_, node) => of(node)).reduce((a, b) => a + b);
  const lists = (node: number) => Array.from({ length: cpus }, (_, cpu) => countOf(node, cpu)).reduce((a, b) => a + b);
  const counts = readHostCounts(host);
  expect([counts.cpus, counts.whyNoZones]).toEqual([cpus, undefined]);
  expect(counts.present).toBe((3999 + sum(presentOf)) * 4096);
  expect(counts.managed).toBe((3999 - 1000 + sum((node) => presentOf(node) - 1000)) * 4096);
  expect(counts.zoneFree).toBe((2000 + sum(freeOf)) * 4096);
  expect(counts.onCpus).toBe((lists(0) + sum(lists)) * 4096);
});
