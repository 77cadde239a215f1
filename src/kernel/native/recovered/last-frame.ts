import type { Evidence } from './evidence.js';
import { orNot, word, wordOrNot } from './reads.js';

/** A page frame's number can be a common word. */
const MOST_WORDS = 65_536;

/**
 * `max_pfn`: holds the page frame behind the memory that `high_memory` ends, and has `min_low_pfn`
 * behind itself (mm/memblock.c): the first frame, before which nothing is mapped.
 */
export function lastFrame(evidence: Evidence): bigint | undefined {
  const { directMap, arch, memory } = evidence.source;
  const variable = evidence.exported.get('high_memory');
  if (variable === undefined || directMap === undefined) return undefined;
  const into = word(memory, variable) - directMap.address;
  const end = BigInt(directMap.physical) + into;
  if (into <= 0n || into > BigInt(directMap.length) || end % BigInt(arch.pageSize) !== 0n)
    return undefined;
  const frame = end / BigInt(arch.pageSize);
  const isFirst = (first: bigint): boolean => {
    const at = directMap.address + first * BigInt(arch.pageSize) - BigInt(directMap.physical);
    return orNot(() => !arch.protection(at - 1n) && arch.protection(at) !== undefined) === true;
  };
  const variables = evidence.bytes
    .wordsEqual(frame, MOST_WORDS)
    .map((at) => evidence.bytes.address(at));
  return evidence.only(variables, (from, at) => {
    const next = wordOrNot(from, at + 8n);
    if (next === undefined || next === 0n || next >= frame || !isFirst(next)) return false;
    const writable = orNot(() => arch.protection(at)?.writable);
    return wordOrNot(from, at) === frame && writable === true;
  });
}
