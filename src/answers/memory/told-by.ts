import type { MemoryAnswer, MemorySource } from '../../account/memory/answer.js';
import { capturedWords } from '../captured.js';
import { escapeText } from '../text/escape.js';

/** What tells of a running kernel, in words; of a dump nothing has to be said. */
const WORDS: Readonly<Record<Exclude<MemorySource, 'vmcore'>, string>> = {
  kcore: 'the kernel’s memory (/proc/kcore)',
  pageflags: 'flags of page frames (/proc/kpageflags)',
  counters: 'counters of /proc alone',
};

/** Which source an answer of a running kernel is from, and why those that tell more could not be had. */
export function toldBy({ source, captured, unavailable = [] }: MemoryAnswer): string {
  if (source === 'vmcore') return '';
  if (captured) return ` Told by ${WORDS[source]}, ${capturedWords(captured)}.`;
  const whys = unavailable.map(({ why }) => escapeText(why));
  return ` Told by ${WORDS[source]}${whys.length === 0 ? '' : `: ${whys.join('; ')}`}.`;
}

/** Whether lists of /proc tell it: commands that go deeper then ask what is not there. */
export function isOfProc({ source }: MemoryAnswer): boolean {
  return source === 'pageflags' || source === 'counters';
}
