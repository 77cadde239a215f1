import { HostError, isHostError } from '../../base/errors/host.js';
import { type CgroupPlace, parseCgroups } from '../../records/cgroup-place.js';
import { USER_HZ } from '../../records/processes.js';
import type { HostSource } from '../host-source.js';

/** One process. `comm` is text that the process chose itself: up to 15 bytes of anything. */
export interface ProcessRecord {
  readonly pid: number;
  readonly comm: string;
  /** The state letter of each thread: `S` asleep, `D`, `R`, `T` stopped, `t` traced, `Z`, … */
  readonly threadStates: string;
  /** The kernel function that the main thread sleeps in; null when awake or not shown to us. */
  readonly waitsIn: string | null;
  /** Its pid in each pid namespace, ours first, its own last; [] when not shown. */
  readonly nsPids: readonly number[];
  readonly cgroup: CgroupPlace | null;
}

/** A process with this many threads is not looked at thread by thread. */
const MAX_THREADS = 4096;

/** The pid (thread group) that a pid or thread id belongs to. Throws `no-such-process`. */
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

/** Reads one process, or null when it ended meanwhile or may not be looked at. */
export function readProcess(source: HostSource, pid: number): ProcessRecord | null {
  try {
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
  } catch (error) {
    if (isHostError(error)) return null;
    throw error;
  }
}

/** How often each thread of a process was switched out, to tell whether it ran in between. */
export interface Switches {
  readonly states: string;
  /** Thread id → voluntary plus forced switches. */
  readonly counts: ReadonlyMap<number, number>;
}

/**
 * /proc/PID/task/TID/status: `voluntary_ctxt_switches` (nvcsw) and `nonvoluntary_ctxt_switches`
 * (nivcsw), counted in __schedule() whenever a thread leaves a CPU. Null when it cannot be said.
 */
export function readSwitches(source: HostSource, pid: number): Switches | null {
  try {
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
  } catch (error) {
    if (isHostError(error)) return null;
    throw error;
  }
}

/**
 * True when no thread ran between two readings: the same threads, none on a CPU at either end, and
 * none switched out in between (a thread that ran and sleeps again has been). False when one did
 * or may have; null when a reading is missing.
 */
export function stoodStill(before: Switches | null, after: Switches | null): boolean | null {
  if (!before || !after) return null;
  if (before.counts.size !== after.counts.size) return false;
  if (before.states.includes('R') || after.states.includes('R')) return false;
  for (const [thread, count] of before.counts) if (after.counts.get(thread) !== count) return false;
  return true;
}

/** Cuts the Name line off, which the process writes itself (the kernel escapes its newlines). */
export function statusFields(status: string): string {
  return status.slice(status.indexOf('\n') + 1);
}

/** What a process has had of the CPUs since it began, milliseconds. */
export interface CpuTime {
  /** By all its threads, user and system. */
  readonly usedMs: number;
  /** Its main thread could have run and waited for a CPU; 0 where the kernel does not tell. */
  readonly waitedMs: number;
}

/**
 * Fields of the text of /proc/PID/stat from the third (the state) on. The second, the name, may hold anything: they are
 * counted from its last parenthesis.
 */
export function statFields(stat: string): string[] {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** When a process or thread started, clock ticks since boot (field 22); null: there is none, or it cannot be told. */
export function startTicks(
  source: Pick<HostSource, 'readText'>,
  pid: number | 'self',
): string | null {
  try {
    return statFields(source.readText(`/proc/${pid}/stat`))[19] ?? null;
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}

/**
 * /proc/PID/stat, fields 14 and 15 (utime, stime) in ticks of USER_HZ. /proc/PID/schedstat, field 2: run_delay in nanoseconds (Documentation/scheduler/
 * sched-stats.rst). Null when it is gone.
 */
export function readCpuTime(source: HostSource, pid: number): CpuTime | null {
  const stat = optionalText(source, `/proc/${pid}/stat`);
  const fields = statFields(stat);
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isSafeInteger(ticks) || stat === '') return null;
  const delay = /^\d{1,20} (\d{1,20}) /.exec(optionalText(source, `/proc/${pid}/schedstat`))?.[1];
  return { usedMs: (ticks * 1000) / USER_HZ, waitedMs: Number(delay ?? 0) / 1e6 };
}

/** The pids in the fields of /proc/PID/status; []: before 4.1 it did not tell. */
export function nsPidsOf(fields: string): number[] {
  const pids = /^NSpid:((?:\s+\d{1,10})+)$/m.exec(fields)?.[1];
  return pids === undefined ? [] : pids.trim().split(/\s+/).map(Number);
}

/** No text where it is not shown. */
export function optionalText(source: HostSource, path: string): string {
  try {
    return source.readText(path);
  } catch (error) {
    if (isHostError(error)) return '';
    throw error;
  }
}

function readWait(source: HostSource, pid: number): string | null {
  try {
    // The kernel ends it without a newline, a capture with one.
    const name = source.readText(`/proc/${pid}/wchan`).trimEnd();
    return /^[A-Za-z_][\w.]{0,63}$/.test(name) ? name : null;
  } catch (error) {
    if (isHostError(error)) return null;
    throw error;
  }
}
