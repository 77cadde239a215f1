import { defineConfig } from 'vitest/config';

// They share the machine with guests.
const SLOW = { fileParallelism: false, testTimeout: 120_000, hookTimeout: 600_000 };

// Two depths: `quick` needs Node alone; `real` needs the lab (scripts/lab) and, for sockets and
// namespaces, root. `arm64` needs more guests (`scripts/test arm64`).
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
          exclude: ['test/real/**'],
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/real/**/*.test.ts'],
          exclude: ['test/real/arm64/on-demand/**'],
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
    ],
  },
});
