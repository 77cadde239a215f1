import { HostError, hostOrNull } from '../../base/errors.js';
import { type FileLock, type HostThread, TASK_STATES, type ThreadWait, type TraceFrame } from '../../records/waits.js';
import type { HostSource } from '../host-source.js';
import { isPid, listedPids, nsPidsOf, optionalText, statFields, statusFields } from './process.js';

/** Maximum number of threads that are read. */
const MAX_THREADS = 500_000;
const MAX_FRAMES = 64;

/**
 * Reads the states of all threads, and where those in state D wait. Threads that exit meanwhile are left out.
 *
 * @param missed receives what could not be read
 * @throws {HostError} /proc cannot be listed
 */
export function readThreads(source: HostSource, missed: (error: HostError) => void): ThreadWait[] {
  const waits: ThreadWait[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      const isExit = error.code === 'gone' && !error.message.endsWith('was not captured');
      if (!isExit) missed(error);
      return undefined;
    }
  };
  for (const pid of listedPids(source)) {
    const folder = `/proc/${pid}/task`;
    for (const tid of (attempt(() => source.list(folder)) ?? []).filter(isPid)) {
      if (waits.length === MAX_THREADS) {
        missed(new HostError('unreadable', `only ${MAX_THREADS} threads were read`));
        return waits;
      }
      const thread = attempt(() => readWait(source, Number(pid), Number(tid)));
      if (thread) waits.push(thread);
    }
  }
  return waits;
}

/** Maximum number of reads of a thread that runs meanwhile. */
const MAX_READS = 3;

/** @throws {HostError} */
function readWait(source: HostSource, process: number, pid: number): ThreadWait {
  const folder = `/proc/${process}/task/${pid}`;
  const textOf = (path: string) => optionalText(source, path);
  for (let reads = 1; ; reads++) {
    const thread = readThread(source, process, pid);
    const none = { ...thread, function: null, trace: null };
    if (thread.state !== 'D') return none;
    // Snapshots of earlier releases have that of the first thread.
    const wchan = textOf(`${folder}/wchan`) || (pid === process ? textOf(`/proc/${pid}/wchan`) : '');
    const where = /^([A-Za-z_][\w.]{0,63})\s*$/.exec(wchan)?.[1] ?? null;
    const frames = framesOf(textOf(`${folder}/stack`));
    const after = readThread(source, process, pid);
    const isSame =
      !thread.hasRun &&
      !after.hasRun &&
      after.state === 'D' &&
      after.switches === thread.switches &&
      (where === null || frames.length === 0 || frames.some(({ symbol }) => symbol === where));
    if (isSame) return { ...thread, function: where, trace: frames.length > 0 ? frames : null };
    if (reads === MAX_READS) return { ...none, ...after };
  }
}

/**
 * A snapshot has the status of a thread in state D twice: before and after where it waits.
 *
 * @throws {HostError}
 */
function readThread(source: HostSource, process: number, pid: number): HostThread & { readonly hasRun: boolean } {
  const path = `/proc/${process}/task/${pid}/status`;
  const text = statusFields(source.readText(path));
  const counts = [
    ...text.matchAll(/^voluntary_ctxt_switches:\s*(\d{1,15})\nnonvoluntary_ctxt_switches:\s*(\d{1,15})$/gm),
  ].map(([, own, forced]) => Number(own) + Number(forced));
  const states = [...text.matchAll(/^State:\s*([A-Za-z])/gm)].map(([, letter = '']) => letter);
  const state = TASK_STATES.find((letter) => letter === states.at(-1));
  if (state === undefined) throw new HostError('unreadable', `malformed ${path}`);
  return {
    pid,
    process,
    state,
    switches: counts.at(-1) ?? null,
    nsPids: nsPidsOf(text),
    hasRun: new Set(counts).size > 1 || new Set(states).size > 1,
  };
}

/** Frames of lines such as `[<0>] rpc_wait_bit_killable+0x11/0x70 [sunrpc]` (proc_pid_stack, fs/proc/base.c). */
function framesOf(text: string): TraceFrame[] {
  const form = /^\[<\w{1,16}>\] ([A-Za-z_][\w.]{0,127})\+0x([0-9a-f]{1,8})\/0x\w{1,8}(?: \[(\w{1,64})\])?/gm;
  const all = [...text.matchAll(form)].slice(0, MAX_FRAMES);
  return all.map(([, symbol = '', offset = '', module]) => ({
    symbol,
    offset: Number.parseInt(offset, 16),
    module: module ?? null,
  }));
}

const PATH = '/proc/locks';
const MAX_LOCKS = 500_000;

/**
 * Returns the locks with waiters.
 *
 * @param missed receives what is malformed or hidden
 * @throws {HostError} it cannot be read
 */
export function readFileLocks(source: HostSource, missed: (error: HostError) => void): FileLock[] {
  const locks: (FileLock & { readonly waiters: FileLock[] })[] = [];
  let [number, hidden, malformed] = [0, 0, 0];
  const lines = source.readText(PATH).split('\n', MAX_LOCKS + 1);
  if (lines.length > MAX_LOCKS) missed(new HostError('unreadable', `${PATH}: only ${MAX_LOCKS} lines were read`));
  for (const line of lines) {
    if (line === '') continue;
    const [, own, isWaiter, lock] = /^(\d{1,9}): *(->)? *(.+)$/.exec(line) ?? [];
    const parsed = lock === undefined ? undefined : fileLock(lock);
    const holder = locks.at(-1);
    if (parsed === undefined || (isWaiter && Number(own) !== number)) malformed++;
    else if (isWaiter) holder?.waiters.push(parsed);
    else {
      // Locks that no process of this pid namespace requested have a number, but no line.
      hidden += Math.abs(Number(own) - number - 1);
      number = Number(own);
      locks.push({ ...parsed, waiters: [] });
    }
  }
  if (malformed > 0) missed(new HostError('unreadable', `${PATH}: ${malformed} lines are malformed`));
  if (hidden > 0) missed(new HostError('denied', `${PATH}: ${hidden} locks are not listed (another pid namespace)`));
  return locks.filter(({ waiters }) => waiters.length > 0);
}

function fileLock(text: string): FileLock | undefined {
  const form =
    /^([A-Z]+) +\S+ +(READ|WRITE|UNLCK) +(-?\d{1,10}) (?:([\da-f]{1,4}):([\da-f]{1,6}):(\d{1,20})|<none>:0) (\d{1,19}) (\d{1,19}|EOF)$/;
  const [, type, access, pid, major, minor, inode, from, to] = form.exec(text) ?? [];
  if (type === undefined) return undefined;
  return {
    type,
    exclusive: access === 'WRITE',
    pid: Number(pid) > 0 ? Number(pid) : null,
    device: major === undefined ? null : `${Number.parseInt(major, 16)}:${Number.parseInt(minor ?? '', 16)}`,
    inode: inode ?? null,
    from: Number(from),
    to: to === 'EOF' ? null : Number(to),
    waiters: [],
  };
}

/** A process with a descriptor that has a lock. */
export interface LockHolder {
  readonly process: number;
  /** Path of the file; null: unknown. Untrusted. */
  readonly path: string | null;
}

/** Maximum number of descriptors that are read to find the holder of a lock. */
const MAX_DESCRIPTORS = 100_000;

/**
 * Finds the process that requested a lock among those that have it. Another one has it if that process passed it on or
 * its pid was used again, and if the kernel records none: then all are searched.
 *
 * @returns null: the descriptors of the process that requested it are not readable
 */
export function lockHolders(source: HostSource, lock: FileLock): LockHolder[] | null {
  let read = 0;
  const isHere = (text: string) =>
    [...text.matchAll(/^lock:\s*\d+: *(.+)$/gm)].some(([, line = '']) => {
      const { type, inode, device } = fileLock(line) ?? {};
      return type === lock.type && inode === lock.inode && device === lock.device;
    });
  // Lines such as `lock:\t1: FLOCK  ADVISORY  WRITE 812 fe:00:2146337 0 EOF` (show_fd_locks, fs/proc/fd.c).
  const ofProcess = (folder: string): LockHolder[] | null =>
    hostOrNull(() => {
      for (const fd of source.list(`${folder}/fdinfo`)) {
        if (++read > MAX_DESCRIPTORS) return [];
        if (!isHere(optionalText(source, `${folder}/fdinfo/${fd}`))) continue;
        const path = hostOrNull(() => source.readLink(`${folder}/fd/${fd}`));
        return [{ process: Number(folder.slice('/proc/'.length)), path }];
      }
      return [];
    });
  const pids = listedPids(source);
  const isListed = lock.pid !== null && pids.includes(`${lock.pid}`);
  const own = isListed ? ofProcess(`/proc/${lock.pid}`) : [];
  if (own?.length !== 0) return own;
  return pids.flatMap((pid) => ofProcess(`/proc/${pid}`) ?? []);
}

/** Processes whose last run is compared; each takes three small reads. */
const MAX_COMPARED = 2000;

interface LastRun {
  readonly cpu: string;
  /** Milliseconds on the clock of that CPU. */
  readonly at: number;
}

/**
 * Lower bounds for how long threads have not run: the start of their last run (se.exec_start of /proc/PID/sched,
 * kernel/sched/debug.c) beside the latest one of processes that sleep on the same CPU. The clock of a CPU lacks the time of
 * interrupts and of the hypervisor (rq_clock_task), so that those of two CPUs cannot be compared.
 */
export class LastRuns {
  readonly #source: HostSource;
  #clocks: Map<string, number> | undefined;

  constructor(source: HostSource) {
    this.#source = source;
  }

  /** Null: unknown, such as without CONFIG_SCHED_DEBUG. */
  secondsSince({ pid, process }: { readonly pid: number; readonly process: number }): number | null {
    const run = this.#lastRun(`/proc/${process}/task/${pid}`);
    if (run === null) return null;
    const clock = this.#clocksNow().get(run.cpu) ?? run.at;
    return clock > run.at ? (clock - run.at) / 1000 : null;
  }

  /** The latest run of each CPU. */
  #clocksNow(): Map<string, number> {
    if (this.#clocks) return this.#clocks;
    this.#clocks = new Map();
    for (const pid of listedPids(this.#source).slice(0, MAX_COMPARED)) {
      const run = this.#lastRun(`/proc/${pid}`);
      if (run) this.#clocks.set(run.cpu, Math.max(run.at, this.#clocks.get(run.cpu) ?? 0));
    }
    return this.#clocks;
  }

  /** Null: it runs, or has moved to another CPU, whose clock is another one. */
  #lastRun(folder: string): LastRun | null {
    const placeOf = () => {
      const fields = statFields(optionalText(this.#source, `${folder}/stat`));
      return /^[SDI]$/.test(fields[0] ?? '') ? (fields[36] ?? null) : null;
    };
    const cpu = placeOf();
    if (cpu === null) return null;
    const [, at] =
      /^se\.exec_start +: +(\d{1,15}\.\d{1,9})$/m.exec(optionalText(this.#source, `${folder}/sched`)) ?? [];
    return at !== undefined && Number(at) > 0 && placeOf() === cpu ? { cpu, at: Number(at) } : null;
  }
}
