import type { CategoryName } from '../../records/categories.js';
import type { FigureFormat, FigureLine, FormattedFigures, MemoryAnswer } from './answer.js';
import type { KernelCounts } from './counters.js';
import { leaves } from './tree.js';

interface Definition {
  readonly name: string;
  readonly rows?: readonly CategoryName[];
  readonly bound?: FigureLine['bound'];
  /** Computes it from lines of /proc/meminfo, if it is not one itself. */
  readonly kernel?: (of: (name: string) => number) => number;
}

// The kernel's counters count secret memory as file pages.
const CACHE = ['page-cache', 'shared', 'slab-reclaimable', 'secret'] as const;
const FREE_PAGES = ['free-buddy', 'free-unaccepted', 'free-uninitialized'] as const;
const AVAILABLE = [...FREE_PAGES, 'page-cache', 'slab-reclaimable'] as const;
const buffCache = (of: (name: string) => number) => of('BuffersCached') + of('SReclaimable');

/**
 * free(1) of procps-ng: `used` is memory that is not available since 4.0.1; before, memory that is neither
 * free nor cache.
 */
const FREE: readonly Definition[] = [
  { name: 'total', kernel: (of) => of('MemTotal') },
  { name: 'used (procps 4)', kernel: (of) => of('MemTotal') - of('MemAvailable') },
  { name: 'used (before)', kernel: (of) => of('MemTotal') - of('MemFree') - buffCache(of) },
  { name: 'free', rows: FREE_PAGES, kernel: (of) => of('MemFree') },
  { name: 'shared', rows: ['shared'], kernel: (of) => of('Shmem') },
  { name: 'buff/cache', rows: CACHE, kernel: buffCache },
  { name: 'available', rows: AVAILABLE, bound: 'at-most', kernel: (of) => of('MemAvailable') },
];

const MEMINFO: readonly Definition[] = [
  { name: 'MemTotal' },
  { name: 'MemFree', rows: FREE_PAGES },
  { name: 'MemAvailable', rows: AVAILABLE, bound: 'at-most' },
  {
    name: 'Buffers + Cached',
    rows: ['page-cache', 'shared', 'secret'],
    // Truncated pages stay in the page cache category while they are referenced.
    bound: 'at-most',
    kernel: (of) => of('BuffersCached'),
  },
  { name: 'SwapCached', rows: ['swap-cache'] },
  // It counts mapped pages, which may be in the swap cache.
  { name: 'AnonPages', rows: ['anonymous', 'swap-cache'], bound: 'at-most' },
  { name: 'Shmem', rows: ['shared'] },
  { name: 'Slab', bound: 'at-least', rows: ['slab-reclaimable', 'slab-unreclaimable', 'large-kmalloc'] },
  { name: 'SReclaimable', rows: ['slab-reclaimable'] },
  { name: 'SUnreclaim', rows: ['slab-unreclaimable', 'large-kmalloc'], bound: 'at-least' },
  { name: 'KernelStack', rows: ['kernel-stacks'] },
  // No counter includes the top-level tables of processes and the kernel's own tables.
  { name: 'PageTables', rows: ['page-tables'], bound: 'at-most' },
  { name: 'VmallocUsed', rows: ['kernel-stacks', 'modules', 'bpf', 'vmalloc'] },
  { name: 'Percpu', rows: ['percpu'] },
  { name: 'Hugetlb', rows: ['hugetlb'] },
];

/** Computes the figures of free(1) or /proc/meminfo from the categories of an answer. */
export function formatFigures(answer: MemoryAnswer, format: FigureFormat): FormattedFigures {
  const byCategory = new Map(
    leaves(answer.memory).map((category) => [category.category as CategoryName, category] as const),
  );
  const counted = answer.counted ?? new Map<string, number>();
  const definitions = format === 'free' ? FREE : MEMINFO;
  const lines = definitions.map((definition): FigureLine => {
    const { name, rows = [], bound = 'same' } = definition;
    const parts = rows.flatMap((row) => byCategory.get(row) ?? []);
    return {
      name,
      rows,
      bytes: rows.length > 0 ? parts.reduce((sum, { bytes }) => sum + bytes, 0) : null,
      bound: bound === 'same' && parts.some(({ complete }) => !complete) ? 'at-least' : bound,
      kernelBytes: kernelFigure(definition, counted),
    };
  });
  const total = totalOf(answer);
  const bytesOf = (name: string) => lines.find((line) => line.name === name)?.bytes ?? null;
  const [free, cache] = [bytesOf('free'), bytesOf('buff/cache')];
  const used = total === null || free === null || cache === null ? null : notBelow0(total - free - cache);
  const others = new Map([
    ...(['total', 'MemTotal'] as const).map((name) => [name, total] as const),
    ['used (before)', used],
  ]);
  const named = new Set(definitions.flatMap(({ rows = [] }) => rows));
  return {
    format,
    lines: lines.map((line) => ({ ...line, bytes: line.bytes ?? others.get(line.name) ?? null })),
    onlyInTotal: [...byCategory.values()]
      .filter(({ category, bytes }) => bytes > 0 && !named.has(category as CategoryName))
      .toSorted((a, b) => b.bytes - a.bytes)
      .map(({ category, bytes }) => ({ category: category as CategoryName, bytes })),
  };
}

/**
 * Memory that zones gave to the buddy allocator, and memory it will get once initialized, less what the boot
 * reserved in any category.
 */
function totalOf({ zones, host, kernel, memory }: MemoryAnswer): number | null {
  const pageSize = kernel?.pageSize ?? host?.pageSize;
  if (zones.length === 0 || pageSize === undefined) return null;
  const uninitialized = leaves(memory).find(({ category }) => category === 'free-uninitialized');
  const managed = zones.reduce((sum, zone) => sum + zone.managedPages, 0) * pageSize;
  return managed + (uninitialized?.bytes ?? 0);
}

/** Returns null for a negative figure, which results from contradicting counters. */
function notBelow0(bytes: number): number | null {
  return bytes < 0 ? null : bytes;
}

function kernelFigure({ name, kernel }: Definition, counted: ReadonlyMap<string, number>): number | null {
  const cached = counted.get('Cached');
  const both =
    counted.get('BuffersCached') ?? (cached === undefined ? undefined : cached + (counted.get('Buffers') ?? 0));
  let lacks = false;
  const figure = (kernel ?? ((of) => of(name)))((line) => {
    const bytes = line === 'BuffersCached' ? both : counted.get(line);
    lacks ||= bytes === undefined;
    return bytes ?? 0;
  });
  return lacks ? null : notBelow0(figure);
}

/**
 * Computes lines of /proc/meminfo from the counters of a kernel, including per-CPU differences, in bytes.
 * Buffers cannot be separated from Cached: `BuffersCached` is the sum of both.
 *
 * @param available base pages
 */
export function meminfoOfCounts(
  counts: KernelCounts,
  available: number | undefined,
  pageSize: number,
): ReadonlyMap<string, number> {
  const figures = new Map<string, number>();
  const set = (name: string, ...of: readonly (number | undefined)[]) => {
    if (of.every((pages) => pages !== undefined))
      figures.set(name, of.reduce((sum, pages) => sum + pages, 0) * pageSize);
  };
  const [memory, reserved] = [counts.get('memory'), counts.get('all-reserved')];
  if (memory !== undefined && reserved !== undefined) set('MemTotal', memory - reserved);
  set('MemFree', counts.get('all-free'));
  set('MemAvailable', available);
  set('BuffersCached', counts.get('page-cache'), counts.get('shared'));
  set('SwapCached', counts.get('swap-cache'));
  set('AnonPages', counts.get('anonymous'));
  set('Shmem', counts.get('shared'));
  set('SReclaimable', counts.get('slab-reclaimable'));
  set('SUnreclaim', counts.get('all-slab'));
  set('Slab', counts.get('slab-reclaimable'), counts.get('all-slab'));
  set('KernelStack', counts.get('kernel-stacks'));
  set('PageTables', counts.get('page-tables'));
  set('VmallocUsed', counts.get('all-vmalloc'));
  set('Percpu', counts.get('percpu'));
  set('Hugetlb', counts.get('hugetlb'));
  return figures;
}
