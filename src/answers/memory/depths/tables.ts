import {
  type CacheFigures,
  type FigureFormat,
  type FigureLine,
  type MemoryAnswer,
  pageSizeOf,
  type ZoneFigures,
} from '../../../account/memory/answer.js';
import { categoryWords } from '../../../account/memory/category-names.js';
import { escapeText } from '../../../base/escape.js';
import { count, formatCount, formatSize } from '../../../base/size.js';
import type { HugePages } from '../../../contracts/memory.js';
import { SLAB_CACHES, slabCacheKey } from '../../../records/slab-caches.js';
import { wrap } from '../../text/cut.js';
import { type Column, type ListOptions, renderTable } from '../../text/table.js';
import { share } from '../words.js';

/** Formats one part of the answer to `memory` in more detail. */
export type DepthText = (answer: MemoryAnswer, options: ListOptions) => string;

/** A sentence about the first row, and an empty line; empty without rows. */
export function largest(
  noun: string,
  [most]: readonly { readonly name: string; readonly bytes: number }[],
  width: number | null,
  { owner = '', before = '' } = {},
): string {
  if (most === undefined) return '';
  const words = `${before}Largest ${noun}: ${escapeText(most.name) || '(unknown module)'}, ${formatSize(most.bytes)}${owner}.`;
  return `${wrap(words, width).join('\n')}\n\n`;
}

/** Appends the number of rows that the limit omits. */
function more(table: string, left: number): string {
  return left > 0 ? `${table}\n\n${formatCount(left)} more: --limit N lists them` : table;
}

/** Formats slab caches, largest first. */
export function cachesTable(answer: MemoryAnswer, { limit, width }: ListOptions): string {
  const { caches, memory, source, captured } = answer;
  const where = captured || source === 'vmcore' ? 'On that machine' : 'Owner';
  const large = caches.slice(0, ABOUT).filter(({ bytes }) => bytes >= LARGE * memory.bytes);
  const table = renderTable(CACHE_COLUMNS, caches.slice(0, limit), width);
  const bytes = caches.reduce((sum, cache) => sum + cache.bytes, 0);
  const before = `${count(caches.length, 'slab cache')}: ${formatSize(bytes)} (${share(bytes, memory.bytes)} of memory). `;
  const about = [CACHE_LEGEND, ...large.flatMap(({ name }) => cacheWords(name, where) ?? [])];
  const words = about.map((paragraph) => wrap(paragraph, width).join('\n'));
  return [largest('cache', caches, width, { before }) + more(table, caches.length - limit), ...words].join('\n\n');
}

const CACHE_LEGEND =
  'OBJECTS: in use; SLOTS: what the slabs have room for. WASTE: bytes of the cache that allocated objects do not use: free slots, padding and metadata. RECLAIMABLE: the kernel frees such objects when memory is short.';

/** The largest caches are described, if they are known and have that share of memory. */
const [ABOUT, LARGE] = [3, 0.01];

/** Describes a cache by its name; undefined: it is unknown. @param where where the command shows its owner */
export function cacheWords(name: string, where = 'Owner'): string | undefined {
  const key = slabCacheKey(name);
  const cache = key === undefined ? undefined : SLAB_CACHES[key];
  if (!cache) return undefined;
  const { subsystem, objects, cause, command } = cache;
  return `${escapeText(name)} (${subsystem}): ${objects}. Usual cause when large: ${cause}. ${where}: ${command}`;
}

/** Columns of a slab cache. */
export const CACHE_COLUMNS: readonly Column<CacheFigures>[] = [
  { heading: 'CACHE', value: ({ name }) => escapeText(name), shrinks: { keeps: 'ends', least: 12 } },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'SLABS', align: 'right', value: ({ slabs }) => formatCount(slabs) },
  { heading: 'OBJECTS', align: 'right', value: ({ used }) => formatCount(used) },
  { heading: 'SLOTS', align: 'right', value: ({ slots }) => formatCount(slots), spare: 1 },
  {
    heading: 'OBJECT SIZE',
    align: 'right',
    value: ({ objectSize }) => (objectSize === null ? '?' : formatCount(objectSize)),
  },
  {
    heading: 'WASTE',
    align: 'right',
    value: ({ bytes, used, objectSize }) =>
      objectSize === null ? '?' : formatSize(Math.max(0, bytes - used * objectSize)),
  },
  { heading: 'RECLAIMABLE', value: ({ reclaimable }) => (reclaimable === null ? '?' : reclaimable ? 'yes' : 'no') },
];

/** Formats vmalloc areas by caller. */
export function callersTable({ callers }: MemoryAnswer, { limit, width }: ListOptions): string {
  const table = renderTable(CALLER_COLUMNS, callers.slice(0, limit), width);
  const names = callers.map(({ caller, bytes }) => ({ name: caller, bytes }));
  return largest('caller', names, width) + more(table, callers.length - limit);
}

/** Columns of a caller. */
export const CALLER_COLUMNS: readonly Column<MemoryAnswer['callers'][number]>[] = [
  {
    heading: 'CALLER',
    value: ({ caller }) => (caller === '' ? '(unknown module)' : escapeText(caller)),
    shrinks: { keeps: 'ends', least: 12 },
  },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'CATEGORY', value: categoryWords },
];

/** Formats zones with watermarks and free blocks by order. */
export function zonesTable(answer: MemoryAnswer, { width }: Pick<ListOptions, 'width'>): string {
  const table = renderTable(zoneColumns(answer), answer.zones, width);
  return `${table}\n\n${wrap(ZONES, width).join('\n')}`;
}

/** Returns the columns of a zone. */
export function zoneColumns(answer: MemoryAnswer): Column<ZoneFigures>[] {
  const { zones } = answer;
  const pageSize = pageSizeOf(answer);
  const size = (pages: number) => formatSize(pages * pageSize);
  const mark = (zone: ZoneFigures, name: 'min' | 'low') =>
    zone.watermarks === null ? '?' : size(zone.watermarks[name]);
  const orders = Math.max(0, ...zones.map(({ freeBlocks }) => freeBlocks.length));
  const byOrder = Array.from(
    { length: orders },
    (_, order): Column<ZoneFigures> => ({
      heading: `${order}`,
      align: 'right',
      value: ({ freeBlocks }) => formatCount(freeBlocks[order] ?? 0),
      // Low orders are the least informative.
      spare: orders - order,
    }),
  );
  return [
    { heading: 'NODE', align: 'right', value: ({ node }) => `${node}` },
    { heading: 'ZONE', value: ({ zone }) => escapeText(zone) },
    { heading: 'PRESENT', align: 'right', value: ({ presentPages }) => size(presentPages) },
    { heading: 'FREE', align: 'right', value: ({ freePages }) => (freePages === null ? '?' : size(freePages)) },
    { heading: 'MIN', align: 'right', value: (zone) => mark(zone, 'min') },
    { heading: 'LOW', align: 'right', value: (zone) => mark(zone, 'low') },
    ...byOrder,
  ];
}

export const ZONES =
  'Numbered columns: free blocks of that order. An order-N allocation needs a free block of order N or higher, and FREE above the MIN watermark. Below LOW, kswapd reclaims.';

/** Common misreadings of these figures, one paragraph each. */
const MISLEADS: Readonly<Record<FigureFormat, readonly string[]>> = {
  free: [
    'shared is part of buff/cache, but cannot be reclaimed without swap.',
    'buff/cache is not all reclaimable: it includes shared memory, mlocked and dirty files.',
    'available is an estimate: it counts page cache and reclaimable slabs as free, less the low watermarks (at most half of each). Slabs with objects in use cannot be freed. Dirty pages must be written first.',
    'used is total - available since procps 4.0.1; before, it was total - free - buff/cache. It includes anonymous memory, kernel memory, and memory without a counter.',
  ],
  meminfo: [
    'Lines overlap and do not add up: Shmem is part of Cached, KernelStack of VmallocUsed, large kmalloc of SUnreclaim.',
    'MemTotal excludes memory reserved at boot: the kernel image, struct pages, the crash kernel.',
    'AnonPages counts mapped pages only. PageTables excludes top-level tables and the kernel’s own.',
    'No line counts sockets, pipes, rings, or pages that drivers allocate directly.',
  ],
};

/** Formats the figures of free(1) or /proc/meminfo, computed from rows of `memory`. */
export function figuresTable({ figures }: MemoryAnswer, { width }: ListOptions): string {
  if (!figures) throw new TypeError('figures that were not requested');
  const paragraph = (text: string) => wrap(text, width).join('\n');
  const table = renderTable<FigureLine>(
    [
      { heading: figures.format.toUpperCase(), value: ({ name }) => name },
      { heading: 'FROM ROWS', align: 'right', value: byRows },
      {
        heading: 'KERNEL COUNTER',
        align: 'right',
        value: ({ kernelBytes }) => (kernelBytes === null ? '?' : formatSize(kernelBytes)),
      },
      { heading: 'DIFFERENCE', align: 'right', value: difference, spare: 1 },
      { heading: 'ROWS', value: rowsCell, shrinks: { keeps: 'start', least: 16 } },
    ],
    figures.lines,
    width,
  );
  const nowhere = figures.onlyInTotal.map((category) => `${categoryWords(category)} ${formatSize(category.bytes)}`);
  return [
    table,
    ...(nowhere.length > 0 ? [paragraph(`Only in the first line: ${nowhere.join(', ')}.`)] : []),
    ...MISLEADS[figures.format].map(paragraph),
  ].join('\n\n');
}

const SIGN = { same: '', 'at-most': '≤ ', 'at-least': '≥ ' } as const;

function byRows({ bytes, bound }: FigureLine): string {
  return bytes === null ? '?' : `${SIGN[bound]}${formatSize(bytes)}`;
}

/**
 * Returns the difference from an equal figure, or the excess over a bound. Counters of a running machine
 * change between reads.
 */
function difference({ bytes, kernelBytes, bound }: FigureLine): string {
  if (bytes === null || kernelBytes === null) return '';
  const by = bytes - kernelBytes;
  if (by === 0 || (bound === 'at-most' && by > 0) || (bound === 'at-least' && by < 0)) return '';
  return `${by > 0 ? '+' : '-'}${formatSize(Math.abs(by))}`;
}

function rowsCell({ name, rows }: FigureLine): string {
  if (rows.length > 0) return rows.map((category) => categoryWords({ category })).join(' + ');
  return OTHERS[name] ?? '';
}

/** Lines computed from other lines. */
const OTHERS: Readonly<Record<string, string>> = {
  total: 'all rows less memory reserved at boot',
  MemTotal: 'all rows less memory reserved at boot',
  'used (procps 4)': 'total - available',
  'used (before)': 'total - free - buff/cache',
};

const HUGE_COLUMNS: readonly Column<HugePages['owners'][number]>[] = [
  { heading: 'PID', align: 'right', value: ({ pid }) => `${pid ?? ''}` },
  { heading: 'COMMAND', value: ({ comm }) => (comm === null ? '(unknown)' : escapeText(comm)) },
  { heading: 'HUGE PAGES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'ZERO', align: 'right', value: ({ zeroBytes }) => formatSize(zeroBytes) },
  {
    heading: 'NOT READABLE',
    align: 'right',
    value: ({ unreadBytes }) => (unreadBytes === 0 ? '' : formatSize(unreadBytes)),
    spare: 1,
  },
];

/** Formats processes by zeros in their transparent huge pages. */
export function hugePagesTable({ hugePages }: MemoryAnswer, { limit, width }: ListOptions): string {
  if (!hugePages) return 'Unknown: the huge pages could not be found.';
  const { bytes, zeroBytes, unreadBytes, owners } = hugePages;
  if (bytes === 0) return 'No anonymous memory is in transparent huge pages.';
  const least = unreadBytes > 0 ? 'At least ' : '';
  const unread = unreadBytes > 0 ? ` ${formatSize(unreadBytes)} is not readable, and may be zero, too.` : '';
  const [most] = owners;
  const whose = most && most.zeroBytes > 0 ? `, ${formatSize(most.zeroBytes)} of that in ${ownerWords(most)}` : '';
  const words = `${least}${formatSize(zeroBytes)} of ${formatSize(bytes)} in transparent huge pages is zero${whose}.${unread}`;
  const table = more(renderTable(HUGE_COLUMNS, owners.slice(0, limit), width), owners.length - limit);
  return [wrap(words, width).join('\n'), table, wrap(HUGE_LEGEND, width).join('\n')].join('\n\n');
}

function ownerWords({ pid, comm }: HugePages['owners'][number]): string {
  const name = comm === null ? 'processes that are unknown' : escapeText(comm);
  return pid === null ? name : `pid ${pid} (${name})`;
}

const HUGE_LEGEND =
  'ZERO: base pages that contain only zeros. The process may have written these zeros, or only other parts of the huge page.';
