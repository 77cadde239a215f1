import { expect } from 'vitest';
import type { MemoryJson } from '../../../src/contracts/memory.js';

/**
 * Incomplete categories of a dump: 6.1 on arm64 keeps function names only (no CONFIG_KALLSYMS_ALL),
 * and these are found by data symbols.
 */
export function notTold(dump: string): readonly string[] {
  return dump === '6.1-arm64' ? ['percpu', 'image', 'pipes', 'dma-buf'] : [];
}

/**
 * Expects that only categories without symbols are incomplete, with a warning, and that no two
 * facts contradict.
 */
export function expectTold({ warnings, complete }: MemoryJson, dump: string): void {
  const lacks = notTold(dump);
  const words = lacks.map((name) =>
    expect.stringMatching(new RegExp(`^incomplete: ${name}: the kernel has no symbol `)),
  );
  expect(warnings.map(({ message }) => message)).toEqual(words);
  expect(complete).toBe(lacks.length === 0);
}
