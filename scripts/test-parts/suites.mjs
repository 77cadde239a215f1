// The suites of tests, declared once: scripts/test runs and lists them, vitest.config.ts makes a project of each, and
// test/suites.test.ts compares CONTRIBUTING with them.

/**
 * @typedef {object} Suite
 * @property {string} name of the project of vitest
 * @property {string} covers one line for --help and CONTRIBUTING
 * @property {string} time on an idle machine with two CPUs, with the lab made
 * @property {boolean} [ci] part of `npm test`
 * @property {string[]} files
 * @property {string[]} [exclude]
 * @property {string[]} [first] its longest files, which start first
 * @property {string} [beside] runs while this suite runs, whose tests mostly wait; several run one after the other
 * @property {number} [workers] files at a time (default 1)
 * @property {boolean} [shared] files share a process: code is loaded and compiled once, and no test may leave anything behind
 * @property {boolean} [isolated] its tests see no process, socket or mount of others (test/support/isolated.ts)
 * @property {Record<string, string>} [env]
 * @property {string[]} [programs] as programs.mjs checks them, besides those of every suite
 * @property {string[]} [folders] of npm packages that tests run
 * @property {string[][]} [lab] steps of scripts/lab
 * @property {string[]} [release] arguments of scripts/release; absent if the suite needs no packages
 */

/** Single folders. Their tests start no process of ours and need no lab and no root. */
const UNIT = [
  'test/{account,answers,diff,doctor,extract,growth,host,kernel,layouts,leaks,log,profile}/**/*.test.ts',
  'test/{records,skcheck,triage,walk}/**/*.test.ts',
];
const WEEKS = ['test/growth/watch/on-demand/**/*.test.ts'];
/** Every log of other machines, with every prefix. */
const LOGS = ['test/triage/on-demand/**/*.test.ts'];
const REAL = ['test/real/**/*.test.ts'];
const ON_DEMAND = 'test/real/*/on-demand/**';
/** Sockets and processes of this machine: in namespaces of their own, so that two files can run at a time. */
const NAMESPACES = ['test/real/skcheck/!(guest|local-peers).test.ts', 'test/real/{processes,watch}/host/**/*.test.ts'];
/** Memory of this machine, which has no namespaces: one file at a time. */
const MEMORY = [
  'test/real/{diff,incidents,memory,snapshot,triage}/host/**/*.test.ts',
  // What a kill frees is read from a counter of all network namespaces.
  'test/real/skcheck/local-peers.test.ts',
];
const MACHINE = [...NAMESPACES, ...MEMORY];
/** A leak is steady only where no other guest takes the CPU. */
const TIMED = 'test/real/leaks/leaks.test.ts';

/** The package for npm as its users get it, a clone, and both on other releases of Node. */
const PUBLISHED = ['test/real/publish/{package,clone}.test.ts', 'test/real/launch/nodes.test.ts'];
/** They need dumps of other kernels, or minutes, or damage real dumps as `quick` does fixtures: `kernels` has them. */
const ON_ALL_KERNELS = [
  'test/real/arm64/blocked.test.ts',
  'test/real/crash/{elsewhere,layouts}.test.ts',
  'test/real/damage/filtered.test.ts',
  'test/real/extract/{answers,triage}.test.ts',
  'test/real/live/kill.test.ts',
  'test/real/{lists,memory}/page.test.ts',
  'test/real/{memory,processes,stacks,tasks}/damage.test.ts',
  'test/real/memory/{cgroups,experiments,extract,lockdown,pageflags,unreachable}.test.ts',
  'test/real/native/types-files.test.ts',
  'test/real/panics/panics.test.ts',
  'test/real/processes/{extract,mappings-damage}.test.ts',
  'test/real/refs.test.ts',
  'test/real/skb/refusals.test.ts',
  'test/real/skcheck/guest.test.ts',
  'test/real/stacks/{blocked-6.1,preempt-rt,traced}.test.ts',
  'test/real/terminal/completion.test.ts',
  'test/real/triage/{many,page,troubles}.test.ts',
];

/** What `scripts/lab up` makes for `npm test`, and what it makes for all kernels. */
const LAB = [['up']];
const ALL_KERNELS = [['up', 'kernels']];
/** Versions of programs, besides those of this machine, whose output tests read. */
const PASTED_PROGRAMS = ['sid', 'trixie'].map((suite) => ['programs', suite]);

/** @type {readonly Suite[]} */
export const SUITES = [
  {
    name: 'unit',
    covers: 'single folders, on fixtures and memory that is made up; needs Node alone',
    time: '2 min',
    ci: true,
    files: UNIT,
    exclude: [...WEEKS, ...LOGS],
    workers: 2,
    shared: true,
  },
  {
    name: 'quick',
    covers: 'commands, documents and deployment on fixtures; needs Node alone',
    time: '5 min',
    ci: true,
    files: ['test/**/*.test.ts'],
    exclude: ['test/real/**', ...UNIT, ...WEEKS, ...LOGS],
    first: ['test/app/triage/beside.test.ts', 'test/app/mcp/server.test.ts', 'test/app/triage/many.test.ts'],
    workers: 2,
    shared: true,
    folders: ['test/nodes', 'test/browser'],
  },
  {
    name: 'real',
    covers: 'real dumps of two kernels, a kdump and an arm64 dump beside drgn and crash, and a guest',
    time: '10 min',
    ci: true,
    files: REAL,
    exclude: [...MACHINE, ...ON_ALL_KERNELS, TIMED, ...PUBLISHED, ON_DEMAND],
    first: ['test/real/live/skb.test.ts', 'test/real/stacks/blocked.test.ts', 'test/real/extract/command.test.ts'],
    // One is a guest for minutes, others wait for drgn or crash.
    workers: 3,
    shared: true,
    folders: ['test/nodes', 'test/browser'],
    lab: LAB,
  },
  {
    name: 'namespaces',
    covers: 'sockets and processes of this machine, in namespaces of their own; needs root',
    time: '4 min',
    ci: true,
    files: NAMESPACES,
    exclude: [ON_DEMAND],
    first: ['test/real/processes/host/stacks.test.ts', 'test/real/skcheck/verdicts.test.ts'],
    beside: 'real',
    // They mostly wait.
    workers: 3,
    isolated: true,
    folders: ['test/browser'],
    lab: LAB,
  },
  {
    name: 'machine',
    covers: 'memory of this machine; needs root',
    time: '6 min',
    files: MEMORY,
    exclude: [ON_DEMAND],
    isolated: true,
    folders: ['test/browser'],
    lab: [...LAB, ...PASTED_PROGRAMS],
  },
  {
    name: 'kernels',
    covers: 'the tests of `real` on all kernels and dumps of the lab',
    time: '25 min',
    files: REAL,
    exclude: [...MACHINE, TIMED, ...PUBLISHED, ON_DEMAND],
    workers: 2,
    env: { KDUMP_MEM_TEST_KERNELS: 'all' },
    folders: ['test/nodes', 'test/browser'],
    lab: ALL_KERNELS,
  },
  {
    name: 'live',
    covers: 'guests whose processes are killed, guests and skcheck under traffic, guests beside crash',
    time: '15 min',
    files: ['test/real/{live,skcheck}/on-demand/**/*.test.ts'],
    programs: ['iperf3=iperf3'],
    lab: ALL_KERNELS,
  },
  {
    name: 'arm64',
    covers: 'other arm64 kernels, true kdump dumps and live guests',
    time: '15 min',
    files: ['test/real/arm64/on-demand/**/*.test.ts'],
    lab: [['up', 'arm64']],
  },
  {
    name: 'memory',
    covers: 'programs that use memory in one category, in guests of four kernels; pinned memory',
    time: '12 min',
    files: ['test/real/memory/on-demand/**/*.test.ts'],
    lab: [...ALL_KERNELS, ['tools-arm64']],
  },
  {
    name: 'panics',
    covers: 'one guest for each kind of panic on four kernels, beside crash and drgn',
    time: '30 min',
    files: ['test/real/panics/on-demand/**/*.test.ts'],
    lab: ALL_KERNELS,
  },
  {
    name: 'snapshots',
    covers: 'live answers of guests beside those of a snapshot, also with little free memory',
    time: '3 min',
    files: ['test/real/snapshot/on-demand/**/*.test.ts'],
    lab: ALL_KERNELS,
  },
  {
    name: 'leaks',
    covers: 'a module that leaks under load, traced on four kernels and on a profiled one',
    time: '1 h',
    files: ['test/real/leaks/on-demand/**/*.test.ts', TIMED],
    programs: ['go=golang-go'],
    lab: ALL_KERNELS,
  },
  {
    name: 'incidents',
    covers:
      'guests that lose memory or hang, also until they panic, and a client of `kdump-mem mcp` that makes only suggested calls',
    time: '15 min',
    files: ['test/real/mcp/on-demand/incidents.test.ts', 'test/real/watch/on-demand/**/*.test.ts'],
    lab: ALL_KERNELS,
  },
  {
    name: 'live-incidents',
    covers: 'incidents and healthy programs on this machine: owner, amount and next command of `triage`; needs root',
    time: '15 min',
    files: ['test/real/incidents/on-demand/**/*.test.ts'],
    isolated: true,
    lab: [...LAB, ...['kernel', 'headers'].map((step) => [step, 'newest-generic'])],
  },
  {
    name: 'systemd',
    covers:
      'units of deploy/systemd under systemd as pid 1 of a guest, kdump-tools from the panic to the answers, and the plugin of sos',
    time: '40 min',
    files: ['test/real/systemd/on-demand/**/*.test.ts'],
    programs: ['debootstrap=debootstrap', 'rpmbuild=rpm'],
    lab: [
      ['tools'],
      ['kernel', '6.1'],
      ['kernel', '6.12'],
      ...['bookworm-systemd', 'bookworm-kdump', 'trixie-kdump'].map((root) => ['root', root]),
      ...['bookworm', 'trixie', 'sid'].map((suite) => ['root', `${suite}-sos`]),
    ],
    release: ['amd64'],
  },
  {
    name: 'packages',
    covers: 'the npm package, .deb, .rpm and tar of both architectures, the container image, the site in Chromium',
    time: '15 min',
    files: ['test/real/{publish,containers}/on-demand/**/*.test.ts', ...PUBLISHED],
    programs: [
      'debootstrap=debootstrap',
      'rpmbuild=rpm',
      'lintian=lintian',
      'buildah=buildah',
      'crun=crun',
      'qemu-aarch64-static=qemu-user-static',
    ],
    folders: ['test/browser', 'test/nodes', 'test/publish'],
    lab: [['tools-arm64'], ['root', 'bookworm'], ['root', 'trixie'], ['root', 'sid']],
    release: [],
  },
  {
    name: 'clusters',
    covers: 'Slurm on this machine, DuckDB, the API of Kubernetes; needs no lab',
    time: '2 min',
    files: ['test/real/triage/on-demand/**/*.test.ts'],
    programs: ['slurmctld=slurmctld', 'slurmd=slurmd', 'sbatch=slurm-client', 'munged=munge'],
    folders: ['test/clusters'],
  },
  {
    name: 'inspector',
    covers: 'the inspector of the Model Context Protocol, against `kdump-mem mcp`; needs no lab',
    time: '2 min',
    files: ['test/real/mcp/on-demand/inspector.test.ts'],
    folders: ['test/inspector'],
  },
  {
    name: 'fuzz',
    covers: 'eight times the damage of `quick` with the same seed; needs Node alone',
    time: '4 min',
    files: ['test/damage/fuzz.test.ts'],
    env: { KDUMP_MEM_TEST_FUZZ: '8' },
  },
  {
    name: 'weeks',
    covers: '`kdump-mem watch` over a thousand weeks of simulated time; needs no lab',
    time: '5 min',
    files: WEEKS,
  },
  { name: 'logs', covers: 'every log of shared/logs behind sixty prefixes; needs no lab', time: '2 min', files: LOGS },
];
