import { defineConfig } from 'vitest/config';
import './scripts/generate.mjs';
import { STEP_MS, WHOLE_MS } from './scripts/lab-parts/limits.mjs';
import { SUITES } from './scripts/test-parts/suites.mjs';
import { isolated as isolatedPool } from './test/support/isolated.js';
import { LongestFirst } from './test/support/longest-first.js';

/** `scripts/test repeat` runs files in other orders. */
const isShuffled = process.argv.some((arg) => arg.startsWith('--sequence.shuffle'));

// A project for each suite, one after the other.
export default defineConfig({
  test: {
    reporters: ['default', './test/support/summary-reporter.ts'],
    ...(!isShuffled && { sequence: { sequencer: LongestFirst } }),
    projects: SUITES.map(
      ({ name, files, exclude = [], workers = 1, env = {}, shared = false, isolated = false, lab }, groupOrder) => ({
        test: {
          name,
          include: [...files],
          // Packages that tests need bring tests of their own.
          exclude: [...exclude, '**/node_modules/**'],
          // Without the lab nothing takes several steps.
          testTimeout: lab ? WHOLE_MS : STEP_MS,
          hookTimeout: lab ? WHOLE_MS : STEP_MS,
          maxWorkers: workers,
          isolate: !shared,
          env: { ...env },
          ...(isolated && { pool: isolatedPool }),
          sequence: { groupOrder },
        },
      }),
    ),
  },
});
