import type { MemoryAnswer } from '../../account/memory/answer.js';
import { leaves } from '../../account/memory/leaves.js';
import { pageSizeOf } from '../../account/memory/page-size.js';
import { grouped } from '../../base/grouped.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { NOTABLE, QUIET } from './headline.js';
import { categoryWords } from './words.js';

/** Rows that one fault spoils stand together. */
export function missedWords({ memory }: MemoryAnswer): string[] {
  const spoiled = leaves(memory).filter(({ why }) => why !== undefined);
  return [...grouped(spoiled, ({ why = '' }) => why)].map(
    ([why, categories]) =>
      `Not whole: ${categories.map(categoryWords).join(', ')}: ${escapeText(why)}`,
  );
}

function unattributed({ memory }: MemoryAnswer): number {
  return leaves(memory).find(({ category }) => category === 'unattributed')?.frames ?? 0;
}

/** Blocks that nothing explains, by size; where they lie; and what is known of them all the same. */
export function looseWords(answer: MemoryAnswer): string[] {
  const { loose } = answer;
  if (!loose || unattributed(answer) === 0) return [];
  const { sizes, zones, charged, largeKmallocs } = loose;
  const pageSize = pageSizeOf(answer);
  const blocks = sizes.map(({ order, blocks: many }) => `${formatCount(many)} of order ${order}`);
  const where = zones.map(
    ({ zone, frames }) => `${formatSize(frames * pageSize)} in ${escapeText(zone)}`,
  );
  const paid = charged === 0 ? 'none' : formatSize(charged * pageSize);
  const large =
    largeKmallocs === undefined || largeKmallocs <= 0
      ? ''
      : ` The kernel counts ${formatSize(largeKmallocs * pageSize)} of large kmallocs, whose pages do not say so: what of them is in no category above is among these.`;
  return [
    `What nothing explains: blocks ${blocks.join(', ')}; ${where.join(', ')}; ${paid} of it charged to cgroups.${large}`,
  ];
}

/** What is in queues of sockets and in other categories. */
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
    `Queues of sockets hold more than their category: ${words.join(', ')}; and ${formatSize(slots)} of slots in slabs.`,
  ];
}

/**
 * The command that reports more where no kernel memory is read: the lists behind the largest category, or who holds
 * what no page flag and no counter attributes.
 */
export function nextOfProc(
  { memory, captured, freeConflict, source }: MemoryAnswer,
  from: string,
): string {
  if (freeConflict && source === 'pageflags') return 'kdump-mem memory --live --source counters';
  const [largest] = leaves(memory)
    .filter(({ category }) => !category.startsWith('free') && !QUIET.has(category))
    .toSorted((a, b) => b.frames - a.frames);
  if (largest?.deeper !== undefined) return `kdump-mem ${largest.deeper} ${from}`;
  const isOfProcesses = ['anonymous', 'shared'].includes(largest?.category ?? '');
  return isOfProcesses ? `kdump-mem procs ${from}` : `skcheck ${captured ? from : '--stale'}`;
}

/** The command that tells more of what stands out, without the dump’s name. */
export function nextCommand(answer: MemoryAnswer): string {
  const deeper = leaves(answer.memory)
    .filter((category) => category.deeper !== undefined && !QUIET.has(category.category))
    .toSorted((a, b) => b.frames - a.frames);
  const queues = deeper.find(({ category }) => category === 'network-sockets');
  if (queues && queues.bytes >= NOTABLE * answer.memory.bytes) return 'sockets --by process';
  return deeper[0]?.deeper ?? 'sockets --by process';
}
