import type { Gap } from '../../recording.js';

/**
 * Events that were lost, by two counts: pages that were read tell where some are missing, but not always how many;
 * counters of the buffers tell how many were overwritten, and know nothing of pages that make no sense.
 *
 * @param read null: some are missing, and pages do not tell how many
 * @param counted null: counters cannot be read
 * @returns null: not known
 */
export function lostEvents(read: number | null, counted: number | null): number | null {
  if (read !== null && counted !== null) return Math.max(read, counted);
  // None of the other is not none.
  return (read ?? counted ?? 0) > 0 ? (read ?? counted) : null;
}

/**
 * What is missing of stacks.
 *
 * @param otherStacks events whose stack found no room
 * @param areNamed functions have names: those without are not known to be the same
 */
export function gapsOf(otherStacks: number, areNamed: boolean): readonly Gap[] {
  return [
    { code: 'sites' as const, source: 'tracefs', count: otherStacks },
    { code: 'unreadable' as const, source: '/proc/kallsyms', count: areNamed ? 0 : 1 },
  ].filter(({ count }) => count > 0);
}
