import { type BlockedAnswer, type BlockingLock, blockedTasks } from '../account/blocked.js';
import { attempted } from '../account/memory/missed.js';
import { NOT_KEPT } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';
import type { WaitKind } from '../walk/waits/lock-state.js';
import { leavesComplete, Warnings } from '../walk/warnings.js';
import type { Evidence, Finding } from './finding.js';

/** Findings of locks, and the tasks that they describe. */
export interface LockFindings {
  readonly findings: readonly Finding[];
  /** Pids of the waiting tasks. */
  readonly pids: ReadonlySet<number>;
}

/** Locks that other tasks release: an event, such as the end of I/O, has no owner. */
const LOCKS: ReadonlySet<WaitKind> = new Set(['mutex', 'rw-semaphore', 'semaphore', 'percpu-rw-semaphore']);

/** This many tasks that wait for one lock are a problem of the machine. */
const CROWD = 8;
/** Maximum number of findings of each kind. */
const MOST = 5;

/** Deadlocks, and the locks for which most tasks wait, directly or for a lock that its owner holds. */
export function lockFindings(kernel: Kernel, warnings: Warnings): LockFindings {
  const own = new Warnings();
  const found = attempted(own, 'locks', () => blockedTasks(kernel, { uninterruptible: true }));
  const messages = [...own.list(), ...(found?.warnings ?? [])];
  // An extract of an earlier release of kdump-mem did not keep locks.
  const lost = messages.filter((warning) => !leavesComplete(warning));
  if (lost.length > 0 && lost.every(({ message }) => message.includes(NOT_KEPT)))
    return { findings: [], pids: new Set() };
  for (const { code, message } of messages) warnings.add(code, message);
  if (found === undefined) return { findings: [], pids: new Set() };
  const cycles = found.cycles.slice(0, MOST);
  const inCycle = new Set(found.cycles.flatMap(({ locks }) => locks));
  const trees = found.locks
    .filter(({ id, kind, address, waitsFor }) => {
      const isRoot = waitsFor === null || !LOCKS.has(found.locks[waitsFor]?.kind ?? 'unknown');
      return isRoot && !inCycle.has(id) && LOCKS.has(kind) && address !== null;
    })
    .map((root) => ({ root, locks: below(found, [root]) }))
    .toSorted((a, b) => waitersOf(b.locks).length - waitersOf(a.locks).length)
    .slice(0, MOST);
  const deadlocks = cycles.map(({ locks: ids }) => {
    const cycle = ids.flatMap((id) => found.locks[id] ?? []);
    return { cycle, locks: below(found, cycle) };
  });
  const findings = [
    ...deadlocks.map(({ cycle, locks }) => deadlock(cycle, locks, found)),
    ...trees.map(({ root, locks }) => contention(root, locks, found)),
  ];
  const waiters = waitersOf([...deadlocks, ...trees].flatMap(({ locks }) => locks));
  return { findings, pids: new Set(waiters.map(({ pid }) => pid)) };
}

/** These locks, and all whose owners wait for one of them. */
function below({ locks }: BlockedAnswer, roots: readonly BlockingLock[]): BlockingLock[] {
  const found = new Set(roots);
  const above = new Map<number, BlockingLock[]>();
  for (const lock of locks)
    if (lock.waitsFor !== null) above.set(lock.waitsFor, [...(above.get(lock.waitsFor) ?? []), lock]);
  for (const lock of found) for (const next of above.get(lock.id) ?? []) found.add(next);
  return [...found];
}

const waitersOf = (locks: readonly BlockingLock[]) => locks.flatMap(({ waiters }) => waiters);

function deadlock(
  cycle: readonly BlockingLock[],
  locks: readonly BlockingLock[],
  { locks: all }: BlockedAnswer,
): Finding {
  const [first] = cycle;
  return {
    code: 'deadlock',
    severity: 'critical',
    figures: {
      tasks: waitersOf(locks).length,
      owners: cycle.length,
      ...owned(first),
      ...lockFigures(first),
      otherPid: cycle[1]?.owner?.pid ?? null,
      otherComm: cycle[1]?.owner?.comm ?? null,
      otherLock: cycle[1] ? nameOf(cycle[1]) : null,
    },
    evidence: cycle.flatMap(({ owner }) => stackOf(owner)),
    waits: { roots: cycle, locks: all },
    next: 'blocked',
  };
}

function contention(root: BlockingLock, locks: readonly BlockingLock[], { locks: all }: BlockedAnswer): Finding {
  const waiters = waitersOf(locks);
  const seconds = waiters.flatMap(({ seconds: each }) => each ?? []);
  const on = root.waitsFor === null ? undefined : all[root.waitsFor];
  return {
    code: 'blocked-on-lock',
    severity: waiters.length >= CROWD ? 'warning' : 'note',
    figures: {
      tasks: waiters.length,
      ...lockFigures(root),
      readers: root.readers,
      seconds: seconds.length > 0 ? Math.floor(Math.max(...seconds)) : null,
      ...owned(root),
      symbol: root.owner?.function ?? null,
      waitsFor: on?.kind ?? null,
    },
    evidence: stackOf(root.owner ?? root.waiters[0] ?? null),
    waits: { roots: [root], locks: all },
    next: 'blocked',
  };
}

const owned = (lock: BlockingLock | undefined) => ({
  pid: lock?.owner?.pid ?? null,
  comm: lock?.owner?.comm ?? null,
  state: lock?.owner?.state ?? null,
});

const lockFigures = (lock: BlockingLock | undefined) => ({
  kind: lock?.kind ?? null,
  lock: lock ? nameOf(lock) : null,
});

function nameOf({ object, address }: BlockingLock): string {
  if (object?.kind === 'symbol' && object.offset === 0) return object.name;
  return address === null ? '?' : hex(address);
}

function stackOf(task: BlockingLock['owner']): Evidence[] {
  if (!task?.stack) return [];
  const { frames, end, why, stop } = task.stack;
  return [{ kind: 'stack', frames, end, why, ...(stop === undefined ? {} : { stop }) }];
}
