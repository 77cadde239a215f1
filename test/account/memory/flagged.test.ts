import { describe, expect, test } from 'vitest';
import { flaggedMemory } from '../../../src/account/memory/flagged.js';
import { type FlaggedMachine, FRAME_KINDS, type FrameKind } from '../../../src/account/memory/flagged-machine.js';
import { leaves } from '../../../src/account/memory/tree.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { findingWords } from '../../../src/answers/triage/words.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import type { MemoryCounters } from '../../../src/records/machine-sample.js';
import { WHOLE } from '../../../src/records/meminfo-lines.js';
import { FINDING_CODES } from '../../../src/triage/findings/all.js';
import { memoryFindings } from '../../../src/triage/kernel-findings.js';
import { PROOFS } from '../../support/next-commands.js';

/** Pages of a MiB: the amounts of these tests are in MiB. */
const PAGES = 256;
const MIB = 2 ** 20;

function counters(changes: Readonly<Record<string, number>> = {}, zspages = 900, onCpus = 10): MemoryCounters {
  const lines = {
    MemTotal: 16_000,
    MemFree: 8000,
    Cached: 3000,
    Buffers: 0,
    Shmem: 0,
    SwapCached: 0,
    AnonPages: 2000,
    SReclaimable: 0,
    SUnreclaim: 0,
    KernelStack: 0,
    PageTables: 0,
    VmallocUsed: 0,
    VmallocChunk: 0,
    ...changes,
  };
  return {
    release: '6.1.0',
    pageSize: 4096,
    present: 16_000 * MIB,
    managed: 16_000 * MIB,
    zoneFree: 8000 * MIB,
    onCpus: onCpus * MIB,
    cpus: 2,
    whyNoZones: undefined,
    hasPageSize: true,
    printed: new Set([...Object.keys(lines), WHOLE]),
    damaged: new Map(),
    meminfo: new Map(Object.entries(lines).map(([name, size]) => [name, size * MIB])),
    compressed: zspages * MIB,
    memmap: undefined,
  };
}

function machine(
  kinds: Partial<Record<FrameKind, number>>,
  { before = counters(), after = before }: { before?: MemoryCounters; after?: MemoryCounters } = {},
): FlaggedMachine {
  const none = { code: 'gone', why: 'x' } as const;
  const all = FRAME_KINDS.map((kind) => [kind, (kinds[kind] ?? 0) * PAGES]);
  return {
    before,
    after,
    frames: {
      kinds: Object.fromEntries(all) as Record<FrameKind, number>,
      image: 0,
      crashKernel: 0,
      unread: 0,
      whyUnread: undefined,
      notes: [],
      unflagged: { blocks: new Map(), zones: new Map(), charged: undefined, mapped: 0 },
    },
    caches: none,
    vmalloc: none,
    zones: none,
  } as unknown as FlaggedMachine;
}

const KINDS = { free: 8000, anonymous: 2000 } as const;

function answered(of: FlaggedMachine) {
  const answer = flaggedMemory(of);
  const json = memoryJson(answer);
  expect(memorySchema.parse(json)).toEqual(json);
  expect(answer.memory.bytes).toBe(16_000 * MIB);
  const row = (name: string) => {
    const found = leaves(answer.memory).find(({ category }) => category === name)!;
    const { bytes, counterBytes, flagBytes = Number.NaN, known, why } = found;
    return { mib: bytes / MIB, counter: (counterBytes ?? Number.NaN) / MIB, flags: flagBytes / MIB, known, why };
  };
  return {
    cache: row('page-cache'),
    compressed: row('compressed'),
    gpu: row('gpu'),
    rest: row('unattributed'),
    answer,
  };
}

describe('pages of zsmalloc', () => {
  test('with the flags of files are no page cache: both counters are right, and the row says so', () => {
    const { cache, compressed, rest } = answered(machine({ ...KINDS, file: 3900, none: 2100 }));
    expect(cache).toMatchObject({ mib: 3000, counter: 3000, flags: 3900, known: 'counter' });
    expect(cache.why).toBe('230400 pages with the flags of files are compressed memory: the kernel counts both');
    expect(compressed).toMatchObject({ mib: 900, counter: 900 });
    expect(rest.mib).toBe(2100 - 10);
  });

  test('without flags are taken from the frames without flags', () => {
    const { cache, compressed, rest } = answered(machine({ ...KINDS, file: 3000, none: 3000 }));
    expect(cache).toMatchObject({ mib: 3000, flags: Number.NaN, known: 'flags', why: null });
    expect(compressed.mib).toBe(900);
    expect(rest.mib).toBe(3000 - 900 - 10);
  });

  test('a part of them can have the flags of files', () => {
    const { cache, compressed, rest } = answered(machine({ ...KINDS, file: 3400, none: 2600 }));
    expect([cache.mib, compressed.mib, rest.mib]).toEqual([3000, 900, 2600 - 500 - 10]);
  });

  test('truncated files beyond the counter of zsmalloc stay page cache', () => {
    const { cache, compressed } = answered(machine({ ...KINDS, file: 4500, none: 1500 }));
    expect([cache.mib, cache.counter, compressed.mib]).toEqual([3600, 3000, 900]);
  });

  test.each([
    ['less than the counters drift', { file: 3070, none: 2930 }, counters(), counters()],
    ['page cache that grew during the scan', { file: 3800, none: 2200 }, counters(), counters({ Cached: 4000 })],
    ['a machine without zsmalloc', { file: 3900, none: 2100 }, counters({}, 0), counters({}, 0)],
  ])('no other difference is theirs: %s', (_, kinds, before, after) => {
    const { cache } = answered(machine({ ...KINDS, ...kinds }, { before, after }));
    expect(cache).toMatchObject({ mib: kinds.file, why: null });
  });

  test('a damaged counter takes nothing from page cache', () => {
    const after = counters({ Cached: Number.NaN });
    const damaged = new Map([['Cached', 'many kB']]);
    const { cache } = answered(
      machine({ ...KINDS, file: 3900, none: 2100 }, { before: counters(), after: { ...after, damaged } }),
    );
    expect(cache.mib).toBe(3900);
  });
});

test('pages of graphics drivers, which have no flags, are as many as the kernel counts', () => {
  const after = counters({ GPUActive: 100, GPUReclaim: 20 }, 0);
  const { gpu, rest } = answered(machine({ ...KINDS, file: 3000, none: 3000 }, { after }));
  expect(gpu).toMatchObject({ mib: 120, counter: 120, known: 'counter', why: null });
  expect(rest.mib).toBe(3000 - 120 - 10);
});

test('per-CPU lists that changed during the scan do not make all frames without flags unattributed', () => {
  const of = (before: number, after: number) =>
    answered(
      machine(
        { ...KINDS, file: 5095, none: 905 },
        { before: counters({ Cached: 5095 }, 900, before), after: counters({ Cached: 5095 }, 900, after) },
      ),
    );
  expect([of(4, 10).compressed.mib, of(4, 10).rest.mib]).toEqual([900, 0]);
  // Counters that stand still and exceed the frames are a contradiction, which the row reports.
  expect(of(10, 10).compressed.mib).toBe(0);
  expect(of(10, 10).rest.why).toContain('fewer than the');
});

describe('a counter that page flags contradict', () => {
  const counted = (kinds: Partial<Record<FrameKind, number>>, before: MemoryCounters, after = before) =>
    flaggedMemory(machine({ ...KINDS, ...kinds }, { before, after }));
  const found = (...of: Parameters<typeof counted>) =>
    memoryFindings(counted(...of)).filter(({ code }) => code === 'counter-mismatch');

  test('is a finding, with both figures', () => {
    const [only, ...others] = found({ shmem: 1000, file: 3000, none: 2000 }, counters({ Shmem: 3000, Cached: 6000 }));
    expect(others).toEqual([]);
    expect(only).toMatchObject({
      severity: 'warning',
      figures: { category: 'shared', foundBytes: 1000 * MIB, countedBytes: 3000 * MIB, bytes: 2000 * MIB },
    });
    expect(findingWords(only!)).toBe(
      'Counter contradicts memory: the kernel counts 2.93 GiB of shared memory and tmpfs, but page flags show 1000 MiB.',
    );
  });

  test('has both figures in the answer of its next command', () => {
    const of = [{ shmem: 1000, file: 3000, none: 2000 }, counters({ Shmem: 3000, Cached: 6000 })] as const;
    expect(found(...of).map(({ next }) => next)).toEqual(['memory -v']);
    const { memory } = memoryJson(counted(...of));
    const row = memory.children.flatMap(({ children }) => children).find(({ category }) => category === 'shared');
    expect(row).toMatchObject({ bytes: 1000 * MIB, counterBytes: 3000 * MIB });
    const declared = FINDING_CODES.filter((code) => PROOFS[code] === 'page flags');
    expect(declared).toEqual(['counter-mismatch']);
  });

  test.each([
    ['agrees', { shmem: 3000, file: 3000 }, counters({ Shmem: 3000, Cached: 6000 }), undefined],
    ['moved during the scan', { shmem: 1000, file: 3000 }, counters({ Shmem: 900, Cached: 3900 }), 3000],
    ['differs by little', { shmem: 2900, file: 3000 }, counters({ Shmem: 3000, Cached: 6000 }), undefined],
  ])('is none if it %s', (_, kinds, before, later) => {
    const after = later === undefined ? before : counters({ Shmem: later, Cached: 3000 + later });
    expect(found({ ...kinds, none: 3000 }, before, after)).toEqual([]);
  });
});
