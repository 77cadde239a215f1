import type { ReadErrorCode } from '../kernel/error.js';
import type { MemoryHole } from '../walk/memory-pieces.js';

const WORDS: Record<ReadErrorCode, string> = {
  filtered: 'left out of the dump by its filter',
  absent: 'not in the dump',
  unmapped: 'not mapped',
  damaged: 'in a page that cannot be decoded',
  truncated: 'behind the end of the file',
  refused: 'not readable',
};

/** `4096 bytes left out of the dump by its filter` */
export function holeWords({ length, code }: Pick<MemoryHole, 'length' | 'code'>): string {
  return `${length} ${length === 1 ? 'byte' : 'bytes'} ${WORDS[code]}`;
}

/** Holes that zeros may stand for when they are asked for: what the dump does not hold. */
export function mayBeZero({ code }: Pick<MemoryHole, 'code'>): boolean {
  return code === 'filtered' || code === 'absent';
}
