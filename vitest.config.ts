import { defineConfig } from 'vitest/config';

// They share the machine with guests, and some of them time real sockets: one file after the other.
// What hangs ends, and what takes half a minute may take five on a machine that is busy.
const SLOW = { fileParallelism: false, testTimeout: 300_000, hookTimeout: 600_000 };

// Two depths: `quick` needs Node alone; `real` needs the lab (scripts/lab) and, for sockets and
// namespaces, root. On demand: `arm64` needs more guests, `live` and `memory` ask much of the machine's
// time (`scripts/test arm64`, `scripts/test live`, `scripts/test memory`).
export default defineConfig({
  test: {
    reporters: ['default', './test/support/summary-reporter.ts'],
    projects: [
      {
        test: {
          name: 'quick',
          // Bounds what hangs, also on a machine that is busy with something else.
          testTimeout: 60_000,
          include: ['test/**/*.test.ts'],
          // Packages that tests need bring tests of their own.
          exclude: ['test/real/**', '**/node_modules/**'],
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/real/**/*.test.ts'],
          exclude: ['test/real/*/on-demand/**', '**/node_modules/**'],
          ...SLOW,
        },
      },
      {
        test: {
          name: 'live',
          include: ['test/real/{live,skcheck}/on-demand/**/*.test.ts'],
          ...SLOW,
        },
      },
      {
        test: {
          name: 'arm64',
          include: ['test/real/arm64/on-demand/**/*.test.ts'],
          ...SLOW,
        },
      },
      {
        test: {
          name: 'memory',
          include: ['test/real/memory/on-demand/**/*.test.ts'],
          ...SLOW,
        },
      },
    ],
  },
});
