import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { WaitKind } from '../../records/waits.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { Task } from '../tasks/tasks.js';
import { addError, type Warnings } from '../warnings.js';
import type { BlockDevices } from './block-devices.js';
import { type SavedStack, type SavedStacks, wordsOf } from './saved-stacks.js';
import { isBroken, isPointer, type Waiter, type WaiterShape, Waiters } from './waiter.js';

/** What a task waits for. */
export interface Wait {
  readonly kind: WaitKind;
  /** Address of the lock, queue, page struct, word, or futex (user space); undefined: unknown. */
  readonly address?: bigint;
  /** Number of a bit, or undefined. */
  readonly bit?: number;
  /** Memory (`mm_struct`, inode) of a futex, whose addresses differ between processes. */
  readonly space?: bigint;
  /** Addresses of the tasks on the lock's own list of waiters; undefined: it has none. */
  readonly listed?: readonly bigint[];
  /** Address of the task that this wait is for, if its kind alone tells. */
  readonly owner?: bigint;
  /** Super block of a journal. */
  readonly superBlock?: bigint;
  /** Addresses of tasks with open handles of a journal’s transaction, for which it waits. */
  readonly holders?: readonly bigint[];
}

/** A task that waits. */
export interface Waiting {
  readonly task: Task;
  readonly stack: SavedStack;
  /** Function that it waits in, without the suffix of a clone. */
  readonly name: string;
  /** Functions of the stack, innermost first; undefined: no symbol. */
  readonly names: readonly (string | undefined)[];
}

/** A list of waiters: the address of its head, or of its lock, and the tasks on it. */
export type WaiterList = Pick<Wait, 'address' | 'listed'>;

/** What the families of waits share: stacks, waiters, and lists that were read for another task. */
export class WaitContext {
  readonly waiters: Waiters;
  /** Lists by the nodes of their waiters. */
  readonly lists = new Map<bigint, WaiterList>();
  readonly #rings = new Map<bigint, readonly bigint[]>();
  readonly #pointers = new Map<string, StructReader<string> | undefined>();
  #addresses: ReadonlySet<bigint> | undefined;

  /** @param tasks by the lowest address of their stacks */
  constructor(
    readonly kernel: Kernel,
    readonly stacks: SavedStacks,
    readonly tasks: ReadonlyMap<bigint, Task>,
    readonly devices: BlockDevices,
    readonly warnings: Warnings,
  ) {
    this.waiters = new Waiters(kernel);
  }

  corrupt(words: string): void {
    this.warnings.add('corrupt', words);
  }

  torn(words: string): void {
    this.warnings.add('torn-list', words);
  }

  /** Words that disagree: damage, or a change meanwhile. */
  contradict(words: string): void {
    if (this.kernel.facts.live) this.torn(words);
    else this.corrupt(words);
  }

  isTask(address: bigint): boolean {
    this.#addresses ??= new Set([...this.tasks.values()].map((task) => task.address));
    return this.#addresses.has(address);
  }

  /** A pointer of a task; 0n: null; undefined: tasks of this kernel do not have it. */
  pointerOf(task: bigint, member: string): bigint | undefined {
    if (!this.#pointers.has(member))
      this.#pointers.set(member, StructReader.ifPresent(this.kernel, 'task_struct', [member]));
    return this.#pointers.get(member)?.read(task).pointer(member);
  }

  /** The waiter on the stack of a task that waits in a function for locks of this kind. */
  waiterOf({ task, stack, name }: Waiting, shape: WaiterShape): Waiter | undefined {
    const waiter = this.waiters.onStack(stack, task.address, [shape]);
    if (waiter === undefined)
      this.torn(`pid ${task.pid} waits in ${name}, but its stack has no waiter that is linked to a lock`);
    return waiter;
  }

  /** The task of a waiter of this shape. */
  taskOf(node: bigint, shape: WaiterShape): bigint | undefined {
    return readOrNot(() => this.waiters.taskOf(this.waiters.at(node, shape)));
  }

  /** Whether a node of a ring is a waiter on the stack of its task, not the head. */
  isOnStack(node: bigint, shape: WaiterShape): boolean {
    const owner = this.tasks.get(this.stacks.startOf(node));
    return owner !== undefined && this.taskOf(node, shape) === owner.address;
  }

  /** All nodes of a waiter's ring; none: it is broken, which a warning says. */
  ring(waiter: Waiter): readonly bigint[] {
    const known = this.#rings.get(waiter.node);
    if (known !== undefined) return known;
    let ring: readonly bigint[] = [];
    try {
      ring = this.waiters.ring(waiter);
    } catch (error) {
      if (!isBroken(error)) throw error;
      addError(this.warnings, 'a list of waiters', error);
    }
    for (const node of ring) this.#rings.set(node, ring);
    return ring;
  }

  /** The list that a waiter is on, by the head of its ring. */
  listOf(waiter: Waiter, isEntry = (node: bigint) => this.isOnStack(node, waiter.shape)): WaiterList {
    const known = this.lists.get(waiter.node);
    if (known !== undefined) return known;
    const ring = this.ring(waiter);
    const heads = ring.filter((node) => !isEntry(node));
    const [head] = heads;
    if (head === undefined || heads.length > 1) {
      if (ring.length > 0) this.torn(`the list with the waiter at ${hex(waiter.address)} has ${heads.length} heads`);
      return {};
    }
    const nodes = ring.filter((node) => node !== head);
    const list = { address: head, listed: nodes.flatMap((node) => this.taskOf(node, waiter.shape) ?? []) };
    for (const node of nodes) this.lists.set(node, list);
    return list;
  }

  /** The wait queue that a waiter is on, by the address of its head. */
  queueOf(waiter: Waiter): WaiterList {
    return this.listOf(waiter, (node) => this.waiters.isQueueEntry(node));
  }

  /** The object outside of a stack that the stack has the address of, by the pointer at an offset in the object. */
  objectOnStack(stack: SavedStack, offset: bigint, isIt: (pointer: bigint) => boolean): bigint | undefined {
    for (const word of wordsOf(stack)) {
      if (!isPointer(word) || this.stacks.startOf(word) === this.stacks.startOf(stack.sp)) continue;
      const pointer = readOrNot(() => pointerPartOf(this.kernel, 'the lock', word, word + offset));
      if (pointer !== undefined && isIt(pointer)) return word;
    }
    return undefined;
  }
}
