import type { MemoryAnswer, MemorySource } from '../../account/memory/answer.js';
import { capturedWords } from '../captured.js';
import { escapeText } from '../text/escape.js';

/** Sources of a running kernel; a dump needs no mention. */
const WORDS: Readonly<Record<Exclude<MemorySource, 'vmcore'>, string>> = {
  kcore: 'kernel memory (/proc/kcore)',
  pageflags: 'page flags (/proc/kpageflags)',
  counters: 'counters in /proc only',
};

/** The source of an answer, and why more detailed sources are not available. */
export function sourceText({ source, captured, unavailable = [] }: MemoryAnswer): string {
  if (source === 'vmcore') return '';
  if (captured) return ` Source: ${WORDS[source]}, ${capturedWords(captured)}.`;
  const parts = [WORDS[source], ...unavailable.map(({ why }) => escapeText(why))];
  return ` Source: ${parts.join('; ')}.`;
}

/** Whether the answer is from /proc, which lacks what most other commands read. */
export function isFromProc({ source }: MemoryAnswer): boolean {
  return source === 'pageflags' || source === 'counters';
}
