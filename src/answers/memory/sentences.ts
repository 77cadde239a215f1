import type { LooseSize, MemoryAnswer } from '../../account/memory/answer.js';
import type { Category } from '../../account/memory/category.js';
import { leaves } from '../../account/memory/leaves.js';
import { pageSizeOf } from '../../account/memory/page-size.js';
import { grouped } from '../../base/grouped.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { NOTABLE, QUIET } from './headline.js';
import { isFromProc } from './source-words.js';
import { categoryWords } from './words.js';

/**
 * Incomplete categories by reason.
 *
 * @param verbose give the reason for each category that /proc cannot identify, too
 */
export function incompleteWords(answer: MemoryAnswer, verbose: boolean): string[] {
  const incomplete = leaves(answer.memory).filter(({ why }) => why !== undefined);
  const isBrief = ({ frames }: Category) => !verbose && isFromProc(answer) && frames === 0;
  const names = (categories: readonly Category[]) => categories.map(categoryWords).join(', ');
  const brief = incomplete.filter(isBrief);
  const detailed = incomplete.filter((category) => !isBrief(category));
  return [
    ...[...grouped(detailed, ({ why = '' }) => why)].map(
      ([why, categories]) => `Incomplete (${escapeText(why)}): ${names(categories)}.`,
    ),
    ...(brief.length > 0
      ? [
          `Not identified by this source, and counted in other rows: ${names(brief)}. -v gives the reasons.`,
        ]
      : []),
  ];
}

function unattributed({ memory }: MemoryAnswer): number {
  return leaves(memory).find(({ category }) => category === 'unattributed')?.frames ?? 0;
}

/** Whether unattributed memory is large enough to describe without -v. */
export function isNotable(answer: MemoryAnswer): boolean {
  return unattributed(answer) >= NOTABLE * answer.memory.frames;
}

/** `88 order-0 blocks (352 KiB)` for each size. */
export function blocksWords(sizes: readonly LooseSize[], pageSize: number): string {
  return sizes
    .map(({ order, blocks, frames }) => {
      const noun = blocks === 1 ? 'block' : 'blocks';
      return `${formatCount(blocks)} order-${order} ${noun} (${formatSize(frames * pageSize)})`;
    })
    .join(', ');
}

/** Unattributed blocks by size, zone and cgroup charge. */
export function looseWords(answer: MemoryAnswer): string[] {
  const { loose } = answer;
  if (!loose || unattributed(answer) === 0) return [];
  const { sizes, zones, charged, largeKmallocs } = loose;
  const pageSize = pageSizeOf(answer);
  const where = zones.map(
    ({ zone, frames }) => `${formatSize(frames * pageSize)} in ${escapeText(zone)}`,
  );
  const paid = charged === 0 ? 'none' : formatSize(charged * pageSize);
  const large =
    largeKmallocs === undefined || largeKmallocs <= 0
      ? ''
      : ` The kernel counts ${formatSize(largeKmallocs * pageSize)} of large kmalloc but does not mark the pages; those not in another category are included here.`;
  return [
    `Unattributed: ${blocksWords(sizes, pageSize)}. Zones: ${where.join(', ')}. Charged to cgroups: ${paid}.${large}`,
  ];
}

/** Memory of socket queues that other categories contain. */
export function elsewhereWords(answer: MemoryAnswer): string[] {
  const queues = leaves(answer.memory).find(({ category }) => category === 'network-sockets');
  const others = (queues?.elsewhere ?? []).filter(({ category }) => !category.startsWith('free'));
  if (others.length === 0) return [];
  const pageSize = pageSizeOf(answer);
  const words = others.map(
    ({ category, frames }) =>
      `${formatSize(frames * pageSize)} in “${categoryWords({ category })}”`,
  );
  const slots = answer.census?.total.slabBytes ?? 0;
  return [
    `Socket queues also hold ${[...words, `${formatSize(slots)} of slab objects`].join(', ')}.`,
  ];
}

/**
 * The next command where no kernel memory is read: the lists behind the largest category, or sockets, which
 * neither page flags nor counters attribute.
 */
export function nextOfProc(
  { memory, captured, freeConflict, source }: MemoryAnswer,
  from: string,
): string {
  if (freeConflict && source === 'pageflags') return 'kdump-mem memory --live --source counters';
  const [largest] = leaves(memory)
    .filter(({ category }) => !category.startsWith('free') && !QUIET.has(category))
    .toSorted((a, b) => b.frames - a.frames);
  if (largest?.next !== undefined) return `kdump-mem ${largest.next} ${from}`;
  const isFromProcesses = ['anonymous', 'shared'].includes(largest?.category ?? '');
  return isFromProcesses ? `kdump-mem procs ${from}` : `skcheck ${captured ? from : '--stale'}`;
}

/** The command that details the largest category, without the options that name the dump. */
export function nextCommand(answer: MemoryAnswer): string {
  const deeper = leaves(answer.memory)
    .filter((category) => category.next !== undefined && !QUIET.has(category.category))
    .toSorted((a, b) => b.frames - a.frames);
  const queues = deeper.find(({ category }) => category === 'network-sockets');
  if (queues && queues.bytes >= NOTABLE * answer.memory.bytes) return 'sockets --by process';
  return deeper[0]?.next ?? 'sockets --by process';
}
