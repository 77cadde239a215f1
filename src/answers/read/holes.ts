import type { ReadErrorCode } from '../../base/errors/kernel.js';
import type { MemoryHole } from '../../walk/pages/memory-pieces.js';

type Hole = Pick<MemoryHole, 'length' | 'code' | 'behindTable'>;

const WORDS: Record<ReadErrorCode, string> = {
  filtered: 'filtered out of the dump',
  absent: 'not in the dump',
  unmapped: 'not mapped',
  damaged: 'in a damaged page of the dump',
  truncated: 'past the end of the file',
  refused: 'not readable',
};

/** `4096 bytes filtered out of the dump` */
export function holeWords({ length, code, behindTable }: Hole): string {
  const table = behindTable ? 'reached by a page table ' : '';
  return `${length} ${length === 1 ? 'byte' : 'bytes'} ${table}${WORDS[code]}`;
}

/**
 * Holes that zeros may stand for when they are asked for: what the dump does not hold, and not what
 * it may hold where nothing leads to it.
 */
export function mayBeZero({ code, behindTable }: Omit<Hole, 'length'>): boolean {
  return (code === 'filtered' || code === 'absent') && !behindTable;
}
