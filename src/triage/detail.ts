import { attempted } from '../account/memory/missed.js';
import { groupedStacks, type StackGroup } from '../account/task-stacks.js';
import type { Kernel } from '../kernel/kernel.js';
import { type Warning, Warnings } from '../walk/warnings.js';

/** What a page shows beside findings, for who digs. Undefined: it cannot be read, and a warning says why. */
export interface TriageDetail {
  /** What each CPU ran. */
  readonly running: readonly StackGroup[] | undefined;
  /** Tasks that wait and cannot be interrupted, equal stacks together. */
  readonly blocked: readonly StackGroup[] | undefined;
  readonly warnings: readonly Warning[];
}

/** Asks for what a page shows beside findings. */
export function triageDetail(kernel: Kernel): TriageDetail {
  const warnings = new Warnings();
  const ask = (what: string, choice: Parameters<typeof groupedStacks>[1]) => {
    const found = attempted(warnings, what, () => groupedStacks(kernel, choice));
    for (const { code, message } of found?.warnings ?? []) warnings.add(code, message);
    return found?.groups;
  };
  return {
    running: ask('stacks of running tasks', { running: true }),
    blocked: ask('blocked tasks', { states: new Set(['D']) }),
    warnings: warnings.list(),
  };
}
