import { expect, test } from 'vitest';
import { DUMPS, labDump, labVmcore, PANICKED_KERNELS } from '../../support/lab.js';
import { drgnDifferences, LEAF_CALLER } from './drgn-stacks.js';

const CPUS = 2;

/**
 * QEMU may stop a CPU during a task switch: the registers are then of neither task with certainty,
 * which is reported. For such a boot the running tasks are not compared.
 */
function withoutSwitch({ found, ran, warnings }: ReturnType<typeof drgnDifferences>) {
  const torn = warnings.filter(({ code }) => code === 'torn-list');
  expect(torn.length).toBeLessThanOrEqual(CPUS);
  if (torn.length === 0) return { found, warnings };
  const isRan = (what: string) => ran.has(Number(/^(?:a stack .*, of )?pid (\d+)/.exec(what)?.[1]));
  return {
    found: Object.fromEntries(
      Object.entries(found)
        .map(([why, whats]) => [why, whats.filter((what) => !isRan(what))] as const)
        .filter(([, whats]) => whats.length > 0),
    ),
    warnings: warnings.filter(({ code, message }) => code !== 'torn-list' && !isRan(message)),
  };
}

/**
 * Excludes running tasks: their stack may be in a function's first or last instructions, where one
 * of the two unwinders has to guess. Sleeping tasks must match.
 */
function check(all: ReturnType<typeof drgnDifferences>) {
  const { compared, frames, modules, left } = all;
  const { found, warnings } = withoutSwitch(all);
  expect(warnings).toEqual([]);
  expect(left).toEqual([]);
  expect(compared).toBeGreaterThan(60);
  expect(frames).toBeGreaterThan(300);
  expect(modules).toBeGreaterThan(0);
  const { guess = [], 'drgn stops before': stops = [], [LEAF_CALLER]: callers = [], ...others } = found;
  expect(others).toEqual({});
  expect([...guess, ...stops, ...callers].length).toBeLessThanOrEqual(CPUS);
}

test.each([...DUMPS, '6.12-arm64-16k'] as const)('%s: the stack of every task matches drgn, frame by frame', (name) => {
  const { elf, kernel } = labDump(name);
  check(drgnDifferences(elf, kernel));
});

test.each(PANICKED_KERNELS)('%s after a panic: the stack of every task matches drgn, frame by frame', (name) => {
  const { elf, kernel } = labVmcore(name);
  check(drgnDifferences(elf, kernel));
});
