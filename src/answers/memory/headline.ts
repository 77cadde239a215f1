import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { Category } from '../../account/memory/category.js';
import { DEPENDS_ON_FREE } from '../../account/memory/free-conflict.js';
import { leaves } from '../../account/memory/leaves.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { sourceText } from './source-words.js';
import { categoryWords, ownerWords } from './words.js';

/** Total memory, its groups, and the largest consumer. */
export function headline(answer: MemoryAnswer): string {
  const size = (name: Category['category']) => formatSize(group(answer, name)?.bytes ?? 0);
  const unread = group(answer, 'unknown')?.bytes ?? 0;
  const parts = [
    `${size('free')} free`,
    `${size('applications-and-files')} applications and files`,
    `${size('kernel')} kernel`,
    `${size('reserved')} reserved at boot`,
    ...(unread > 0 ? [`${formatSize(unread)} unknown`] : []),
  ];
  return `${conflictWords(answer)}${formatSize(answer.memory.bytes)}: ${parts.join(', ')}. ${standsOut(answer)}${sourceText(answer)}`;
}

/** The contradiction that makes free and unattributed memory unknown; nothing without one. */
function conflictWords({ freeConflict }: MemoryAnswer): string {
  if (!freeConflict) return '';
  const { foundBy, foundBytes, countedBytes } = freeConflict;
  const found = foundBy === 'counters' ? 'zones count' : 'page flags show';
  const sizes = `${found} ${formatSize(foundBytes)}, MemFree counts ${formatSize(countedBytes)}`;
  return `Free memory is contradictory: ${sizes}. Do not rely on free and unattributed memory below. `;
}

/** Share of memory from which sockets, or unattributed memory, are notable. */
export const NOTABLE = 0.05;

function standsOut(answer: MemoryAnswer): string {
  const { memory, census } = answer;
  const top = census?.sockets[0];
  const queues = leaves(memory).find(({ category }) => category === 'network-sockets');
  if (top && queues && queues.bytes >= NOTABLE * memory.bytes) {
    const { pinnedBytes } = top.total;
    const holder = top.holders[0];
    if (pinnedBytes >= queues.bytes / 2 && holder !== undefined)
      return `One socket pins ${formatSize(pinnedBytes)}: pid ${holder.pid} (${escapeText(holder.comm)}), fd ${holder.fd}.`;
    const [process] = queues.owners;
    const most = process === undefined ? '' : `; largest owner: ${ownerWords(process)}`;
    return `Socket queues hold ${formatSize(queues.bytes)}${most}.`;
  }
  const held = leaves(memory).filter(
    ({ category }) =>
      !category.startsWith('free') &&
      !QUIET.has(category) &&
      !(answer.freeConflict && DEPENDS_ON_FREE.has(category)),
  );
  const [largest] = held.toSorted((a, b) => b.frames - a.frames);
  if (!largest || largest.frames === 0) return '';
  if (largest.category === 'unattributed')
    return `${formatSize(largest.bytes)} is allocated but not attributed to any owner.`;
  const [owner] = largest.owners;
  const most =
    owner === undefined ? '' : `, ${formatSize(owner.bytes)} of it in ${ownerWords(owner)}`;
  return `Largest category: ${categoryWords(largest)}, ${formatSize(largest.bytes)}${most}.`;
}

function group({ memory }: MemoryAnswer, name: Category['category']): Category | undefined {
  return memory.children.find(({ category }) => category === name);
}

/** Categories whose size depends on the machine, not on its load. */
export const QUIET: ReadonlySet<Category['category']> = new Set<Category['category']>([
  'image',
  'memmap',
  'reserved-other',
  'crash-kernel',
]);
