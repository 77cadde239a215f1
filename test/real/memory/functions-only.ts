import { expect } from 'vitest';
import type { MemoryJson } from '../../../src/answers/memory/schema.js';

/**
 * Categories that a dump does not tell: 6.1 of arm64 keeps the names of functions alone (no CONFIG_KALLSYMS_ALL), and
 * these are found by data.
 */
export function notTold(dump: string): readonly string[] {
  return dump === '6.1-arm64' ? ['percpu', 'image', 'pipes', 'dma-buf'] : [];
}

/** Nothing is missing but what symbols do not tell, which is said, and no fact contradicts another. */
export function expectTold({ warnings, complete }: MemoryJson, dump: string): void {
  const lacks = notTold(dump);
  const words = lacks.map((name) =>
    expect.stringMatching(new RegExp(`^incomplete: ${name}: the kernel has no symbol `)),
  );
  expect(warnings.map(({ message }) => message)).toEqual(words);
  expect(complete).toBe(lacks.length === 0);
}
