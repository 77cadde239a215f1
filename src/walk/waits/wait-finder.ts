import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import type { WaitKind } from '../../records/waits.js';
import { listNodes } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { Task } from '../tasks/tasks.js';
import { addError, type Warnings } from '../warnings.js';
import type { BlockDevices } from './block-devices.js';
import { isFutexBucket } from './futex-hash.js';
import { lockName } from './lock-state.js';
import { type SavedStack, type SavedStacks, wordsOf, wordsWith } from './saved-stacks.js';
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

/** Functions below the one that waits: a task in any wait runs them. */
const SCHEDULES =
  /^(__switch_to\w*|__schedule|schedule(_preempt_disabled|_timeout\w*|_hrtimeout\w*|_rtlock)?|io_schedule\w*|rt_mutex_schedule|preempt_schedule\w*|context_switch|bit_wait\w*|wait_woken)$/;

/** The waiter that each waiting function has on its stack (kernel/locking, kernel/sched). */
const FUNCTIONS: readonly (readonly [RegExp, WaiterShape])[] = [
  [/^(__)?(ww_)?mutex_lock/, 'mutex'],
  [/^rwsem_down_(read|write)_slowpath/, 'rw-semaphore'],
  [/^_{2,3}down(_common|_interruptible|_killable|_timeout)?\b/, 'semaphore'],
  [/^(__|do_)?wait_for_com(pletion|mon)/, 'completion'],
  // futex_waitv keeps its waiters elsewhere.
  [/^(__)?futex_(do_)?wait(?!_multiple)/, 'futex'],
];
/** Functions that a task in a futex runs, by release. */
const IN_FUTEX = ['futex_wait', '__futex_wait', 'futex_wait_queue', 'futex_wait_queue_me', 'futex_do_wait'];
/** More bytes than any of them has. */
const MAX_FUNCTION = 4096n;
/** Functions that wait for a page (mm/filemap.c), and what they wait for. */
const PAGE_WAITS: readonly (readonly [RegExp, WaitKind])[] = [
  [/^(folio_wait|wait_on_page)_writeback/, 'writeback'],
  [/^__(folio_lock|lock_page)/, 'page-lock'],
];
const isPageWait = (kind: WaitKind): boolean => kind === 'page-lock' || kind === 'writeback' || kind === 'page-bit';
const RT_MUTEX = /^(__)?rt_mutex_(slow)?lock|^rt_mutex_wait_proxy_lock/;
const RCU = /^(__)?(synchronize_(s?rcu|rcu_\w+|rcu)|wait_rcu_gp|rcu_barrier|srcu_barrier)|^__synchronize_srcu/;

/** Maximum depth of a tree of waiters: a red-black tree of all tasks is less deep. */
const MAX_DEPTH = 64;

/** Functions that wait until a work item has run. */
const FLUSHES = /^(__)?flush_work\b/;

/** Functions that wait for the end of a bio or request, by a completion on their stack (block/bio.c, block/blk-mq.c). */
const BIOS = /^(submit_bio_wait|bio_await|bio_submit_or_kill|blk_execute_rq)/;

/** Functions that wait for a journal (fs/jbd2). */
const JOURNAL = /^(jbd2_|wait_transaction_|add_transaction_credits|start_this_handle|kjournald2)/;
/** Wait queues of `struct journal_s`, and whether the commit thread wakes them. */
const JOURNAL_QUEUES = {
  j_wait_transaction_locked: true,
  j_wait_done_commit: true,
  j_wait_commit: false,
  j_wait_updates: false,
  j_wait_reserved: false,
} as const;

/**
 * Bits of a queued work item, whose data is a pointer to its pool_workqueue: WORK_STRUCT_PENDING, WORK_STRUCT_PWQ
 * (include/linux/workqueue.h).
 */
const QUEUED = 5n;

/** Maximum number of tasks that flush one work item. */
const MAX_BARRIERS = 1024;

/** The name without the suffix of a clone that the compiler made. */
const plain = (name: string): string => name.replace(/\..*$/, '');

/** The function that a thread waits in; undefined: unknown. */
export function waitingFunction(names: readonly (string | undefined)[]): string | undefined {
  const first = names.find((name) => name !== undefined && !SCHEDULES.test(plain(name)));
  // A grace period is waited for by a completion.
  const period = /^(__|do_)?wait_for_com/.test(first ?? '') && names.find((name) => RCU.test(name ?? ''));
  return period || first;
}

/** Locks whose waiters have the same shape as these kinds. */
const LOCKS = { mutex: 'mutex', 'rw-semaphore': 'rw_semaphore', semaphore: 'semaphore' } as const;
type LockShape = keyof typeof LOCKS;

const isLock = (shape: WaiterShape): shape is LockShape => shape in LOCKS;

/** Maximum number of other waiters' stacks to search for the address of their lock. */
const MAX_SEARCHED = 8;

/** Types in the low bits of `task_struct.blocker` (include/linux/hung_task.h). */
const BLOCKER_TYPES = 3n;

/** A wait queue that waiters with different keys share. */
interface Bucket {
  /** Address of the head of its list. */
  readonly head: bigint | undefined;
  readonly listed: readonly bigint[] | undefined;
}

/** WAIT_TABLE_SIZE and PAGE_WAIT_TABLE_SIZE (kernel/sched/wait_bit.c, mm/filemap.c). */
const BUCKETS = 256n;
const GOLDEN_RATIO = 0x61c8_8646_80b5_83ebn;

/** Finds what a task waits for, from its stack and from the lock. */
export class WaitFinder {
  readonly #kernel: Kernel;
  readonly #stacks: SavedStacks;
  readonly #waiters: Waiters;
  readonly #warnings: Warnings;
  readonly #devices: BlockDevices;
  /** Task by the lowest address of its stack. */
  readonly #tasks: ReadonlyMap<bigint, Task>;
  #addresses: ReadonlySet<bigint> | undefined;
  #futexes: readonly bigint[] | undefined;
  readonly #rings = new Map<bigint, readonly bigint[]>();
  /** Locks by the nodes of their waiters. */
  readonly #found = new Map<bigint, Pick<Wait, 'address' | 'listed'>>();
  readonly #blocked: StructReader<'blocked_on'> | undefined;
  readonly #blocker: StructReader<'blocker'> | undefined;
  readonly #rt: StructReader<'pi_blocked_on'> | undefined;
  readonly #completion: StructLayout | undefined;

  constructor(
    kernel: Kernel,
    stacks: SavedStacks,
    tasks: ReadonlyMap<bigint, Task>,
    devices: BlockDevices,
    warnings: Warnings,
  ) {
    this.#kernel = kernel;
    this.#devices = devices;
    this.#stacks = stacks;
    this.#tasks = tasks;
    this.#warnings = warnings;
    this.#waiters = new Waiters(kernel);
    this.#blocked = StructReader.ifPresent(kernel, 'task_struct', ['blocked_on']);
    this.#blocker = StructReader.ifPresent(kernel, 'task_struct', ['blocker']);
    this.#rt = StructReader.ifPresent(kernel, 'task_struct', ['pi_blocked_on']);
    this.#completion = kernel.struct('completion');
    if (this.#waiters.missing.length > 0)
      warnings.add(
        'unsupported-layout',
        `types of this kernel lack ${this.#waiters.missing.map((name) => `struct ${name}`).join(', ')}: such waits are unknown`,
      );
  }

  /**
   * Whether a task in any state may wait for a mutex, rw_semaphore, semaphore or rt_mutex: its stack has to be unwound
   * to be sure.
   */
  isQueued(stack: SavedStack, { address }: Task, withFutexes: boolean): boolean {
    if ((this.#rt && readOrNot(() => this.#rt?.read(address).pointer('pi_blocked_on'))) ?? 0n) return true;
    const shapes = ['mutex', 'rw-semaphore', 'semaphore'] as const;
    const found = this.#waiters.onStack(stack, address, withFutexes ? [...shapes, 'futex'] : shapes);
    return found !== undefined;
  }

  /**
   * Whether the stack of a task in a dump has a return address of a wait for a futex: where the waiter was not found, the
   * stack has to be unwound to be sure.
   */
  mayBeInFutex(stack: SavedStack): boolean {
    if (this.#kernel.facts.live) return false;
    this.#futexes ??= IN_FUTEX.flatMap((name) => this.#kernel.symbol(name) ?? []);
    for (const word of wordsOf(stack))
      if (this.#futexes.some((start) => word > start && word - start < MAX_FUNCTION)) return true;
    return false;
  }

  /**
   * @param names functions of the stack, innermost first
   */
  find(task: Task, stack: SavedStack, names: readonly (string | undefined)[]): Wait {
    const name = plain(waitingFunction(names) ?? '');
    if (RCU.test(name)) return { kind: 'rcu' };
    if (RT_MUTEX.test(name)) return this.#rtMutex(task);
    if (name === 'ptrace_stop') return this.#ptrace(task);
    const [, found] = FUNCTIONS.find(([words]) => words.test(name)) ?? [];
    if (found === undefined) {
      const wait = this.#queued(task, stack, name);
      const [, waits] = PAGE_WAITS.find(([words]) => names.some((each) => words.test(plain(each ?? '')))) ?? [];
      if (waits !== undefined && isPageWait(wait.kind) && wait.kind !== waits)
        this.#odd(`pid ${task.pid} waits for ${wait.kind} by its waiter, but for ${waits} by its stack`);
      // Reads past the page cache wait for a bio that names the task, until about 5.14.
      const isIo = wait.kind === 'unknown' && names.some((each) => each?.startsWith('io_schedule'));
      return (isIo && this.#io(stack, task.address)) || wait;
    }
    // Completions had wait queues before 5.7.
    const isOld = found === 'completion' && this.#completion?.member('wait.head') !== undefined;
    const shape = isOld ? 'wait-queue' : found;
    const waiter = this.#waiters.onStack(stack, task.address, [shape]);
    if (waiter === undefined) {
      this.#torn(`pid ${task.pid} waits in ${name}, but its stack has no waiter that is linked to a lock`);
      return { kind: found };
    }
    if (shape === 'futex') return this.#futex(waiter);
    if (isLock(shape)) return { kind: shape, ...this.#lock(task, stack, waiter, shape) };
    const list = this.#headed(waiter, (node) =>
      isOld ? this.#waiters.isQueueEntry(node) : this.#isOnStack(node, shape),
    );
    const at = this.#completion?.member(isOld ? 'wait.head' : 'wait.task_list')?.offset;
    if (list.address === undefined || at === undefined) return { kind: 'completion' };
    const address = list.address - BigInt(at);
    const work = names.some((each) => FLUSHES.test(each ?? '')) && this.#work(task, address);
    if (names.some((each) => BIOS.test(each ?? ''))) {
      const io = this.#io(stack, address);
      if (io) return io;
      this.#torn(`pid ${task.pid} waits for a block device, but no bio or request is for its completion`);
    }
    return work || { kind: 'completion', ...list, address };
  }

  /** The end of a bio or request that has this address, of a completion or task, as its private data. */
  #io(stack: SavedStack, waits: bigint): Wait | undefined {
    const at = this.#kernel.struct('bio')?.member('bi_private')?.offset;
    if (at === undefined) return undefined;
    const bios = function* () {
      // The bio itself is on the stack, or its address.
      for (const word of wordsWith(stack, waits)) yield word - BigInt(at);
      for (const word of wordsOf(stack)) if (isPointer(word)) yield word;
    };
    const queue = this.#devices.queueOfBio(bios(), waits) ?? this.#devices.queueOfRequest(waits);
    return queue === undefined ? undefined : { kind: 'io', address: queue };
  }

  /** A journal whose wait queue this is: its thread knows it, too (`kthread.data`). */
  #journal(task: Task, head: bigint): Pick<Wait, 'owner' | 'superBlock' | 'holders'> | undefined {
    const names = Object.keys(JOURNAL_QUEUES) as (keyof typeof JOURNAL_QUEUES)[];
    const reader = StructReader.ifPresent(this.#kernel, 'journal_s', [
      'j_task',
      'j_private',
      'j_fs_dev',
      'j_barrier_count',
      'j_running_transaction',
      'j_committing_transaction',
      ...names,
    ]);
    if (!reader) return undefined;
    for (const name of names) {
      const journal = reader.containerOf(head, name);
      const view = readOrNot(() => reader.read(journal));
      const thread = view?.pointer('j_task') ?? 0n;
      if (!view || !this.#isTask(thread) || readOrNot(() => this.#workerOf(thread)) !== journal) continue;
      const superBlock = view.pointer('j_private');
      const device = StructReader.ifPresent(this.#kernel, 'super_block', ['s_bdev']);
      const own = device && readOrNot(() => device.read(superBlock).pointer('s_bdev'));
      if (own !== view.pointer('j_fs_dev')) this.#odd(`journal at ${hex(journal)}: j_private is not its file system`);
      const isCommit = JOURNAL_QUEUES[name] && task.address !== thread;
      if (isCommit && view.number('j_barrier_count') === 0) return { superBlock, owner: thread };
      const both = [view.pointer('j_running_transaction'), view.pointer('j_committing_transaction')];
      const holders = this.#holders(both);
      if (name === 'j_wait_updates' && holders.length === 0)
        this.#odd(`journal at ${hex(journal)}: it waits for open handles, but no task has one`);
      return { superBlock, holders };
    }
    this.#odd(
      `pid ${task.pid} waits for a journal, but the wait queue at ${hex(head)} is in none whose thread knows it`,
    );
    return undefined;
  }

  #torn(words: string): void {
    this.#warnings.add('torn-list', words);
  }

  /** Words that disagree: damage, or a change meanwhile. */
  #odd(words: string): void {
    this.#warnings.add(this.#kernel.facts.live ? 'torn-list' : 'corrupt', words);
  }

  /** Tasks with an open handle of one of these transactions. */
  #holders(transactions: readonly bigint[]): bigint[] {
    const own = StructReader.ifPresent(this.#kernel, 'task_struct', ['journal_info']);
    const handle = StructReader.ifPresent(this.#kernel, 'jbd2_journal_handle', ['h_transaction']);
    const updates = StructReader.ifPresent(this.#kernel, 'transaction_s', ['t_updates.counter']);
    if (!own || !handle || !updates) return [];
    const existing = transactions.filter((each) => each !== 0n);
    const found = [...this.#tasks.values()].filter(({ address }) => {
      const info = readOrNot(() => own.read(address).pointer('journal_info')) ?? 0n;
      const of = info && readOrNot(() => handle.read(info).pointer('h_transaction'));
      return of !== undefined && of !== 0n && existing.includes(of);
    });
    const count = existing.reduce((sum, at) => sum + updates.read(at).number('t_updates.counter'), 0);
    if (count !== found.length)
      this.#odd(`transactions of a journal count ${count} open handles, but ${found.length} tasks have one`);
    return found.map(({ address }) => address);
  }

  /**
   * The work item that a task in flush_work waits for. A barrier with the completion is on the list of the worker that
   * runs the item, or behind the item on the list of items that no worker has taken (insert_wq_barrier,
   * kernel/workqueue.c).
   */
  #work(task: Task, completion: bigint): Wait | undefined {
    const barrier = StructReader.ifPresent(this.#kernel, 'wq_barrier', ['work', 'done', 'task']);
    const item = StructReader.ifPresent(this.#kernel, 'work_struct', ['data.counter', 'entry', 'entry.prev', 'func']);
    const worker = StructReader.ifPresent(this.#kernel, 'worker', [
      'scheduled',
      'current_work',
      'current_func',
      'task',
    ]);
    if (!barrier || !item || !worker) return undefined;
    const own = barrier.readContainer(completion, 'done');
    if (own.pointer('task') !== task.address) {
      this.#odd(`pid ${task.pid} waits for a work item, but its barrier at ${hex(own.address)} is of another task`);
      return undefined;
    }
    const work = own.addressOf('work');
    const marker = item.read(work).pointer('func');
    const node = item.addressOf(work, 'entry');
    for (const at of listNodes(this.#kernel, node)) {
      const found = readOrNot(() => worker.readContainer(at, 'scheduled'));
      const [by, runs] = [found?.pointer('task') ?? 0n, found?.pointer('current_work') ?? 0n];
      if (!found || runs === 0n || !this.#isTask(by)) continue;
      const { address } = found;
      const odd = [
        // A work item has its function where a worker has it.
        ...(runs !== address && item.read(runs).pointer('func') === found.pointer('current_func') ? [] : ['function']),
        ...((this.#workerOf(by) ?? address) === address ? [] : ['task']),
      ];
      for (const what of odd)
        this.#warnings.add(
          'corrupt',
          `worker at ${hex(address)}, which runs the work item at ${hex(runs)}: another ${what} is recorded elsewhere`,
        );
      return { kind: 'work', address: runs, owner: by };
    }
    // Other barriers for the same item stand between.
    let before = item.read(work);
    for (let passed = 0; passed < MAX_BARRIERS && before.pointer('func') === marker; passed++)
      before = item.readContainer(before.pointer('entry.prev'), 'entry');
    const data = before.pointer('data.counter');
    if ((data & QUEUED) === QUEUED && data >> 63n === 1n) return { kind: 'work', address: before.address };
    this.#warnings.add(
      'corrupt',
      `pid ${task.pid} waits for a work item, but its barrier at ${hex(work)} is behind none, and on no worker’s list`,
    );
    return undefined;
  }

  /**
   * The `struct worker` that a worker thread records (kthread_data, kernel/kthread.c). Before 5.17 set_child_tid was the
   * pointer to `struct kthread`.
   */
  #workerOf(task: bigint): bigint | undefined {
    const data = StructReader.ifPresent(this.#kernel, 'kthread', ['data']);
    const now = StructReader.ifPresent(this.#kernel, 'task_struct', ['worker_private']);
    const old = StructReader.ifPresent(this.#kernel, 'task_struct', ['set_child_tid']);
    const kthread = now?.read(task).pointer('worker_private') ?? old?.read(task).pointer('set_child_tid');
    return kthread === undefined ? undefined : data?.read(kthread).pointer('data');
  }

  #isTask(address: bigint): boolean {
    this.#addresses ??= new Set([...this.#tasks.values()].map((task) => task.address));
    return this.#addresses.has(address);
  }

  /** Waiters by the nodes of a ring, without its head. */
  #isOnStack(node: bigint, shape: WaiterShape): boolean {
    const owner = this.#tasks.get(this.#stacks.startOf(node));
    if (owner === undefined) return false;
    const task = readOrNot(() => this.#waiters.taskOf(this.#waiters.at(node, shape)));
    return task === owner.address;
  }

  #ring(waiter: Waiter): readonly bigint[] {
    const known = this.#rings.get(waiter.node);
    if (known !== undefined) return known;
    let ring: readonly bigint[] = [];
    try {
      ring = this.#waiters.ring(waiter);
    } catch (error) {
      if (!isBroken(error)) throw error;
      addError(this.#warnings, 'a list of waiters', error);
    }
    for (const node of ring) this.#rings.set(node, ring);
    return ring;
  }

  /** The head of a ring, and the tasks on it. */
  #headed(waiter: Waiter, isEntry: (node: bigint) => boolean): Pick<Wait, 'address' | 'listed'> {
    const known = this.#found.get(waiter.node);
    if (known !== undefined) return known;
    const ring = this.#ring(waiter);
    const heads = ring.filter((node) => !isEntry(node));
    const [head] = heads;
    if (head === undefined || heads.length > 1) {
      if (ring.length > 0) this.#torn(`the list with the waiter at ${hex(waiter.address)} has ${heads.length} heads`);
      return {};
    }
    const nodes = ring.filter((node) => node !== head);
    const listed = nodes.flatMap((node) => this.#taskOf(node, waiter.shape) ?? []);
    const found = { address: head, listed };
    for (const node of nodes) this.#found.set(node, found);
    return found;
  }

  #taskOf(node: bigint, shape: WaiterShape): bigint | undefined {
    return readOrNot(() => this.#waiters.taskOf(this.#waiters.at(node, shape)));
  }

  #lock(task: Task, stack: SavedStack, waiter: Waiter, shape: LockShape) {
    const layout = this.#kernel.struct(LOCKS[shape]);
    const list = layout?.member('wait_list')?.offset;
    const isEntry = (node: bigint) => this.#isOnStack(node, shape);
    if (list !== undefined) {
      const { address, listed } = this.#headed(waiter, isEntry);
      if (address === undefined || listed === undefined) return {};
      return this.#checked(task, shape, { address: address - BigInt(list), listed });
    }
    // Since 7.1 the lock points to its first waiter, and is not on their ring.
    const first = layout?.member('first_waiter')?.offset;
    const known = this.#found.get(waiter.node);
    if (known?.address !== undefined && known.listed !== undefined)
      return this.#checked(task, shape, { address: known.address, listed: known.listed });
    if (first === undefined) return {};
    const ring = this.#ring(waiter);
    const other = ring.find((node) => !isEntry(node));
    if (other !== undefined) {
      this.#torn(`the list with the waiter at ${hex(waiter.address)} has ${hex(other)}, which is no task’s`);
      return {};
    }
    const listed = ring.flatMap((node) => this.#taskOf(node, shape) ?? []);
    const address = this.#lockOfRing(stack, ring, BigInt(first));
    if (address === undefined) {
      if (ring.length > 0) this.#torn(`no ${shape} has the waiter at ${hex(waiter.address)} on its list`);
      return {};
    }
    for (const node of ring) this.#found.set(node, { address, listed });
    return this.#checked(task, shape, { address, listed });
  }

  /** The lock that points to a waiter of a ring: its address is on the stacks of its waiters. */
  #lockOfRing(stack: SavedStack, ring: readonly bigint[], first: bigint): bigint | undefined {
    const members = new Set(ring);
    const stacks = [stack];
    for (const node of ring.slice(1, MAX_SEARCHED)) {
      const owner = this.#tasks.get(this.#stacks.startOf(node));
      const other = owner && readOrNot(() => this.#stacks.of(owner.address));
      if (other !== undefined) stacks.push(other);
    }
    for (const each of stacks) {
      const found = this.#onStack(each, first, (pointer) => members.has(pointer));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The object outside of a stack that the stack has the address of, by the pointer at an offset in the object. */
  #onStack(stack: SavedStack, offset: bigint, isIt: (pointer: bigint) => boolean): bigint | undefined {
    for (const word of wordsOf(stack)) {
      if (!isPointer(word) || this.#stacks.startOf(word) === this.#stacks.startOf(stack.sp)) continue;
      const pointer = readOrNot(() => pointerPartOf(this.#kernel, 'the lock', word, word + offset));
      if (pointer !== undefined && isIt(pointer)) return word;
    }
    return undefined;
  }

  /** Compares a lock with what the task itself records, since about 6.16. */
  #checked<Found extends { readonly address: bigint }>(task: Task, shape: LockShape, found: Found): Found {
    const on = shape === 'mutex' ? this.#blocked?.read(task.address).pointer('blocked_on') : 0n;
    const by = (this.#blocker?.read(task.address).pointer('blocker') ?? 0n) & ~BLOCKER_TYPES;
    for (const [member, address] of [
      ['blocked_on', on ?? 0n],
      ['blocker', by],
    ] as const)
      if (address !== 0n && address !== found.address && !this.#kernel.facts.live)
        this.#warnings.add(
          'corrupt',
          `pid ${task.pid} is on the list of the ${lockName(shape, found.address)}, but its ${member} is ${hex(address)}`,
        );
    return found;
  }

  /** A wait queue, of which there are several kinds; or an unknown wait. */
  #queued(task: Task, stack: SavedStack, name: string): Wait {
    if (name === 'percpu_down_write') return this.#percpuWriter(task, stack);
    const waiter = this.#waiters.onStack(stack, task.address, ['wait-queue']);
    if (waiter === undefined) return { kind: 'unknown' };
    const { address, listed } = this.#headed(waiter, (node) => this.#waiters.isQueueEntry(node));
    if (name === 'blk_mq_get_tag') {
      const tags = new StructReader(this.#kernel, 'sbq_wait', ['sbq', 'wait']);
      const of = tags.readContainer(waiter.address, 'wait').pointer('sbq');
      const queue = this.#devices.queueOfTags(of);
      if (queue !== undefined) return { kind: 'io', address: queue };
    }
    const entry = new StructReader(this.#kernel, 'wait_queue_entry', ['func']);
    const wakes = entry.read(waiter.address).pointer('func');
    switch (plain(this.#kernel.symbolAt?.(wakes)?.name ?? '')) {
      case 'wake_page_function':
        return this.#page(waiter, { head: address, listed });
      case 'wake_bit_function':
      case 'var_wake_function':
        return this.#bit(waiter, { head: address, listed });
      case 'percpu_rwsem_wake_function': {
        const at = this.#kernel.struct('percpu_rw_semaphore')?.member('waiters.head')?.offset;
        if (address === undefined || at === undefined) return { kind: 'percpu-rw-semaphore' };
        return { kind: 'percpu-rw-semaphore', address: address - BigInt(at), listed: listed ?? [] };
      }
      default: {
        const at = this.#kernel.struct('wait_queue_head')?.member('head')?.offset;
        if (address === undefined || at === undefined) return { kind: 'wait-queue' };
        const queue = { address: address - BigInt(at), listed: listed ?? [] };
        const journal = JOURNAL.test(name) && this.#journal(task, queue.address);
        if (journal) return { kind: 'journal', ...queue, ...journal };
        const frozen = /^(blk|__bio)_queue_enter/.test(name) && this.#devices.queueAround(address);
        return frozen ? { kind: 'io', address: frozen } : { kind: 'wait-queue', ...queue };
      }
    }
  }

  /** A writer that waits for readers to leave: the semaphore points to it, and is on its stack. */
  #percpuWriter(task: Task, stack: SavedStack): Wait {
    const kind = 'percpu-rw-semaphore';
    const writer = this.#kernel.struct('percpu_rw_semaphore')?.member('writer.task')?.offset;
    if (writer === undefined) return { kind };
    const address = this.#onStack(stack, BigInt(writer), (pointer) => pointer === task.address);
    if (address === undefined)
      this.#torn(`pid ${task.pid} waits in percpu_down_write, but no semaphore on its stack names it as writer`);
    return address === undefined ? { kind } : { kind, address };
  }

  /** What a waiter in a shared hash bucket waits for, and the tasks there that wait for the same. */
  #hashed<Key extends Pick<Wait, 'address' | 'bit' | 'space'>>(
    waiter: Waiter,
    listed: readonly bigint[] | undefined,
    of: (waiter: Waiter) => Key,
  ): Key & { readonly listed: readonly bigint[] } {
    const key = of(waiter);
    const same = (listed ?? []).filter((task) => {
      const stack = readOrNot(() => this.#stacks.of(task));
      const other = stack && this.#waiters.onStack(stack, task, [waiter.shape]);
      const its = other && of(other);
      return its?.address === key.address && its?.bit === key.bit && its?.space === key.space;
    });
    return { ...key, listed: same };
  }

  /** Compares the bucket that a waiter is in with its key (hash_long, include/linux/hash.h). */
  #checkBucket({ head = 0n }: Bucket, names: readonly string[], key: bigint): void {
    const [table] = names.flatMap((name) => this.#kernel.symbol(name) ?? []);
    const layout = this.#kernel.struct('wait_queue_head');
    const [size, list] = [BigInt(layout?.size ?? 0), BigInt(layout?.member('head')?.offset ?? 0)];
    if (table === undefined || head < table || head >= table + size * BUCKETS) return;
    const index = BigInt.asUintN(64, key * GOLDEN_RATIO) / (2n ** 64n / BUCKETS);
    if (head !== table + index * size + list)
      this.#odd(`a waiter for ${hex(key)} is in the wait queue at ${hex(head)}, which is for others`);
  }

  #page(waiter: Waiter, bucket: Bucket): Wait {
    const type = this.#kernel.struct('wait_page_queue');
    const member = type?.member('folio') ? 'folio' : 'page';
    const queue = new StructReader(this.#kernel, 'wait_page_queue', [member, 'bit_nr', 'wait']);
    const found = this.#hashed(waiter, bucket.listed, ({ address }) => {
      const view = queue.readContainer(address, 'wait');
      return { address: view.pointer(member), bit: view.number('bit_nr') | 0 };
    });
    this.#checkBucket(bucket, ['folio_wait_table', 'page_wait_table'], found.address);
    const flags = this.#kernel.enumerators('pageflags');
    const isBit = (name: string) => flags?.get(name) === BigInt(found.bit);
    // Who clears the bit wakes its waiters; on a running kernel that may happen between the reads.
    const isStill = !this.#kernel.facts.live;
    const word = readOrNot(() => pointerPartOf(this.#kernel, 'struct page', found.address, found.address));
    if (isStill && word !== undefined && ((word >> BigInt(found.bit & 63)) & 1n) === 0n)
      this.#torn(`a task waits for bit ${found.bit} of the page at ${hex(found.address)}, which is clear`);
    const kind = isBit('PG_locked') ? 'page-lock' : isBit('PG_writeback') ? 'writeback' : 'page-bit';
    return { kind, ...found };
  }

  #bit(waiter: Waiter, bucket: Bucket): Wait {
    const queue = new StructReader(this.#kernel, 'wait_bit_queue_entry', ['key.flags', 'key.bit_nr', 'wq_entry']);
    const found = this.#hashed(waiter, bucket.listed, ({ address }) => {
      const view = queue.readContainer(address, 'wq_entry');
      return { address: view.pointer('key.flags'), bit: view.number('key.bit_nr') | 0 };
    });
    const { bit, ...rest } = found;
    if (rest.address >> 63n === 0n)
      this.#odd(`a task waits for a bit at ${hex(rest.address)}, which is not in the kernel`);
    // The key of a variable is its address alone.
    this.#checkBucket(bucket, ['bit_wait_table'], bit < 0 ? rest.address : (rest.address << 6n) | BigInt(bit));
    return { kind: 'bit', ...(bit < 0 ? rest : found) };
  }

  /** A futex by its key (include/linux/futex.h): address in user space, and the memory or file that it is in. */
  #futex(waiter: Waiter): Wait {
    const queue = new StructReader(this.#kernel, 'futex_q', ['key.both.word', 'key.both.ptr', 'key.both.offset']);
    const memory = new StructReader(this.#kernel, 'task_struct', ['mm']);
    const node = waiter.node - waiter.address;
    const { pageSize } = this.#kernel.facts;
    const { address: head, listed } = this.#headed(waiter, (node) => this.#isOnStack(node, 'futex'));
    const found = this.#hashed(waiter, listed, ({ address }) => {
      const view = queue.read(address);
      const offset = view.number('key.both.offset');
      // FUT_OFF_INODE: a page of a file. Others are in the memory of the process.
      const space = view.pointer('key.both.ptr');
      const task = this.#waiters.taskOf(this.#waiters.at(address + node, 'futex'));
      const own = (offset & 1) === 0 ? readOrNot(() => memory.read(task).pointer('mm')) : undefined;
      if (own !== undefined && own !== space)
        this.#odd(`the futex_q at ${hex(address)} is for the memory at ${hex(space)}, but its task has ${hex(own)}`);
      const page = view.pointer('key.both.word');
      if ((offset & 1) === 0 && (page % BigInt(pageSize) !== 0n || page >> 63n === 1n))
        this.#odd(`the futex_q at ${hex(address)} is for a page at ${hex(page)}`);
      if (head !== undefined && !isFutexBucket(this.#kernel, head, [space, page, offset]))
        this.#odd(`the futex_q at ${hex(address)} is in the hash bucket at ${hex(head)}, which is for other keys`);
      const word = page * (offset & 1 ? BigInt(pageSize) : 1n);
      return { address: word + BigInt(offset & ~3), space };
    });
    return { kind: 'futex', ...found };
  }

  #rtMutex(task: Task): Wait {
    const on = this.#rt?.read(task.address).pointer('pi_blocked_on') ?? 0n;
    if (on === 0n) return { kind: 'rt-mutex' };
    const view = new StructReader(this.#kernel, 'rt_mutex_waiter', ['task', 'lock']).read(on);
    if (view.pointer('task') !== task.address) {
      this.#warnings.add(
        'corrupt',
        `pid ${task.pid} waits by the rt_mutex_waiter at ${hex(on)}, which is another task’s`,
      );
      return { kind: 'rt-mutex' };
    }
    const lock = view.pointer('lock');
    if (!this.#isInTreeOf(lock, on))
      this.#torn(
        `pid ${task.pid} waits by the rt_mutex_waiter at ${hex(on)}, which the rt_mutex at ${hex(lock)} lacks`,
      );
    return { kind: 'rt-mutex', address: lock };
  }

  /** Whether the tree of waiters that a waiter is in is that of its rt_mutex (kernel/locking/rtmutex.c). */
  #isInTreeOf(lock: bigint, waiter: bigint): boolean {
    const kernel = this.#kernel;
    const type = kernel.struct('rt_mutex_base') ? 'rt_mutex_base' : 'rt_mutex';
    const root = StructReader.ifPresent(kernel, type, ['waiters.rb_root.rb_node']);
    const node =
      kernel.struct('rt_mutex_waiter')?.member('tree.entry') ?? kernel.struct('rt_mutex_waiter')?.member('tree_entry');
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

  #ptrace(task: Task): Wait {
    const view = new StructReader(this.#kernel, 'task_struct', ['ptrace', 'parent']).read(task.address);
    if (view.number('ptrace') === 0) {
      if (!this.#kernel.facts.live) this.#torn(`pid ${task.pid} stopped for a tracer, but is not traced`);
      return { kind: 'ptrace' };
    }
    return { kind: 'ptrace', owner: view.pointer('parent') };
  }
}
