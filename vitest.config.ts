import { defineConfig } from 'vitest/config';

// What hangs ends, and what takes half a minute may take five on a machine that is busy.
const SLOW = { testTimeout: 300_000, hookTimeout: 600_000 };

// They share the machine with guests, and some of them time what it does: one file after the other.
const ALONE = { ...SLOW, fileParallelism: false, sequence: { groupOrder: 2 } };

/** Tests that look at this machine itself: its sockets, processes, memory. */
const OF_THIS_MACHINE = ['test/real/skcheck/!(guest).test.ts', 'test/real/*/host/**/*.test.ts'];

/** A leak is steady only where the guest that leaks is not starved by another test's. */
const TIMED = ['test/real/leaks/leaks.test.ts'];

const ON_DEMAND = 'test/real/*/on-demand/**';

/** Tests of single rooms, on fixtures and made-up memory: no processes of ours, no lab, no root. */
const UNIT = [
  'test/{account,answers,diff,doctor,extract,growth,host,kernel,layouts,leaks,log,profile}/**/*.test.ts',
  'test/{records,skcheck,triage,walk}/**/*.test.ts',
];

/** A thousand weeks on a clock that is made up. */
const WEEKS = 'test/growth/watch/on-demand/**/*.test.ts';

/** Every log of other machines, with every prefix. */
const LOGS = 'test/triage/on-demand/**/*.test.ts';

// `unit` takes less than a minute. `quick` needs Node alone, too. `real` needs the lab (scripts/lab), `machine` the lab and, for sockets and
// namespaces, root. On demand: `arm64` needs more guests; `live`, `memory` and `panics` ask much of the
// machine's time (`scripts/test arm64`, `scripts/test live`, …).
export default defineConfig({
  test: {
    reporters: ['default', './test/support/summary-reporter.ts'],
    projects: [
      {
        test: {
          name: 'unit',
          testTimeout: 240_000,
          hookTimeout: 240_000,
          maxWorkers: 2,
          include: UNIT,
          exclude: [WEEKS, LOGS],
        },
      },
      {
        test: {
          name: 'quick',
          maxWorkers: 2,
          // Bounds what hangs, also on a machine that is busy with something else.
          testTimeout: 240_000,
          hookTimeout: 240_000,
          include: ['test/**/*.test.ts'],
          // Packages that tests need bring tests of their own.
          exclude: ['test/real/**', ...UNIT, WEEKS, LOGS, '**/node_modules/**'],
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/real/**/*.test.ts'],
          exclude: [...OF_THIS_MACHINE, ...TIMED, ON_DEMAND, '**/node_modules/**'],
          ...SLOW,
          // Each may have a guest, drgn or crash beside it.
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'machine',
          include: [...OF_THIS_MACHINE, ...TIMED],
          exclude: [ON_DEMAND, '**/node_modules/**'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'live',
          include: ['test/real/{live,skcheck}/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'arm64',
          include: ['test/real/arm64/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'memory',
          include: ['test/real/memory/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'clusters',
          include: ['test/real/triage/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'leaks',
          include: ['test/real/leaks/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      { test: { name: 'weeks', include: [WEEKS], ...ALONE } },
      { test: { name: 'logs', include: [LOGS], ...ALONE } },
      {
        test: {
          name: 'snapshots',
          include: ['test/real/snapshot/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'inspector',
          include: ['test/real/mcp/on-demand/inspector.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'incidents',
          include: ['test/real/mcp/on-demand/incidents.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'packages',
          include: ['test/real/{publish,containers}/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'systemd',
          include: ['test/real/systemd/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
      {
        test: {
          name: 'panics',
          include: ['test/real/panics/on-demand/**/*.test.ts'],
          ...ALONE,
        },
      },
    ],
  },
});
