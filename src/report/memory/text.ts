import type { Drawer, Loose, MemoryAnswer, Owner } from '../../account/memory/answer.js';
import { pageSizeOf } from '../../account/memory/page-size.js';
import type { Zone } from '../../walk/memory/zones.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import { drawerWords } from './words.js';

export interface MemoryTextOptions {
  /** Say what the kernel's own counters say, and how each row is known. */
  readonly verbose?: boolean | undefined;
  /** Show slab caches, who asked for vmalloc's memory, or zones, in place of drawers. */
  readonly depth?: 'caches' | 'vmalloc' | 'nodes' | undefined;
  readonly limit: number;
  /** The options that name the dump, for the commands that go deeper; a line of shell words. */
  readonly source: string;
  /** Columns of the terminal; null: there is none, and nothing is cut or broken. */
  readonly width?: number | null;
}

/** The answer to `memory`: how much, in whose hands, what stands out; then a tree, and what to ask next. */
export function memoryText(answer: MemoryAnswer, options: MemoryTextOptions): string {
  const { depth, limit, source, verbose = false, width = null } = options;
  if (depth === 'caches') return cachesTable(answer, limit, width);
  if (depth === 'vmalloc') return callersTable(answer, limit, width);
  if (depth === 'nodes') return zonesTable(answer, width);
  const said = (text: string) => wrap(text, width).join('\n');
  const rows = [...treeRows(answer.memory)].filter(
    // No row for each of the many that no counter tells of.
    ({ drawer }) => drawer.frames > 0 || answer.source !== 'counters',
  );
  const empty = leaves(answer.memory).filter(({ frames, complete }) => frames === 0 && complete);
  return [
    said(headline(answer)),
    renderTable(columns(answer, verbose), rows, width),
    ...missedWords(answer).map(said),
    ...(answer.loose && unexplained(answer) > 0
      ? [said(looseWords(answer.loose, pageSizeOf(answer)))]
      : []),
    ...elsewhereWords(answer).map(said),
    ...(verbose && empty.length > 0
      ? [said(`Nothing in: ${empty.map(drawerWords).join(', ')}.`)]
      : []),
    answer.source === 'counters'
      ? 'Next: skcheck --stale'
      : `Next: kdump-mem ${nextCommand(answer)} ${source}`,
  ].join('\n\n');
}

/** Rows that one fault spoils stand together. */
function missedWords({ memory }: MemoryAnswer): string[] {
  const byReason = new Map<string, Drawer[]>();
  for (const drawer of leaves(memory)) {
    if (drawer.why === undefined) continue;
    byReason.set(drawer.why, [...(byReason.get(drawer.why) ?? []), drawer]);
  }
  return [...byReason].map(
    ([why, drawers]) => `Not whole: ${drawers.map(drawerWords).join(', ')}: ${escapeText(why)}`,
  );
}

interface TreeRow {
  readonly drawer: Drawer;
  readonly depth: number;
}

function* treeRows({ children }: Drawer, depth = 0): Generator<TreeRow> {
  // Free memory first, then by size, what nothing explains where it belongs by that.
  const shown = children.filter(({ frames, complete }) => frames > 0 || !complete);
  const sorted = depth === 0 ? shown : shown.toSorted((a, b) => b.frames - a.frames);
  for (const drawer of sorted) {
    yield { drawer, depth };
    yield* treeRows(drawer, depth + 1);
  }
}

function leaves(drawer: Drawer): Drawer[] {
  return drawer.children.length === 0 ? [drawer] : drawer.children.flatMap(leaves);
}

function columns({ memory }: MemoryAnswer, verbose: boolean): Column<TreeRow>[] {
  const counted: Column<TreeRow>[] = [
    {
      heading: 'KERNEL COUNTS',
      align: 'right',
      value: ({ drawer }) =>
        drawer.counterBytes === null ? '' : counterCell(drawer.bytes, drawer.counterBytes),
    },
    {
      heading: 'KNOWN BY',
      value: ({ drawer }) => (drawer.children.length > 0 ? '' : drawer.known),
    },
  ];
  return [
    {
      heading: 'WHERE',
      value: ({ drawer, depth }) => `${'  '.repeat(depth)}${drawerWords(drawer)}`,
    },
    {
      heading: 'BYTES',
      align: 'right',
      value: ({ drawer }) => `${drawer.complete ? '' : '≥ '}${formatSize(drawer.bytes)}`,
    },
    {
      heading: 'SHARE',
      align: 'right',
      value: ({ drawer }) => share(drawer.frames, memory.frames),
    },
    ...(verbose ? counted : []),
    {
      heading: 'WHO',
      value: ({ drawer }) => ownersCell(drawer.owners),
      shrinks: { keeps: 'start', least: 12 },
    },
  ];
}

function counterCell(bytes: number, counted: number): string {
  return counted === bytes ? 'the same' : formatSize(counted);
}

function share(frames: number, all: number): string {
  const percent = (100 * frames) / all;
  return `${percent > 0 && percent < 0.95 ? percent.toFixed(1) : Math.round(percent)} %`;
}

const SHOWN_OWNERS = 3;

function ownersCell(owners: readonly Owner[]): string {
  const words = owners.slice(0, SHOWN_OWNERS).map((owner) => {
    return `${ownerWords(owner)} ${formatSize(owner.bytes)}`;
  });
  return [...words, ...(owners.length > SHOWN_OWNERS ? ['…'] : [])].join(', ');
}

function ownerWords({ name, pid }: Owner): string {
  return pid === undefined ? escapeText(name) : `pid ${pid} (${escapeText(name)})`;
}

function group({ memory }: MemoryAnswer, name: Drawer['drawer']): Drawer | undefined {
  return memory.children.find(({ drawer }) => drawer === name);
}

function unexplained({ memory }: MemoryAnswer): number {
  return leaves(memory).find(({ drawer }) => drawer === 'unexplained')?.frames ?? 0;
}

function headline(answer: MemoryAnswer): string {
  const size = (name: Drawer['drawer']) => formatSize(group(answer, name)?.bytes ?? 0);
  const unread = group(answer, 'unknown')?.bytes ?? 0;
  const parts = [
    `${size('free')} free`,
    `${size('applications')} in applications`,
    `${size('kernel')} in the kernel`,
    `${size('reserved')} set aside at boot`,
    ...(unread > 0 ? [`${formatSize(unread)} not known`] : []),
  ];
  const told = answer.source === 'counters' ? ' Told by counters of /proc alone.' : '';
  return `${formatSize(answer.memory.bytes)}: ${parts.join(', ')}. ${standsOut(answer)}${told}`;
}

/** A socket is named from this part of the memory on. */
const NOTABLE = 0.05;

function standsOut(answer: MemoryAnswer): string {
  const { memory, census } = answer;
  const top = census?.sockets[0];
  const queues = leaves(memory).find(({ drawer }) => drawer === 'network-sockets');
  if (top && queues && queues.bytes >= NOTABLE * memory.bytes) {
    const { pinnedBytes } = top.total;
    const holder = top.holders[0];
    const who = holder
      ? `pid ${holder.pid} (${escapeText(holder.comm)}) fd ${holder.fd}`
      : undefined;
    if (pinnedBytes >= queues.bytes / 2 && who !== undefined)
      return `${formatSize(pinnedBytes)} wait in one socket: ${who}.`;
    const [process] = queues.owners;
    const most = process === undefined ? '' : `; most at ${ownerWords(process)}`;
    return `${formatSize(queues.bytes)} wait in queues of sockets${most}.`;
  }
  const held = leaves(memory).filter(
    ({ drawer }) => !drawer.startsWith('free') && !QUIET.has(drawer),
  );
  const [largest] = held.toSorted((a, b) => b.frames - a.frames);
  if (!largest || largest.frames === 0) return '';
  const [owner] = largest.owners;
  const most = owner === undefined ? '' : `, ${formatSize(owner.bytes)} of it ${ownerWords(owner)}`;
  return `The most is in one drawer: ${drawerWords(largest)}, ${formatSize(largest.bytes)}${most}.`;
}

/** Of a size that the machine has, whatever runs on it. */
const QUIET: ReadonlySet<Drawer['drawer']> = new Set([
  ...(['image', 'memmap', 'set-aside', 'crash-kernel'] as const),
]);

/** Blocks that nothing explains, by size; where they lie; and what is known of them all the same. */
function looseWords({ sizes, zones, charged, largeKmallocs }: Loose, pageSize: number): string {
  const blocks = sizes.map(({ order, blocks: many }) => `${formatCount(many)} of order ${order}`);
  const where = zones.map(({ zone, frames }) => `${formatSize(frames * pageSize)} in ${zone}`);
  const paid = charged === 0 ? 'none' : formatSize(charged * pageSize);
  const large =
    largeKmallocs === undefined || largeKmallocs <= 0
      ? ''
      : ` The kernel counts ${formatSize(largeKmallocs * pageSize)} of large kmallocs, whose pages do not say so: what of them is in no drawer above is among these.`;
  return `What nothing explains: blocks ${blocks.join(', ')}; ${where.join(', ')}; ${paid} of it charged to cgroups.${large}`;
}

function elsewhereWords(answer: MemoryAnswer): string[] {
  const queues = leaves(answer.memory).find(({ drawer }) => drawer === 'network-sockets');
  const others = (queues?.elsewhere ?? []).filter(({ drawer }) => !drawer.startsWith('free'));
  if (others.length === 0) return [];
  const pageSize = pageSizeOf(answer);
  const words = others.map(
    ({ drawer, frames }) => `${formatSize(frames * pageSize)} in “${drawerWords({ drawer })}”`,
  );
  const slots = answer.census?.total.slabBytes ?? 0;
  return [
    `Queues of sockets hold more than their drawer: ${words.join(', ')}; and ${formatSize(slots)} of slots in slabs.`,
  ];
}

function nextCommand(answer: MemoryAnswer): string {
  const deeper = leaves(answer.memory)
    .filter((drawer) => drawer.deeper !== undefined && !QUIET.has(drawer.drawer))
    .toSorted((a, b) => b.frames - a.frames);
  const queues = deeper.find(({ drawer }) => drawer === 'network-sockets');
  if (queues && queues.bytes >= NOTABLE * answer.memory.bytes) return 'sockets --by process';
  return deeper[0]?.deeper ?? 'sockets --by process';
}

function cachesTable({ caches }: MemoryAnswer, limit: number, width: number | null): string {
  const table = renderTable(
    [
      { heading: 'CACHE', value: ({ name }) => escapeText(name) },
      { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
      { heading: 'SLABS', align: 'right', value: ({ slabs }) => formatCount(slabs) },
      { heading: 'OBJECTS', align: 'right', value: ({ used }) => formatCount(used) },
      { heading: 'SLOTS', align: 'right', value: ({ slots }) => formatCount(slots) },
      {
        heading: 'SIZE',
        align: 'right',
        value: ({ objectSize }) => (objectSize === null ? '?' : formatCount(objectSize)),
      },
      {
        heading: 'WASTE',
        align: 'right',
        value: ({ bytes, used, objectSize }) =>
          objectSize === null ? '?' : formatSize(Math.max(0, bytes - used * objectSize)),
      },
      { heading: 'RECLAIMABLE', value: ({ reclaimable }) => (reclaimable ? 'yes' : '') },
    ],
    caches.slice(0, limit),
    width,
  );
  return more(table, caches.length - limit);
}

function callersTable({ callers }: MemoryAnswer, limit: number, width: number | null): string {
  const table = renderTable(
    [
      {
        heading: 'CALLER',
        value: ({ name }) => (name === '' ? '(in a module)' : escapeText(name)),
      },
      { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
      { heading: 'DRAWER', value: (caller) => drawerWords(caller) },
    ],
    callers.slice(0, limit),
    width,
  );
  return more(table, callers.length - limit);
}

function more(table: string, left: number): string {
  return left > 0 ? `${table}\n\n${formatCount(left)} more: --limit N lists them` : table;
}

/** Zones, and why an allocation of some order may fail in one: no block of it or a larger one is free. */
function zonesTable(answer: MemoryAnswer, width: number | null): string {
  const { zones } = answer;
  const pageSize = pageSizeOf(answer);
  const size = (pages: number) => formatSize(pages * pageSize);
  const free = ({ freeBlocks }: Zone) =>
    freeBlocks.reduce((sum, blocks, order) => sum + blocks * 2 ** order, 0);
  const mark = (zone: Zone, name: 'min' | 'low') =>
    zone.watermarks === null ? '?' : size(zone.watermarks[name]);
  const orders = Math.max(0, ...zones.map(({ freeBlocks }) => freeBlocks.length));
  const byOrder = Array.from(
    { length: orders },
    (_, order): Column<Zone> => ({
      heading: `${order}`,
      align: 'right',
      value: ({ freeBlocks }) => formatCount(freeBlocks[order] ?? 0),
      // Small blocks say least.
      spare: orders - order,
    }),
  );
  const table = renderTable<Zone>(
    [
      { heading: 'NODE', align: 'right', value: ({ nodeId }) => `${nodeId}` },
      { heading: 'ZONE', value: ({ name }) => escapeText(name) },
      { heading: 'PRESENT', align: 'right', value: ({ present }) => size(present) },
      { heading: 'FREE', align: 'right', value: (zone) => size(free(zone)) },
      { heading: 'MIN', align: 'right', value: (zone) => mark(zone, 'min') },
      { heading: 'LOW', align: 'right', value: (zone) => mark(zone, 'low') },
      ...byOrder,
    ],
    zones,
    width,
  );
  return `${table}\n\n${wrap(ZONES, width).join('\n')}`;
}

const ZONES =
  'Numbers are free blocks of each order. An allocation of order N needs a free block of order N or more, and FREE above MIN; below LOW kswapd works.';
