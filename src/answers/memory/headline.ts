import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { Category } from '../../account/memory/category.js';
import { DEPENDS_ON_FREE } from '../../account/memory/free-conflict.js';
import { leaves } from '../../account/memory/leaves.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { toldBy } from './told-by.js';
import { categoryWords, ownerWords } from './words.js';

/** How much memory there is, in whose hands, and the one thing that stands out. */
export function headline(answer: MemoryAnswer): string {
  const size = (name: Category['category']) => formatSize(group(answer, name)?.bytes ?? 0);
  const unread = group(answer, 'unknown')?.bytes ?? 0;
  const parts = [
    `${size('free')} free`,
    `${size('applications')} in applications`,
    `${size('kernel')} in the kernel`,
    `${size('reserved')} set aside at boot`,
    ...(unread > 0 ? [`${formatSize(unread)} not known`] : []),
  ];
  return `${conflictWords(answer)}${formatSize(answer.memory.bytes)}: ${parts.join(', ')}. ${standsOut(answer)}${toldBy(answer)}`;
}

/** The contradiction that makes free and unattributed memory unknown; nothing without one. */
function conflictWords({ freeConflict }: MemoryAnswer): string {
  if (!freeConflict) return '';
  const { foundBy, foundBytes, countedBytes } = freeConflict;
  const found = foundBy === 'counters' ? 'zones count' : 'page flags show';
  const sizes = `${found} ${formatSize(foundBytes)}, MemFree counts ${formatSize(countedBytes)}`;
  return `Free memory is contradictory: ${sizes}. Free and unattributed memory below are not reliable. `;
}

/** A socket is named from this part of the memory on. */
export const NOTABLE = 0.05;

function standsOut(answer: MemoryAnswer): string {
  const { memory, census } = answer;
  const top = census?.sockets[0];
  const queues = leaves(memory).find(({ category }) => category === 'network-sockets');
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
    ({ category }) =>
      !category.startsWith('free') &&
      !QUIET.has(category) &&
      !(answer.freeConflict && DEPENDS_ON_FREE.has(category)),
  );
  const [largest] = held.toSorted((a, b) => b.frames - a.frames);
  if (!largest || largest.frames === 0) return '';
  const [owner] = largest.owners;
  const most = owner === undefined ? '' : `, ${formatSize(owner.bytes)} of it ${ownerWords(owner)}`;
  return `The most is in one category: ${categoryWords(largest)}, ${formatSize(largest.bytes)}${most}.`;
}

function group({ memory }: MemoryAnswer, name: Category['category']): Category | undefined {
  return memory.children.find(({ category }) => category === name);
}

/** Of a size that the machine has, whatever runs on it. */
export const QUIET: ReadonlySet<Category['category']> = new Set<Category['category']>([
  'image',
  'memmap',
  'set-aside',
  'crash-kernel',
]);
