// The floors of docs/architecture.md: imports go down only.
'use strict';

/** What each room may know besides itself and the ground: the files right in src/. */
const BELOW = {
  kernel: [],
  walk: ['kernel'],
  account: ['walk', 'kernel'],
  extract: ['account', 'walk', 'kernel'],
  host: ['log'],
  // Reads text that contains a kernel log.
  log: [],
  many: ['host', 'kernel'],
  growth: ['account'],
  diff: ['growth'],
  // What perf prints is read in one place.
  leaks: ['trace/perf', 'growth', 'host', 'account', 'walk', 'kernel'],
  trace: ['host', 'leaks'],
  doctor: ['host', 'kernel'],
  // What makes names up is shared with extracts.
  snapshot: ['host', 'extract'],
  diagnosis: ['host', 'account', 'walk', 'kernel'],
  triage: ['log', 'account', 'walk', 'kernel'],
  report: [
    'diff',
    'growth',
    'leaks',
    'many',
    'snapshot',
    'log',
    'triage',
    'diagnosis',
    'doctor',
    'trace',
    'store',
    'host',
    'extract',
    'account',
    'walk',
    'kernel',
  ],
  library: ['report', 'triage', 'account', 'walk', 'kernel'],
  launch: [],
  store: [],
};

/** Who works on dumps and their formats, not on any kernel, may know of the engine's rooms. */
const KNOWS_ENGINES = '^src/(cli|doctor|extract|kernel|library|many|report/info)/';

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(BELOW).map(([room, below]) => ({
      name: `${room}-looks-down`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/([^/]+$|(${[room, ...below].join('|')})/)` },
    })),
    {
      name: 'one-interface-to-kernels',
      severity: 'error',
      from: { path: '^src/', pathNot: KNOWS_ENGINES },
      to: { path: '^src/kernel/(native|crash)/' },
    },
    {
      name: 'extract-takes-parts',
      severity: 'error',
      from: { path: '^src/extract/' },
      to: { path: '^src/kernel/(native|crash)/', pathNot: '^src/kernel/native/parts\\.ts$' },
    },
    {
      name: 'nothing-of-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|scripts)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Types count: a room that only names another's types knows of it all the same.
    tsPreCompilationDeps: true,
  },
};
