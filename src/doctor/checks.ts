import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { attempt, KdumpMemError } from '../base/errors.js';
import { searchPath } from '../base/shell.js';
import { liveHost } from '../host/live.js';
import { TRACEFS_PLACES } from '../host/observation.js';
import { listedPids } from '../host/proc/process.js';
import { openNative } from '../kernel/native/open.js';
import { lackingRights, lacksAll } from '../records/processes.js';

/** Checks, in the order of the answer. */
export const CHECK_CODES = [
  'root',
  'processes',
  'ss',
  'namespaces',
  'counters',
  'pageflags',
  'kcore',
  'crash',
  'pressure',
  'perf',
  'tracefs',
  'bpftrace',
] as const;

export type CheckCode = (typeof CHECK_CODES)[number];

/** Whether a feature is usable here: `partly` only in part. */
export type CheckState = 'works' | 'partly' | 'refused' | 'missing';

export interface Check {
  readonly code: CheckCode;
  readonly state: CheckState;
  /** Details: a version, a source; or why it is not usable. One line, hostile. */
  readonly found: string;
}

/** First non-empty output line of a program, and whether it exited with status 0. */
export interface Output {
  readonly line: string;
  readonly ok: boolean;
}

/** Access of checks to this machine, or to a substitute. */
export interface Machine {
  /** Effective user id. */
  readonly uid: number;
  /** Reads a small file. @throws {HostError} */
  readText(path: string): string;
  /** Reads a symbolic link. @throws {HostError} */
  readLink(path: string): string;
  /** Opens a file, and reads some of it. @throws {HostError} */
  open(path: string, reads?: boolean): void;
  list(path: string): readonly string[];
  /** Runs a short command; null: not installed. */
  run(program: string, args: readonly string[]): Output | null;
  /** Opens the running kernel, and returns missing symbols and types. @throws {KernelError} */
  openKernel(): { readonly lacking: readonly string[]; readonly release: string };
}

/** Time limit for printing a version. */
const TIMEOUT_MS = 10_000;

export const here: Machine = {
  uid: process.geteuid?.() ?? -1,
  readText: (path) => liveHost.readText(path),
  readLink: (path) => liveHost.readLink(path),
  list: (path) => liveHost.list(path),
  open: (path, reads = true) =>
    attempt(path, () => {
      const file = openSync(path, 'r');
      try {
        if (reads) readSync(file, Buffer.alloc(8));
      } finally {
        closeSync(file);
      }
    }),
  run: (program, args) => {
    const { error, status, stdout, stderr } = spawnSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
      env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
    });
    if (error && 'code' in error && error.code === 'ENOENT') return null;
    const firstLine = `${stdout ?? ''}\n${stderr ?? ''}`.split('\n').find((line) => line.trim() !== '');
    if (error) return { line: `${program} cannot be started (${error.message})`, ok: false };
    return { line: firstLine ?? `${program} printed nothing`, ok: status === 0 };
  },
  openKernel: () => {
    const kernel = openNative({ files: [], live: true });
    try {
      const { symbols, types } = kernel.provenance;
      const lacking = [
        ...(symbols.found ? [] : [`no symbols: ${symbols.why}`]),
        ...(types.found ? [] : [`no types: ${types.why}`]),
      ];
      return { lacking, release: kernel.facts.release };
    } finally {
      kernel.close();
    }
  },
};

/** Checks which features are usable on this machine. Modifies nothing, and waits for nothing that hangs. */
export function examine(here: Machine, codes: readonly CheckCode[] = CHECK_CODES): Check[] {
  return codes.map((code) => CHECKS[code](here));
}

const CHECKS: Readonly<Record<CheckCode, (here: Machine) => Check>> = {
  root,
  processes,
  ss,
  namespaces,
  counters,
  pageflags: (here) => readable(here, 'pageflags', '/proc/kpageflags'),
  kcore,
  crash: (here) => program(here, 'crash', 'crash', ['--version']),
  pressure: (here) => readable(here, 'pressure', '/proc/pressure/memory'),
  perf,
  tracefs,
  bpftrace,
};

function root(here: Machine): Check {
  const code = 'root';
  const lacking = resultOf(code, () => lackingRights(here.readText('/proc/self/status')));
  if (!Array.isArray(lacking)) return lacking;
  const user = `running as ${here.uid === 0 ? 'root' : `user ${here.uid}`}`;
  if (lacking.length === 0) return { code, state: 'works', found: user };
  const state = lacksAll(lacking) ? 'missing' : 'partly';
  return { code, state, found: `${user} without ${lacking.join(', ')}` };
}

/** PROC_PID_INIT_INO (include/linux/proc_ns.h): the initial pid namespace. */
const ALL_PIDS = 'pid:[4026531836]';

/** Opening the files of more takes seconds. */
const MAX_PROCESSES = 10_000;

/** Other users' processes: hidden, in other namespaces, or without readable mappings or descriptors. */
function processes(here: Machine): Check {
  const code = 'processes';
  const first = resultOf(code, () => here.readText('/proc/1/status'));
  if (typeof first !== 'string')
    return { ...first, found: `${first.found}: processes of other users are hidden (hidepid)` };
  const pids = resultOf(code, () => listedPids(here));
  if (isCheck(pids)) return pids;
  // The kernel checks permissions on open; a read of mappings would wait for the mmap_lock.
  const refusing = (what: string, read: (folder: string) => unknown): string[] => {
    const refused = pids
      .slice(0, MAX_PROCESSES)
      .map((pid) => resultOf(code, () => void read(`/proc/${pid}`)))
      .filter((check) => check?.state === 'refused');
    const [first, ...others] = refused;
    const of = others.length === 0 ? '1 process' : `${refused.length} processes`;
    return first ? [`${what} of ${of} are not readable (${first.found})`] : [];
  };
  const space = resultOf(code, () => here.readLink('/proc/self/ns/pid'));
  const why = [
    ...(space === ALL_PIDS ? [] : ['other pid namespaces are not visible']),
    ...refusing('mappings', (folder) => here.open(`${folder}/smaps_rollup`, false)),
    ...refusing('descriptors', (folder) =>
      here
        .list(`${folder}/fd`)
        .slice(0, 1)
        .map((fd) => here.readLink(`${folder}/fd/${fd}`)),
    ),
  ];
  if (why.length === 0) return { code, state: 'works', found: 'all visible, with PSS, USS and descriptors' };
  const seen = `${pids.length} visible, kernel threads included`;
  return { code, state: 'partly', found: [seen, ...why].join('; ') };
}

function ss(here: Machine): Check {
  const check = program(here, 'ss', 'ss', ['-V']);
  return check.state === 'works' ? { ...check, found: check.found.replace(/^ss utility, /, '') } : check;
}

function counters(here: Machine): Check {
  const code = 'counters';
  const missing = ['/proc/meminfo', '/proc/zoneinfo', '/proc/vmstat'].filter(
    (path) => typeof resultOf(code, () => here.readText(path)) !== 'string',
  );
  if (missing.includes('/proc/meminfo')) return { code, state: 'missing', found: '/proc/meminfo cannot be read' };
  return missing.length === 0
    ? { code, state: 'works', found: '/proc/meminfo, zoneinfo and vmstat' }
    : { code, state: 'partly', found: `without ${missing.join(', ')}` };
}

function kcore(here: Machine): Check {
  const code = 'kcore';
  const opened = resultOf(code, () => here.openKernel());
  if (isCheck(opened)) return opened;
  const { lacking, release } = opened;
  return lacking.length === 0
    ? { code, state: 'works', found: `kernel ${release}, with its symbols and types` }
    : { code, state: 'partly', found: `kernel ${release}, ${lacking.join('; ')}` };
}

/** Even if it is installed, it may not be permitted to enter a namespace, even its own. */
function namespaces(here: Machine): Check {
  const code = 'namespaces';
  const check = program(here, code, 'nsenter', ['--version']);
  if (check.state !== 'works') return check;
  const entered = here.run('nsenter', ['--net=/proc/self/ns/net', '--', 'true']);
  if (entered?.ok) return check;
  return { code, state: 'refused', found: `${check.found}, but cannot enter a namespace: ${entered?.line}` };
}

/** Even if it is installed, the kernel may not permit it to count. */
function perf(here: Machine): Check {
  const code = 'perf';
  const check = program(here, code, 'perf', ['--version']);
  if (check.state !== 'works') return check;
  const counted = here.run('perf', ['stat', '-x,', '-e', 'page-faults', '--', 'true']);
  if (counted?.ok && /^\d/.test(counted.line)) return check;
  return { code, state: 'refused', found: `${check.found}, but cannot count events: ${counted?.line}` };
}

function tracefs(here: Machine): Check {
  const code = 'tracefs';
  const [first, second] = TRACEFS_PLACES.map((place) => ({ place, listed: resultOf(code, () => here.list(place)) }));
  for (const place of [first, second])
    if (place && !isCheck(place.listed) && place.listed.includes('events'))
      return { code, state: 'works', found: place.place };
  if (first && isCheck(first.listed)) return first.listed;
  return { code, state: 'missing', found: `not mounted at ${TRACEFS_PLACES.join(' or ')}` };
}

function readable(here: Machine, code: CheckCode, path: string): Check {
  const failed = resultOf(code, () => here.open(path));
  return failed ?? { code, state: 'works', found: path };
}

function program(here: Machine, code: CheckCode, name: string, args: readonly string[]): Check {
  const output = here.run(name, args);
  if (output === null) return { code, state: 'missing', found: `${name} not found in PATH` };
  return { code, state: output.ok ? 'works' : 'refused', found: output.line };
}

/** Returns the result of a step, or the check that reports its failure. */
function resultOf<Result>(code: CheckCode, step: () => Result): Result | Check {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof KdumpMemError)) throw error;
    return { code, state: STATES[error.code] ?? 'missing', found: error.message };
  }
}

const STATES: Readonly<Record<string, CheckState>> = { denied: 'refused', permission: 'refused' };

function isCheck(value: object): value is Check {
  return 'state' in value;
}

/** Even if it is installed, it may not be permitted to trace the kernel; listing probes starts nothing. */
function bpftrace(here: Machine): Check {
  const code = 'bpftrace';
  const output = here.run('bpftrace', ['--version']);
  if (output === null) return { code, state: 'missing', found: 'bpftrace not found in PATH' };
  const version = output.ok ? /^bpftrace v(\d+\.\d+(?:\.\d+)?)/.exec(output.line)?.[1] : undefined;
  if (version === undefined) return { code, state: 'refused', found: output.line };
  const [oldest] = TRIED_BPFTRACES;
  const listed = here.run('bpftrace', ['-l', NEEDED_PROBE]);
  if (listed?.line.trim() !== NEEDED_PROBE)
    return { code, state: 'refused', found: `${version}, but does not list the required tracepoint: ${listed?.line}` };
  if (isOlder(version, oldest))
    return { code, state: 'partly', found: `${version}; versions before ${oldest} are untested` };
  const untried = TRIED_BPFTRACES.some((tried) => tried === version) ? '' : `; tested: ${TRIED_BPFTRACES.join(', ')}`;
  return { code, state: 'works', found: `${version}${untried}` };
}

function isOlder(version: string, than: string): boolean {
  const [left, right] = [version, than].map((words) => words.split('.').map(Number));
  for (const [index, part] of (right ?? []).entries()) {
    const own = left?.[index] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}

/** Versions of bpftrace with which `leaks --engine bpftrace` was tested against modules with known allocations. */
export const TRIED_BPFTRACES = ['0.17.0', '0.23.2', '0.27.1'] as const;

/** Probe required for recording, as listed by `bpftrace -l`. */
const NEEDED_PROBE = 'tracepoint:kmem:mm_page_alloc';
