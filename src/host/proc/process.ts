import { HostError, type HostErrorCode, hostOrNull, isHostError } from '../../base/errors.js';
import { type CgroupPlace, parseCgroups } from '../../records/cgroups.js';
import { USER_HZ } from '../../records/processes.js';
import type { HostSource } from '../host-source.js';

/** One process. `comm` is set by the process itself: up to 15 arbitrary bytes. */
export interface ProcessRecord {
  readonly pid: number;
  readonly comm: string;
  /** State letter of each thread: `S` asleep, `D`, `R`, `T` stopped, `t` traced, `Z`, … */
  readonly threadStates: string;
  /** Kernel function in which the main thread sleeps; null if awake or not available. */
  readonly waitsIn: string | null;
  /** Its pid in each pid namespace, ours first, its own last; [] if not available. */
  readonly nsPids: readonly number[];
  readonly cgroup: CgroupPlace | null;
}

/** Threads of a process with more than this many are not read individually. */
const MAX_THREADS = 4096;

/** Returns the pid (thread group) of a pid or thread id. Throws `no-such-process`. */
export function findProcess(source: HostSource, id: number): number {
  try {
    const tgid = /^Tgid:\s*(\d+)$/m.exec(statusFields(source.readText(`/proc/${id}/status`)))?.[1];
    return tgid === undefined ? id : Number(tgid);
  } catch (error) {
    if (isHostError(error, 'gone'))
      throw new HostError('no-such-process', `no process has pid ${id}`, { cause: error });
    throw error;
  }
}

/** Reads one process; null if it has exited or permission is denied. */
export function readProcess(source: HostSource, pid: number): ProcessRecord | null {
  return hostOrNull(() => {
    const comm = source.readText(`/proc/${pid}/comm`).replace(/\n$/, '');
    const switches = readSwitches(source, pid);
    return {
      pid,
      comm,
      threadStates: switches?.states ?? '',
      waitsIn: readWait(source, pid),
      nsPids: nsPidsOf(statusFields(optionalText(source, `/proc/${pid}/status`))),
      cgroup: parseCgroups(optionalText(source, `/proc/${pid}/cgroup`)),
    };
  });
}

/** Context switch counts of a process's threads, to detect whether any ran in between. */
export interface Switches {
  readonly states: string;
  /** Thread id → voluntary plus involuntary switches. */
  readonly counts: ReadonlyMap<number, number>;
}

/**
 * /proc/PID/task/TID/status: `voluntary_ctxt_switches` (nvcsw) and `nonvoluntary_ctxt_switches`
 * (nivcsw), counted in __schedule() whenever a thread leaves a CPU. Null if unknown.
 */
export function readSwitches(source: HostSource, pid: number): Switches | null {
  return hostOrNull(() => {
    const threads = source.list(`/proc/${pid}/task`);
    if (threads.length > MAX_THREADS) return null;
    const counts = new Map<number, number>();
    let states = '';
    for (const thread of threads) {
      const text = statusFields(source.readText(`/proc/${pid}/task/${thread}/status`));
      const state = /^State:\s*(\S)/m.exec(text)?.[1];
      const voluntary = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(text)?.[1];
      const forced = /^nonvoluntary_ctxt_switches:\s*(\d+)$/m.exec(text)?.[1];
      if (state === undefined || voluntary === undefined || forced === undefined) return null;
      states += state;
      counts.set(Number(thread), Number(voluntary) + Number(forced));
    }
    return { states, counts };
  });
}

/**
 * True if no thread ran between two readings: the same threads, none on a CPU at either end, and none
 * switched out in between (which also covers a thread that ran and sleeps again). False if one ran or
 * may have; null if a reading is missing.
 */
export function stoodStill(before: Switches | null, after: Switches | null): boolean | null {
  if (!before || !after) return null;
  if (before.counts.size !== after.counts.size) return false;
  if (before.states.includes('R') || after.states.includes('R')) return false;
  for (const [thread, count] of before.counts) if (after.counts.get(thread) !== count) return false;
  return true;
}

/** Removes the Name line, which the process controls (the kernel escapes its newlines). */
export function statusFields(status: string): string {
  return status.slice(status.indexOf('\n') + 1);
}

/** CPU time of a process since its start, milliseconds. */
export interface CpuTime {
  /** User and system time of all threads. */
  readonly usedMs: number;
  /** Time during which the main thread was runnable but waited for a CPU; 0 if the kernel does not report it. */
  readonly waitedMs: number;
}

/**
 * Fields of the text of /proc/PID/stat from the third (the state) on. The second, the name, may contain
 * anything: fields are counted from the last parenthesis.
 */
export function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** PF_KTHREAD (include/linux/sched.h), of field 9. @param fields as returned by {@link statFields} */
export function isKernelThread(fields: readonly string[]): boolean {
  return (Number(fields[6]) & 0x0020_0000) !== 0;
}

/**
 * Start time of a process or thread, clock ticks since boot (field 22); null: it does not exist, or the
 * time is unknown.
 */
export function startTicks(source: Pick<HostSource, 'readText'>, pid: number | 'self'): string | null {
  return hostOrNull(() => statFields(source.readText(`/proc/${pid}/stat`))[19] ?? null);
}

/**
 * /proc/PID/stat, fields 14 and 15 (utime, stime) in ticks of USER_HZ. /proc/PID/schedstat, field 2:
 * run_delay in nanoseconds (Documentation/scheduler/ sched-stats.rst). Null if it has exited.
 */
export function readCpuTime(source: HostSource, pid: number): CpuTime | null {
  const stat = optionalText(source, `/proc/${pid}/stat`);
  const fields = statFields(stat);
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isSafeInteger(ticks) || stat === '') return null;
  const delay = /^\d{1,20} (\d{1,20}) /.exec(optionalText(source, `/proc/${pid}/schedstat`))?.[1];
  return { usedMs: (ticks * 1000) / USER_HZ, waitedMs: Number(delay ?? 0) / 1e6 };
}

/** The pids in the fields of /proc/PID/status; []: not reported before 4.1. */
export function nsPidsOf(fields: string): number[] {
  const pids = /^NSpid:((?:\s+\d{1,10})+)$/m.exec(fields)?.[1];
  return pids === undefined ? [] : pids.trim().split(/\s+/).map(Number);
}

/** Reads a file; empty text if not available. */
export function optionalText(source: HostSource, path: string): string {
  try {
    return source.readText(path);
  } catch (error) {
    if (isHostError(error)) return '';
    throw error;
  }
}

function readWait(source: HostSource, pid: number): string | null {
  return hostOrNull(() => {
    // The kernel omits the final newline, captures add one.
    const name = source.readText(`/proc/${pid}/wchan`).trimEnd();
    return /^[A-Za-z_][\w.]{0,63}$/.test(name) ? name : null;
  });
}

/** Whether a name in /proc or /proc/PID/task is a pid or thread id. */
export function isPid(name: string): boolean {
  return /^[1-9]\d{0,9}$/.test(name);
}

/**
 * Pids listed in /proc, in its order.
 *
 * @throws {HostError} if it cannot be listed
 */
export function listedPids(source: Pick<HostSource, 'list'>): string[] {
  return source.list('/proc').filter(isPid);
}

/** Why a list is not available. */
export interface Unlisted {
  readonly code: HostErrorCode;
  readonly why: string;
}

/** The list in a file; or why it is not available. */
export type Listed<T> = { readonly list: T } | Unlisted;

/** Makes a list optional: turns a HostError into a reason. @throws any other error */
export function listed<T>(read: () => T): Listed<T> {
  try {
    return { list: read() };
  } catch (error) {
    if (!isHostError(error)) throw error;
    return { code: error.code, why: error.message };
  }
}

export interface FoundPids {
  /** Pids, in our namespace, of the matching processes. */
  readonly pids: readonly number[];
  /** Whether any process is in that namespace. */
  readonly known: boolean;
  /**
   * Processes in nested namespaces that have this pid at an intermediate level: /proc does not reveal
   * which namespace that level is.
   */
  readonly deeper: readonly number[];
  /** Number of processes with this pid in a namespace of their own that cannot be read. */
  readonly denied: number;
}

/**
 * Finds processes by their pid in the pid namespace with this inode number (/proc/PID/ns/pid, NSpid of
 * /proc/PID/status). /proc shows a process's own namespace, but not the enclosing ones.
 *
 * @throws {HostError} if /proc cannot be listed
 */
export function findPids(source: HostSource, namespace: number, pid: number): FoundPids {
  const pids: number[] = [];
  const inside: { readonly own: number; readonly numbers: readonly number[] }[] = [];
  let [level, denied]: [number | undefined, number] = [undefined, 0];
  for (const name of listedPids(source)) {
    const numbers = nsPidsOf(statusFields(optionalText(source, `/proc/${name}/status`)));
    // A process with a single pid is in the namespace of this /proc mount.
    const own = namespaceOf(source, numbers.length === 1 ? 'self' : name);
    if (own === 'denied' && (numbers.at(-1) ?? pid) === pid) denied++;
    if (typeof own === 'string') continue;
    if (own === namespace) {
      level ??= numbers.length;
      if (numbers.at(-1) === pid) pids.push(Number(name));
    } else if (numbers.includes(pid)) inside.push({ own: Number(name), numbers });
  }
  const deeper = inside
    .filter(({ numbers }) => level !== undefined && numbers.length > level)
    .filter(({ numbers }) => numbers[(level ?? 0) - 1] === pid)
    .map(({ own }) => own);
  return { pids, known: level !== undefined, deeper, denied };
}

function namespaceOf(source: HostSource, name: string): number | 'denied' | 'gone' {
  try {
    const inode = /^pid:\[(\d{1,15})\]$/.exec(source.readLink(`/proc/${name}/ns/pid`))?.[1];
    return inode === undefined ? 'gone' : Number(inode);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    return isHostError(error, 'denied') ? 'denied' : 'gone';
  }
}
