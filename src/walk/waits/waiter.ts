import { ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes, TornList } from '../list.js';
import { findOrNot, pointerPartOf } from '../named-read.js';
import { type SavedStack, wordsWith } from './saved-stacks.js';

/**
 * Structs by which a task waits. They are on the stack of the waiting task, and linked to the lock: mutex_waiter and
 * rwsem_waiter (kernel/locking), semaphore_waiter, swait_queue (completions), wait_queue_entry, futex_q.
 */
const SHAPES = {
  mutex: { struct: 'mutex_waiter', task: 'task', list: 'list' },
  'rw-semaphore': { struct: 'rwsem_waiter', task: 'task', list: 'list' },
  semaphore: { struct: 'semaphore_waiter', task: 'task', list: 'list' },
  completion: { struct: 'swait_queue', task: 'task', list: 'task_list' },
  'wait-queue': { struct: 'wait_queue_entry', task: 'private', list: 'entry' },
  futex: { struct: 'futex_q', task: 'task', list: 'list.node_list' },
} as const;
export type WaiterShape = keyof typeof SHAPES;

/** Offsets of the members of a waiter, in bytes. */
interface ShapeLayout {
  readonly task: bigint;
  readonly list: bigint;
}

/** A waiter on the stack of its task. */
export interface Waiter {
  readonly shape: WaiterShape;
  /** Address of the struct. */
  readonly address: bigint;
  /** Address of its list node. */
  readonly node: bigint;
}

/** Reads waiters. */
export class Waiters {
  readonly #kernel: Kernel;
  readonly #layouts = new Map<WaiterShape, ShapeLayout>();
  /** Structs that the types of this kernel lack, though its locks need them. */
  readonly missing: readonly string[];

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const missing: string[] = [];
    // With PREEMPT_RT both contain an rt_mutex, and tasks wait for that.
    const rt = kernel.struct('mutex')?.member('rtmutex') ? ['mutex_waiter', 'rwsem_waiter'] : [];
    for (const shape of Object.keys(SHAPES) as WaiterShape[]) {
      const { struct, task, list } = SHAPES[shape];
      const layout = kernel.struct(struct);
      const [taskAt, listAt] = [layout?.member(task), layout?.member(list)];
      if (taskAt && listAt) this.#layouts.set(shape, { task: BigInt(taskAt.offset), list: BigInt(listAt.offset) });
      else if (!rt.includes(struct)) missing.push(struct);
    }
    this.missing = missing;
  }

  /**
   * Finds the innermost linked waiter of these shapes on a task's stack. Both neighbours of its list node must point
   * back to it, so that words left by an earlier wait are not taken for one.
   */
  onStack(stack: SavedStack, task: bigint, shapes: readonly WaiterShape[]): Waiter | undefined {
    for (const at of wordsWith(stack, task))
      for (const shape of shapes) {
        const layout = this.#layouts.get(shape);
        if (layout === undefined) continue;
        const address = at - layout.task;
        const node = address + layout.list;
        if (address >= stack.sp && this.#isLinked(node)) return { shape, address, node };
      }
    return undefined;
  }

  #isLinked(node: bigint): boolean {
    const word = (address: bigint) => readOrNot(() => pointerPartOf(this.#kernel, 'the list', node, address));
    const [next, previous] = [word(node), word(node + 8n)];
    if (!isPointer(next) || !isPointer(previous)) return false;
    return word(next + 8n) === node && word(previous) === node;
  }

  /** The waiter whose list node this is. */
  at(node: bigint, shape: WaiterShape): Waiter {
    const list = this.#layouts.get(shape)?.list ?? 0n;
    return { shape, address: node - list, node };
  }

  /** The task of a waiter. */
  taskOf({ address, shape }: Waiter): bigint {
    const at = address + (this.#layouts.get(shape)?.task ?? 0n);
    return pointerPartOf(this.#kernel, `struct ${SHAPES[shape].struct}`, address, at);
  }

  /**
   * Returns all nodes of the ring that a waiter is linked into, beginning with its own: other waiters, and the head of
   * the list if there is one.
   */
  ring({ node }: Waiter): bigint[] {
    const ring = [node, ...listNodes(this.#kernel, node)];
    const previous = pointerPartOf(this.#kernel, 'the list', node, node + 8n);
    if (previous !== ring.at(-1))
      throw new TornList(
        `the list at ${hex(node)} is inconsistent: ${hex(ring.at(-1) ?? 0n)} points to it, but it points back to ${hex(previous)}`,
      );
    return ring;
  }

  /** Whether a node of a wait queue is an entry, not the head: each has a function that wakes. */
  isQueueEntry(node: bigint): boolean {
    const layout = this.#kernel.struct('wait_queue_entry');
    const [entry, func] = [layout?.member('entry'), layout?.member('func')];
    if (!entry || !func) return false;
    const at = node - BigInt(entry.offset) + BigInt(func.offset);
    const wakes = readOrNot(() => pointerPartOf(this.#kernel, 'the wait queue', node, at));
    if (!isPointer(wakes)) return false;
    return findOrNot(() => this.#kernel.symbolAt?.(wakes))?.offset === 0;
  }
}

/** Whether a word may be the address of a kernel object with aligned members. */
export function isPointer(word: bigint | undefined): word is bigint {
  return word !== undefined && word >> 63n === 1n && (word & 7n) === 0n;
}

/** Whether an error means that a list cannot be followed. */
export function isBroken(error: unknown): error is TornList | ReadError {
  return error instanceof TornList || error instanceof ReadError;
}
