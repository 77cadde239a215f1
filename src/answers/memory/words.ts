import type { MemoryAnswer, MemorySource } from '../../account/memory/answer.js';
import type { Category, Owner } from '../../account/memory/tree.js';
import { escapeText } from '../../base/escape.js';
import { formatCount, formatSize } from '../../base/size.js';
import { captureWords } from '../origin.js';

export function ownerWords({ kind, name, pid, files = 1, processes = 1, comm = '' }: Owner): string {
  const more = files > 1 ? ` and ${files - 1} more` : '';
  if (processes > 1)
    return `${escapeText(name)}${more} (${formatCount(processes)} processes named ${escapeText(comm)})`;
  if (kind === 'file')
    return pid === undefined ? `file ${escapeText(name)}${more}` : `${escapeText(name)}${more} (pid ${pid})`;
  if (kind === 'tmpfs') return `${escapeText(name)}${pid === undefined ? '' : ` (mount namespace of pid ${pid})`}`;
  if (kind === 'mapping') return `${escapeText(name)}${more} (pid ${pid})`;
  if (kind === 'segment') return `${escapeText(name)} (created by pid ${pid})`;
  // It allocates a pointer for each word of a chunk: memory beside the chunks, which are per-CPU memory.
  if (name === 'pcpu_create_chunk') return `${name} (bookkeeping of per-CPU memory)`;
  return pid === undefined ? escapeText(name) : `pid ${pid} (${escapeText(name)})`;
}

/** Formats a percentage, with a decimal below 1. Both are bytes, or both are page frames. */
export function share(part: number, whole: number): string {
  const percent = (100 * part) / whole;
  return `${percent > 0 && percent < 0.95 ? percent.toFixed(1) : Math.round(percent)} %`;
}

/** Names of the sources of a running kernel; a dump is not mentioned. */
const SOURCE_WORDS: Readonly<Record<Exclude<MemorySource, 'vmcore'>, string>> = {
  kcore: 'kernel memory (/proc/kcore)',
  pageflags: 'page flags (/proc/kpageflags)',
  counters: 'counters in /proc only',
};

/** Returns the source of an answer, and why more detailed sources are not available. */
export function sourceText({ source, captured, unavailable }: MemoryAnswer): string {
  if (source === 'vmcore') return '';
  if (captured) return ` Source: ${SOURCE_WORDS[source]}, ${captureWords(captured)}.`;
  const parts = [SOURCE_WORDS[source], ...unavailable.map(({ why }) => escapeText(why))];
  return ` Source: ${parts.join('; ')}.`;
}

/** Returns `pid 7 (a) 5.00 MiB`, or `≤ 5.00 MiB`. */
export function ownerAmount(answer: MemoryAnswer, category: Category, owner: Owner): string {
  return `${ownerWords(owner)} ${isUpperBound(answer, category) ? '≤ ' : ''}${formatSize(owner.bytes)}`;
}

/** Whether owners of a category have at most what is printed: RssAnon counts pages that a fork shares for each process. */
export function isUpperBound(answer: MemoryAnswer, { category }: Category): boolean {
  return category === 'anonymous' && isFromProc(answer);
}

/** Whether the answer is from /proc, which lacks the data that most other commands require. */
export function isFromProc({ source }: MemoryAnswer): boolean {
  return source === 'pageflags' || source === 'counters';
}
