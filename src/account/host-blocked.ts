import { grouped } from '../base/util.js';
import type { BlockedAnswer, BlockedTask, BlockingLock } from '../contracts/blocked.js';
import type { FileLock, HostThread, ThreadWait, WaitCause } from '../records/waits.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import { cyclesOf, FROZEN } from './blocked.js';

/** Threads and file locks of a host, from /proc or a snapshot. */
export interface HostWaits {
  readonly threads: readonly ThreadWait[];
  /** Those with waiters. */
  readonly fileLocks: readonly FileLock[];
  /** An earlier sample, and the least time since. */
  readonly before?: { readonly threads: readonly HostThread[]; readonly seconds: number } | undefined;
  /** Null: this machine. */
  readonly captured: BlockedAnswer['captured'];
  /** What could not be read. */
  readonly warnings: readonly Warning[];
  /** Name of a thread. Untrusted. */
  nameOf(thread: HostThread): string;
  /** Function in which the first thread of a process waits; null: unknown, or it runs. */
  functionOf(process: number): string | null;
  /** Least time for which a thread that sleeps has not run; null: unknown. */
  secondsSinceRun?(thread: HostThread): number | null;
  /** What a thread in state D waits for; null: unknown. */
  causeOf?(thread: ThreadWait): WaitCause | null;
  /** Processes with a descriptor that has a lock, and the path of its file; null: not readable. */
  holdersOf(lock: FileLock): readonly { readonly process: number; readonly path: string | null }[] | null;
}

/** A group of waiters with one cause, or in one place; `behind` wait for a lock of the file system of the others. */
export interface WaitGroup<Waiter> {
  readonly waiters: readonly Waiter[];
  readonly cause: WaitCause | null;
  readonly behind: number;
}

/** Waits for a lock of an inode or directory, or for a lookup of the same name. */
const OF_LOCKS =
  /^(?:d_alloc_parallel|d_wait_lookup|rwsem_down_\w+|__mutex_lock\w*|mutex_lock\w*|__wait_on_freeing_inode)/;

/**
 * Groups waiters by cause, and those without a known one by place. If only one cause is known, a waiter for a lock
 * of an inode belongs to it: the task that holds the lock waits for the file system.
 */
export function waitGroups<Waiter extends { readonly cause: WaitCause | null; readonly function: string | null }>(
  waiters: readonly Waiter[],
  placeOf: (waiter: Waiter) => string,
): WaitGroup<Waiter>[] {
  const causeKey = ({ kind, device }: WaitCause) => `${kind} ${device}`;
  const keys = new Set(waiters.flatMap(({ cause }) => (cause === null ? [] : causeKey(cause))));
  const [only] = keys.size === 1 ? keys : [];
  const isBehind = (waiter: Waiter) =>
    only !== undefined && waiter.cause === null && waiter.function !== null && OF_LOCKS.test(waiter.function);
  const keyOf = (waiter: Waiter) => {
    if (waiter.cause !== null) return causeKey(waiter.cause);
    return isBehind(waiter) ? (only ?? '') : placeOf(waiter);
  };
  const known = waiters.toSorted((a, b) => Number(a.cause === null) - Number(b.cause === null));
  return [...grouped(known, keyOf).values()].map((group) => {
    return { waiters: group, cause: group[0]?.cause ?? null, behind: group.filter(isBehind).length };
  });
}

/** What /proc shows of a lock of the kernel: nothing. */
const UNKNOWN_LOCK: BlockingLock = {
  id: 0,
  kind: 'unknown',
  address: null,
  bit: null,
  symbol: null,
  object: null,
  ownerState: 'unknown',
  owner: null,
  readers: null,
  candidates: [],
  device: null,
  file: null,
  cause: null,
  trace: null,
  waiters: [],
  waitsFor: null,
};

/**
 * Groups threads in uninterruptible sleep by where they wait, and processes that wait for file locks by the lock. /proc
 * names no owner of a lock of the kernel.
 */
export function hostBlocked(host: HostWaits): BlockedAnswer {
  const warnings = new Warnings();
  for (const { code, message } of host.warnings) warnings.add(code, message);
  const processes = grouped(host.threads, ({ process }) => process);
  const earlier = new Map(host.before?.threads.map((thread) => [thread.pid, thread]));
  const describe = (thread: HostThread, where: string | null): BlockedTask => {
    const was = earlier.get(thread.pid);
    const hasStayed = was?.state === thread.state && was.switches !== null && was.switches === thread.switches;
    return {
      pid: thread.pid,
      process: thread.process,
      comm: host.nameOf(thread),
      state: thread.state,
      cpu: null,
      seconds: null,
      leastSeconds: hasStayed ? Math.max(host.before?.seconds ?? 0, host.secondsSinceRun?.(thread) ?? 0) : null,
      nsPids: thread.nsPids,
      function: where,
      stack: null,
    };
  };
  /** Locks are requested by processes: which of several threads waits is not known. */
  const processOf = (pid: number | null): BlockedTask | undefined => {
    // One that has exited holds and awaits nothing, though its parent has not waited for it.
    const threads = (processes.get(pid ?? 0) ?? []).filter(({ state }) => !/[XZ]/.test(state));
    const first = threads.find((thread) => thread.pid === pid) ?? threads[0];
    return first && describe(first, threads.length === 1 ? host.functionOf(first.process) : null);
  };
  const locks: BlockingLock[] = [];
  const isBlocked = (thread: ThreadWait) => thread.state === 'D' && thread.function !== FROZEN;
  const blocked = host.threads
    .filter(isBlocked)
    .map((thread) => ({ ...thread, cause: host.causeOf?.(thread) ?? null }));
  const groups = waitGroups(blocked, ({ function: where, trace }) => JSON.stringify([where, trace]));
  for (const { waiters: threads, cause } of groups) {
    const { function: where = null, trace = null } = threads[0] ?? {};
    const waiters = threads.map((thread) => describe(thread, thread.function ?? thread.trace?.[0]?.symbol ?? null));
    if (where === null && trace === null)
      for (const { pid } of waiters)
        warnings.add('unreadable', `pid ${pid} is in state D; where it waits is not readable, or it ran meanwhile`);
    const server = cause?.server == null ? undefined : processOf(cause.server);
    const owner = server ? ({ ownerState: 'task', owner: server } as const) : {};
    locks.push({ ...UNKNOWN_LOCK, ...owner, cause, trace, waiters });
  }
  for (const lock of host.fileLocks) {
    const { waiters: requests, ...file } = lock;
    const holders = host.holdersOf(lock);
    const waiters: BlockedTask[] = [];
    for (const { pid } of requests) {
      const waiter = processOf(pid);
      if (waiter) waiters.push(waiter);
      else if (pid !== null) warnings.add('freed-while-read', `pid ${pid} waited for a file lock, and is not in /proc`);
    }
    const isHolder = holders?.some(({ process }) => process === file.pid) ?? true;
    const owner = isHolder ? processOf(file.pid) : undefined;
    const others = owner ? [] : (holders ?? []).flatMap(({ process }) => processOf(process) ?? []);
    locks.push({
      ...UNKNOWN_LOCK,
      kind: 'file-lock',
      ownerState: owner ? 'task' : 'not-recorded',
      owner: owner ?? null,
      candidates: others.map((task) => ({ task, by: 'descriptor' })),
      waiters,
      file: {
        ...file,
        path: holders?.[0]?.path ?? null,
        unnamedWaiters: requests.filter(({ pid }) => pid === null).length,
      },
    });
  }
  locks.sort((a, b) => b.waiters.length - a.waiters.length || (a.waiters[0]?.pid ?? 0) - (b.waiters[0]?.pid ?? 0));
  // Another thread of the owner may release a lock: only a process with one thread waits as a whole.
  const waits = new Map(
    locks.flatMap(({ waiters }, id) =>
      waiters
        .filter(({ process }) => processes.get(process)?.length === 1)
        .map(({ process }) => [process, id] as const),
    ),
  );
  const numbered = locks.map((lock, id) => {
    const waitsFor = lock.owner ? (waits.get(lock.owner.process) ?? null) : null;
    return { ...lock, id, waitsFor };
  });
  const unnamed = locks.reduce((sum, { file }) => sum + (file?.unnamedWaiters ?? 0), 0);
  const named = new Set(locks.flatMap(({ waiters }) => waiters.map(({ pid }) => pid)));
  return {
    schema: 'kdump-mem.blocked/1',
    kernel: null,
    source: 'proc',
    captured: host.captured,
    locks: numbered,
    cycles: cyclesOf(numbered),
    stacks: [],
    blocked: named.size + unnamed,
    tasks: host.threads.length,
    complete: warnings.complete,
    warnings: warnings.list(),
  };
}
