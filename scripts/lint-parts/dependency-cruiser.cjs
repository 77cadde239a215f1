// The floors of docs/internals/architecture.md: imports go down only.
'use strict';

/** What each room may know besides itself, and base/ and records/ below it. */
const BELOW = {
  base: [],
  records: [],
  kernel: [],
  walk: ['kernel'],
  account: ['walk', 'kernel'],
  extract: ['account', 'walk', 'kernel'],
  host: ['log'],
  // Reads and writes snapshots; what makes names up is shared with extracts.
  capture: ['host', 'log', 'extract'],
  // Reads text that contains a kernel log.
  log: [],
  growth: ['account'],
  diff: ['growth'],
  // What perf prints is read in one place.
  leaks: ['profile', 'growth', 'host', 'account', 'walk', 'kernel'],
  profile: ['host'],
  doctor: ['host', 'kernel'],
  skcheck: ['host', 'account', 'walk', 'kernel'],
  // batch/ runs the command over many dumps.
  triage: ['log', 'host', 'account', 'walk', 'kernel'],
  answers: [
    'diff',
    'growth',
    'leaks',
    'capture',
    'log',
    'triage',
    'skcheck',
    'doctor',
    'profile',
    'host',
    'extract',
    'account',
    'walk',
    'kernel',
  ],
  library: ['answers', 'triage', 'account', 'walk', 'kernel'],
  launch: [],
};

const GROUND = ['base', 'records'];

/** Who works on dumps and their formats, not on any kernel, may know of the engine's rooms. */
const KNOWS_ENGINES = '^src/(app|doctor|extract|kernel|library|triage/batch|answers/info)/';

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(BELOW).map(([room, below]) => ({
      name: `${room}-looks-down`,
      severity: 'error',
      from: { path: `^src/${room}/` },
      to: { path: '^src/', pathNot: `^src/(${[room, ...below, ...GROUND].join('|')})/` },
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
