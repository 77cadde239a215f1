import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import type { Task } from '../tasks/tasks.js';
import { lockName } from './lock-state.js';
import type { SavedStack } from './saved-stacks.js';
import type { Wait, WaitContext, WaiterList, Waiting } from './wait-context.js';
import type { Waiter } from './waiter.js';

/** Structs of the locks whose waiters have the same shape as these kinds. */
const LOCKS = { mutex: 'mutex', 'rw-semaphore': 'rw_semaphore', semaphore: 'semaphore' } as const;
type LockKind = keyof typeof LOCKS;

/** Maximum number of other waiters' stacks to search for the address of their lock. */
const MAX_SEARCHED = 8;

/** Maximum depth of a tree of waiters: a red-black tree of all tasks is less deep. */
const MAX_DEPTH = 64;

/** Types in the low bits of `task_struct.blocker` (include/linux/hung_task.h). */
const BLOCKER_TYPES = 3n;

/** The wait for a lock with a list of waiters (kernel/locking). */
export const lockWait =
  (kind: LockKind) =>
  (context: WaitContext, waiting: Waiting): Wait => {
    const waiter = context.waiterOf(waiting, kind);
    const { address, listed } = waiter ? lockOf(context, waiting.stack, waiter, kind) : {};
    if (address === undefined || listed === undefined) return { kind };
    checkLock(context, waiting.task, kind, address);
    return { kind, address, listed };
  };

function lockOf(context: WaitContext, stack: SavedStack, waiter: Waiter, kind: LockKind): WaiterList {
  const layout = context.kernel.struct(LOCKS[kind]);
  const at = layout?.member('wait_list')?.offset;
  if (at !== undefined) {
    const { address, listed } = context.listOf(waiter);
    return address === undefined || listed === undefined ? {} : { address: address - BigInt(at), listed };
  }
  // Since 7.1 the lock points to its first waiter, and is not on their ring.
  const first = layout?.member('first_waiter')?.offset;
  const known = context.lists.get(waiter.node);
  if (known !== undefined || first === undefined) return known ?? {};
  const ring = context.ring(waiter);
  const other = ring.find((node) => !context.isOnStack(node, kind));
  if (other !== undefined) {
    context.torn(`the list with the waiter at ${hex(waiter.address)} has ${hex(other)}, which is no task’s`);
    return {};
  }
  const address = lockOfRing(context, stack, ring, BigInt(first));
  if (address === undefined) {
    if (ring.length > 0) context.torn(`no ${kind} has the waiter at ${hex(waiter.address)} on its list`);
    return {};
  }
  const lock = { address, listed: ring.flatMap((node) => context.taskOf(node, kind) ?? []) };
  for (const node of ring) context.lists.set(node, lock);
  return lock;
}

/** The lock that points to a waiter of a ring: its address is on the stacks of its waiters. */
function lockOfRing(
  context: WaitContext,
  stack: SavedStack,
  ring: readonly bigint[],
  first: bigint,
): bigint | undefined {
  const members = new Set(ring);
  const stacks = [stack];
  for (const node of ring.slice(1, MAX_SEARCHED)) {
    const owner = context.tasks.get(context.stacks.startOf(node));
    const other = owner && readOrNot(() => context.stacks.of(owner.address));
    if (other !== undefined) stacks.push(other);
  }
  for (const searched of stacks) {
    const lock = context.objectOnStack(searched, first, (pointer) => members.has(pointer));
    if (lock !== undefined) return lock;
  }
  return undefined;
}

/** Compares a lock with what the task itself records, since about 6.16. */
function checkLock(context: WaitContext, { address, pid }: Task, kind: LockKind, lock: bigint): void {
  if (context.kernel.facts.live) return;
  const on = kind === 'mutex' ? context.pointerOf(address, 'blocked_on') : undefined;
  const by = (context.pointerOf(address, 'blocker') ?? 0n) & ~BLOCKER_TYPES;
  for (const [member, recorded] of Object.entries({ blocked_on: on ?? 0n, blocker: by }))
    if (recorded !== 0n && recorded !== lock)
      context.corrupt(
        `pid ${pid} is on the list of the ${lockName(kind, lock)}, but its ${member} is ${hex(recorded)}`,
      );
}

/** A writer that waits for readers to leave: the semaphore points to it, and is on its stack. */
export function percpuWriterWait(context: WaitContext, { task, stack, name }: Waiting): Wait {
  const kind = 'percpu-rw-semaphore';
  const writer = context.kernel.struct('percpu_rw_semaphore')?.member('writer.task')?.offset;
  if (writer === undefined) return { kind };
  const address = context.objectOnStack(stack, BigInt(writer), (pointer) => pointer === task.address);
  if (address !== undefined) return { kind, address };
  context.torn(`pid ${task.pid} waits in ${name}, but no semaphore on its stack names it as writer`);
  return { kind };
}

/** The wait for an rt_mutex, which the task itself records (kernel/locking/rtmutex.c). */
export function rtMutexWait(context: WaitContext, { task }: Waiting): Wait {
  const on = context.pointerOf(task.address, 'pi_blocked_on') ?? 0n;
  if (on === 0n) return { kind: 'rt-mutex' };
  const view = new StructReader(context.kernel, 'rt_mutex_waiter', ['task', 'lock']).read(on);
  const waits = `pid ${task.pid} waits by the rt_mutex_waiter at ${hex(on)}, which`;
  if (view.pointer('task') !== task.address) {
    context.corrupt(`${waits} is another task’s`);
    return { kind: 'rt-mutex' };
  }
  const lock = view.pointer('lock');
  if (!isInTreeOf(context.kernel, lock, on)) context.torn(`${waits} the rt_mutex at ${hex(lock)} lacks`);
  return { kind: 'rt-mutex', address: lock };
}

/** Whether the tree of waiters that a waiter is in is that of its rt_mutex. */
function isInTreeOf(kernel: Kernel, lock: bigint, waiter: bigint): boolean {
  const type = kernel.struct('rt_mutex_base') ? 'rt_mutex_base' : 'rt_mutex';
  const root = StructReader.ifPresent(kernel, type, ['waiters.rb_root.rb_node']);
  const layout = kernel.struct('rt_mutex_waiter');
  const node = layout?.member('tree.entry') ?? layout?.member('tree_entry');
  const parent = StructReader.ifPresent(kernel, 'rb_node', ['__rb_parent_color']);
  if (!root || !node || !parent) return true;
  let at = waiter + BigInt(node.offset);
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    // The lowest bits are the color.
    const above = parent.read(at).pointer('__rb_parent_color') & ~3n;
    if (above === 0n) return (readOrNot(() => root.read(lock).pointer('waiters.rb_root.rb_node')) ?? 0n) === at;
    at = above;
  }
  return false;
}
