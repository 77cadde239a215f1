import { blockedTasks } from '../account/blocked.js';
import { attempted } from '../account/memory/missed.js';
import { NOT_KEPT } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { BlockedAnswer, BlockingLock } from '../contracts/blocked.js';
import type { Kernel } from '../kernel/kernel.js';
import type { WaitKind } from '../records/waits.js';
import { leavesComplete, Warnings } from '../walk/warnings.js';
import { type Evidence, type Finding, found } from './finding.js';
import { THRESHOLDS } from './thresholds.js';

/** Findings of locks, and the tasks that they describe. */
export interface LockFindings {
  readonly findings: readonly Finding[];
  /** Pids of the waiting tasks. */
  readonly pids: ReadonlySet<number>;
}

/** Locks that other tasks release: an event, such as the end of I/O, has no owner. */
const LOCKS: ReadonlySet<WaitKind> = new Set(['mutex', 'rw-semaphore', 'semaphore', 'percpu-rw-semaphore']);

/** Maximum number of findings of each kind. */
const MOST = 5;

/** Deadlocks, and the locks for which most tasks wait, directly or for a lock that its owner holds. */
export function lockFindings(kernel: Kernel, warnings: Warnings): LockFindings {
  const own = new Warnings();
  const answer = attempted(own, 'locks', () => blockedTasks(kernel, { uninterruptible: true }));
  const messages = [...own.list(), ...(answer?.warnings ?? [])];
  // An extract of an earlier release of kdump-mem did not keep locks.
  const lost = messages.filter((warning) => !leavesComplete(warning));
  if (lost.length > 0 && lost.every(({ message }) => message.includes(NOT_KEPT)))
    return { findings: [], pids: new Set() };
  for (const { code, message } of messages) warnings.add(code, message);
  if (answer === undefined) return { findings: [], pids: new Set() };
  const cycles = answer.cycles.slice(0, MOST);
  const inCycle = new Set(answer.cycles.flatMap(({ locks }) => locks));
  const trees = answer.locks
    .filter(({ id, kind, address, waitsFor }) => {
      const isRoot = waitsFor === null || !LOCKS.has(answer.locks[waitsFor]?.kind ?? 'unknown');
      return isRoot && !inCycle.has(id) && LOCKS.has(kind) && address !== null;
    })
    .map((root) => ({ root, locks: below(answer, [root]) }))
    .toSorted((a, b) => waitersOf(b.locks).length - waitersOf(a.locks).length)
    .slice(0, MOST);
  const deadlocks = cycles.map(({ locks: ids }) => {
    const cycle = ids.flatMap((id) => answer.locks[id] ?? []);
    return { cycle, locks: below(answer, cycle) };
  });
  const findings = [
    ...deadlocks.map(({ cycle, locks }) => deadlock(cycle, locks, answer)),
    ...trees.map(({ root, locks }) => contention(root, locks, answer)),
  ];
  const waiters = waitersOf([...deadlocks, ...trees].flatMap(({ locks }) => locks));
  return { findings, pids: new Set(waiters.map(({ pid }) => pid)) };
}

/** These locks, and all whose owners wait for one of them. */
function below({ locks }: BlockedAnswer, roots: readonly BlockingLock[]): BlockingLock[] {
  const reached = new Set(roots);
  const above = new Map<number, BlockingLock[]>();
  for (const lock of locks)
    if (lock.waitsFor !== null) above.set(lock.waitsFor, [...(above.get(lock.waitsFor) ?? []), lock]);
  for (const lock of reached) for (const next of above.get(lock.id) ?? []) reached.add(next);
  return [...reached];
}

const waitersOf = (locks: readonly BlockingLock[]) => locks.flatMap(({ waiters }) => waiters);

function deadlock(
  cycle: readonly BlockingLock[],
  locks: readonly BlockingLock[],
  { locks: all, stacks }: BlockedAnswer,
): Finding {
  const [first] = cycle;
  const figures = {
    tasks: waitersOf(locks).length,
    owners: cycle.length,
    ...owned(first),
    ...lockFigures(first),
    otherPid: cycle[1]?.owner?.pid ?? null,
    otherComm: cycle[1]?.owner?.comm ?? null,
    otherLock: cycle[1] ? nameOf(cycle[1]) : null,
  };
  const evidence = cycle.flatMap(({ owner }) => stackOf(owner, stacks));
  return found('deadlock', 'critical', figures, 'blocked', { evidence, waits: { roots: cycle, locks: all } });
}

function contention(
  root: BlockingLock,
  locks: readonly BlockingLock[],
  { locks: all, stacks }: BlockedAnswer,
): Finding {
  const waiters = waitersOf(locks);
  const seconds = waiters.flatMap(({ seconds: waited }) => waited ?? []);
  const on = root.waitsFor === null ? undefined : all[root.waitsFor];
  const figures = {
    tasks: waiters.length,
    ...lockFigures(root),
    readers: root.readers,
    seconds: seconds.length > 0 ? Math.floor(Math.max(...seconds)) : null,
    ...owned(root),
    symbol: root.owner?.function ?? null,
    waitsFor: on?.kind ?? null,
  };
  const evidence = stackOf(root.owner ?? root.waiters[0] ?? null, stacks);
  const severity = waiters.length >= THRESHOLDS['blocked-tasks'].warning ? 'warning' : 'note';
  return found('blocked-on-lock', severity, figures, 'blocked', { evidence, waits: { roots: [root], locks: all } });
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

function nameOf({ symbol, address }: BlockingLock): string {
  return symbol ?? (address === null ? '?' : hex(address));
}

function stackOf(task: BlockingLock['owner'], stacks: BlockedAnswer['stacks']): Evidence[] {
  const stack = stacks[task?.stack ?? -1];
  return stack ? [{ kind: 'stack', ...stack }] : [];
}
