import { type FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

const UNINTERRUPTIBLE = 2;
/** Structs by which tasks wait: where the task, and where the node of the list is. */
const WAITERS = {
  mutex_waiter: ['task', 'list'],
  rwsem_waiter: ['task', 'list'],
  semaphore_waiter: ['task', 'list'],
  swait_queue: ['task', 'task_list'],
  wait_queue_entry: ['private', 'entry'],
  futex_q: ['task', 'list.node_list'],
} as const;
export type WaiterName = keyof typeof WAITERS;

/** Tasks that wait for locks, by structs on their stacks; all others sleep. */
export class Waiting extends OverlaidKernel {
  constructor(base: FixtureBase) {
    super(base);
    this.idle();
    for (const name of ['vmap_area_list', 'super_blocks']) this.list(name);
  }

  /** Puts a task in uninterruptible sleep in these functions, innermost first. @returns where its words begin */
  sleeps(pid: number, ...functions: readonly string[]): bigint {
    this.set('task_struct', this.task(pid), { __state: UNINTERRUPTIBLE });
    return this.stack(this.task(pid), ['__schedule', 'schedule', ...functions, 'kthread']);
  }

  /** The same with a waiter on the stack. @returns its address */
  waiter(pid: number, type: WaiterName, ...functions: readonly string[]): bigint {
    const at = this.sleeps(pid, ...functions);
    this.write(at, new Uint8Array(this.size(type)));
    this.set(type, at, { [WAITERS[type][0]]: this.task(pid) });
    return at;
  }

  /** Links waiters into the list of a lock. */
  queue(head: bigint, type: WaiterName, ...waiters: readonly bigint[]): void {
    this.link(head, ...waiters.map((one) => this.at(type, one, WAITERS[type][1])));
  }

  /** A mutex with an owner, or without, and tasks that wait for it. */
  mutex(owner: number | undefined, ...pids: readonly number[]): bigint {
    const word = (owner === undefined ? 0n : this.task(owner)) | 1n;
    const lock = this.make('mutex', { 'owner.counter': word });
    const waiters = pids.map((pid) => this.waiter(pid, 'mutex_waiter', '__mutex_lock'));
    this.queue(this.at('mutex', lock, 'wait_list'), 'mutex_waiter', ...waiters);
    return lock;
  }

  /** A function that wakes, by its first byte. */
  wakes(name: string): bigint {
    return this.call(name) - 32n;
  }

  /** A wait queue with one entry of a task. @returns its head, and the entry */
  waitQueue(pid: number, wakes: string, ...functions: readonly string[]) {
    const entry = this.waiter(pid, 'wait_queue_entry', ...functions);
    this.set('wait_queue_entry', entry, { func: this.wakes(wakes) });
    const head = this.make('wait_queue_head');
    this.queue(this.at('wait_queue_head', head, 'head'), 'wait_queue_entry', entry);
    return { head, entry };
  }
}
