// The floors of docs/internals/architecture.md: imports go down only.
'use strict';

/** The rooms that each room may import, besides base/, records/ and contracts/ below it. */
const BELOW = {
  base: [],
  records: [],
  contracts: [],
  kernel: [],
  walk: ['kernel'],
  account: ['walk', 'kernel'],
  extract: ['account', 'walk', 'kernel'],
  host: ['log'],
  // Reads and writes snapshots; the replacement of names is shared with extracts.
  capture: ['host', 'log', 'extract'],
  // Reads text that contains a kernel log.
  log: [],
  growth: ['account'],
  diff: ['growth'],
  // Output of perf is parsed in one place.
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

const GROUND = ['base', 'records', 'contracts'];

/** Imports allowed between folders of one room; folders that are not listed here import no sibling. */
const SIBLINGS = {
  walk: {
    cgroups: ['tasks'],
    files: ['tasks'],
    lists: ['files', 'memory', 'processes', 'tasks'],
    log: ['machine'],
    memory: ['machine', 'network', 'pages', 'tasks'],
    network: ['pages', 'queues', 'tasks'],
    pages: ['tasks'],
    processes: ['files', 'machine', 'pages', 'tasks'],
    queues: ['pages', 'skbs'],
    references: ['pages'],
    skbs: ['pages'],
    sockets: ['machine', 'pages', 'queues', 'tasks'],
    stacks: ['processes', 'tasks'],
    waits: ['files', 'memory', 'processes', 'stacks', 'tasks'],
  },
  host: { procnet: ['proc', 'ss'], ss: ['proc'] },
  leaks: { from: ['follow', 'readings'], record: ['follow'] },
  triage: { findings: [], log: ['findings'], rules: ['findings', 'log'] },
};

/** Rooms below answers/ import types of contracts, and never load them: zod must not slow the start of a command. */
const CONTRACTS = '^src/contracts/';

/** Rooms that process dumps and their formats, not a kernel, may import the engine's rooms. */
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
    ...Object.entries(BELOW)
      .filter(([room, below]) => room !== 'answers' && room !== 'contracts' && !below.includes('answers'))
      .map(([room]) => ({
        name: `${room}-loads-no-contract`,
        severity: 'error',
        from: { path: `^src/${room}/` },
        to: { path: CONTRACTS, dependencyTypesNot: ['type-only'] },
      })),
    ...Object.entries(SIBLINGS).flatMap(([room, folders]) => {
      const named = Object.entries(folders).map(([folder, others]) => ({
        name: `${room}-${folder}-beside`,
        severity: 'error',
        from: { path: `^src/${room}/${folder}/` },
        to: { path: `^src/${room}/[^/]+/`, pathNot: `^src/${room}/(${[folder, ...others].join('|')})/` },
      }));
      return [
        ...named,
        {
          name: `${room}-beside`,
          severity: 'error',
          from: { path: `^src/${room}/([^/]+)/`, pathNot: `^src/${room}/(${Object.keys(folders).join('|')})/` },
          to: { path: `^src/${room}/[^/]+/`, pathNot: `^src/${room}/$1/` },
        },
      ];
    }),
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
    { name: 'nothing-of-tests', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|scripts)/' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    // Type imports count as imports.
    tsPreCompilationDeps: true,
  },
};
