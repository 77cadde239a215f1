import { readOrNot } from '../base/errors.js';
import { formatJson, hex } from '../base/util.js';
import type {
  BlockedAnswer,
  BlockedDevice,
  BlockedTask,
  BlockingLock,
  Candidate,
  DeadlockCycle,
} from '../contracts/blocked.js';
import type { Identified } from '../contracts/object.js';
import type { Stack } from '../contracts/task-stacks.js';
import { kernelIdentity } from '../kernel/identity.js';
import type { Kernel } from '../kernel/kernel.js';
import { Pointer } from '../kernel/pointer.js';
import type { WaitKind } from '../records/waits.js';
import type { NamePlace } from '../walk/files/paths.js';
import { monotonicNow } from '../walk/machine/clock.js';
import { findOrNot } from '../walk/named-read.js';
import { type TaskPlace, TaskStacks } from '../walk/stacks/task-stacks.js';
import { StructReader } from '../walk/struct-reader.js';
import type { Task } from '../walk/tasks/tasks.js';
import { BlockDevices } from '../walk/waits/block-devices.js';
import { gracePeriodReaders } from '../walk/waits/grace-period.js';
import { type LockState, LockStates, lockName, type OwnedKind } from '../walk/waits/lock-state.js';
import { type SavedStack, SavedStacks, wordsOf } from '../walk/waits/saved-stacks.js';
import { registerWords, SPINS, spinLocks } from '../walk/waits/spinlocks.js';
import type { Wait } from '../walk/waits/wait-context.js';
import { WaitFinder, waitingFunction } from '../walk/waits/wait-finder.js';
import { MAX_AHEAD, WaitTimes } from '../walk/waits/wait-time.js';
import { Warnings } from '../walk/warnings.js';
import { KnownAddresses, type SymbolsByAddress } from './known-addresses.js';
import { attempted } from './memory/missed.js';
import { Names } from './task-stacks.js';

export interface BlockedChoice {
  /** Also tasks in interruptible sleep that wait for futexes, and traced tasks that stopped. */
  readonly all?: boolean | undefined;
  /**
   * Only tasks in uninterruptible sleep, and those on the lists of their locks: stacks of other tasks, which an extract
   * may lack, are not read.
   */
  readonly uninterruptible?: boolean | undefined;
  /** Reads the contents of a stack (default: as everything). */
  readonly readStack?: Kernel['read'] | undefined;
  /** Receives each name in the path of a file, when it is read. */
  readonly onFileName?: ((place: NamePlace) => void) | undefined;
}

/** Maximum number of reads of a live kernel: an inconsistency that disappears was a race. */
const LIVE_READS = 3;

/**
 * Finds which tasks wait for which locks, and what their owners wait for.
 *
 * @throws as TaskStacks does
 */
export function blockedTasks(
  kernel: Kernel & { readonly symbolTable?: SymbolsByAddress | undefined },
  choice: BlockedChoice = {},
): BlockedAnswer {
  for (let reads = 1; ; reads++) {
    const forget = kernel.noteReads();
    try {
      const answer = new Forest(kernel, choice).answer();
      if (!kernel.facts.live || answer.complete || reads === LIVE_READS) return answer;
    } finally {
      forget();
    }
  }
}

/** A task, before its stack has a place in the answer. */
type DescribedTask = Omit<BlockedTask, 'stack'> & { readonly stack: Stack | null };
type DescribedCandidate = Omit<Candidate, 'task'> & { readonly task: DescribedTask };

interface Lock extends Pick<BlockingLock, 'kind' | 'address' | 'bit' | 'ownerState' | 'readers'> {
  readonly holders: readonly bigint[];
  readonly superBlock: bigint | undefined;
  readonly ownerTask: bigint;
  readonly last: bigint;
  /** Waiting tasks by address. */
  readonly waiters: Map<bigint, TaskPlace>;
  /** Tasks on the lock's own list. */
  readonly listed: readonly bigint[] | undefined;
}

const OWNED: ReadonlySet<WaitKind> = new Set<OwnedKind>([
  'mutex',
  'rw-semaphore',
  'semaphore',
  'percpu-rw-semaphore',
  'completion',
  'rt-mutex',
]);

/** Locks that also block tasks in interruptible sleep. */
const LOCK_KINDS: ReadonlySet<WaitKind> = new Set(['mutex', 'rw-semaphore', 'semaphore', 'rt-mutex']);
/** The same with `--all`: what looks like a futex_q on a stack may be another struct. */
const ALL_KINDS: ReadonlySet<WaitKind> = new Set([...LOCK_KINDS, 'futex', 'ptrace']);

const isOwned = (kind: WaitKind): kind is OwnedKind => OWNED.has(kind);

/** What an owner is, in a message. */
const OWNERS: Partial<Record<WaitKind, string>> = { work: 'worker', ptrace: 'tracer', journal: 'commit thread' };

/** Kinds of waits for pages: `device` is that of the page’s file. */
const PAGES: ReadonlySet<WaitKind> = new Set(['page-lock', 'writeback', 'page-bit'] as const);

/** Maximum number of tasks that may hold a lock, per lock. */
const MAX_CANDIDATES = 8;

/** Functions that wait for a grace period of `rcu_state`, not of SRCU or of tasks. */
const GRACE_PERIOD = /^(synchronize_rcu(_normal)?|__?wait_rcu_gp|wait_rcu_gp)$/;

const NO_WORDS = new DataView(new ArrayBuffer(0));

/** Frozen tasks (suspend, the freezer of cgroups) are not blocked. */
export const FROZEN = '__refrigerator';

class Forest {
  readonly #kernel: Kernel & { readonly symbolTable?: SymbolsByAddress | undefined };
  readonly #choice: BlockedChoice;
  readonly #warnings: Warnings;
  readonly #unwound: TaskStacks;
  readonly #names: Names;
  readonly #saved: SavedStacks;
  readonly #states: LockStates;
  readonly #queued: StructReader<'on_rq'> | undefined;
  readonly #times: WaitTimes;
  readonly #places = new Map<bigint, TaskPlace>();
  readonly #stacks = new Map<bigint, SavedStack | undefined>();
  /** When tasks of a live kernel had last begun to run when their stacks were read. */
  readonly #arrivals = new Map<bigint, bigint | undefined>();
  readonly #described = new Map<bigint, DescribedTask>();
  readonly #locks = new Map<string, Lock>();
  /** Lock that a task waits for, by the task's address; null: none. */
  readonly #waits = new Map<bigint, Lock | null>();
  /** Tasks by the completion that their exit or exec completes. */
  #completing: ReadonlyMap<bigint, bigint> | undefined;
  readonly #devices: BlockDevices;
  /** Running tasks that may hold a spinlock. */
  readonly #spinners = new Map<Lock, readonly TaskPlace[]>();
  #now: bigint | null | undefined;
  #finder!: WaitFinder;

  constructor(kernel: Kernel & { readonly symbolTable?: SymbolsByAddress | undefined }, choice: BlockedChoice) {
    this.#kernel = kernel;
    this.#choice = choice;
    this.#warnings = new Warnings(kernel.doubts);
    this.#unwound = new TaskStacks(kernel, this.#warnings);
    this.#names = new Names(kernel, this.#warnings);
    this.#saved = new SavedStacks(kernel, choice.readStack);
    this.#states = new LockStates(kernel);
    this.#queued = StructReader.ifPresent(kernel, 'task_struct', ['on_rq']);
    this.#times = new WaitTimes(kernel, this.#warnings);
    this.#devices = new BlockDevices(kernel, (words) => this.#contradict(words));
  }

  /** Words that disagree: damage, or a change meanwhile. */
  #contradict(words: string): void {
    this.#warnings.add(this.#kernel.facts.live ? 'torn-list' : 'corrupt', words);
  }

  answer(): BlockedAnswer {
    const kernel = this.#kernel;
    this.#readPlaces();
    const blocked = [...this.#places.values()].filter((place) => this.#isBlocked(place));
    const queued = this.#choice.all ? ALL_KINDS : LOCK_KINDS;
    for (const place of blocked) this.#addWait(place, place.state === 'D' ? undefined : queued);
    const waiting = [...this.#locks.values()].reduce((sum, { waiters }) => sum + waiters.size, 0);
    this.#addListed();
    this.#followOwners();
    const spinning = this.#addSpinning();
    const table = new StackTable();
    const locks = this.#numbered(table);
    const { complete } = this.#warnings;
    return {
      schema: 'kdump-mem.blocked/1',
      kernel: kernelIdentity(kernel.facts),
      source: kernel.facts.source,
      captured: null,
      locks,
      cycles: cyclesOf(locks),
      stacks: table.stacks,
      blocked: waiting + spinning,
      tasks: this.#places.size,
      complete,
      warnings: this.#warnings.list(),
    };
  }

  /** All threads. */
  #readPlaces(): void {
    const tasks = new Map<bigint, Task>();
    const note = (place: TaskPlace) => {
      this.#places.set(place.task.address, place);
      return false;
    };
    for (const _ of this.#unwound.all(note));
    for (const { task } of this.#places.values()) {
      const what = `the stack of pid ${task.pid}`;
      const start = attempted(this.#warnings, what, () => this.#saved.start(task.address));
      if (start !== undefined && start !== 0n) tasks.set(start, task);
    }
    this.#finder = new WaitFinder(this.#kernel, this.#saved, tasks, this.#devices, this.#warnings);
  }

  /** The used stack of a task; undefined: a CPU ran it, it has exited, or it is unreadable. */
  #stackOf({ task, cpu, state }: TaskPlace): SavedStack | undefined {
    if (cpu !== undefined || state === 'X' || state === 'Z') return undefined;
    if (!this.#stacks.has(task.address)) {
      const what = `the stack of pid ${task.pid}`;
      if (this.#kernel.facts.live) this.#arrivals.set(task.address, this.#times.arrivalOf(task));
      const stack = attempted(this.#warnings, what, () => this.#saved.of(task.address));
      this.#stacks.set(task.address, stack);
    }
    return this.#stacks.get(task.address);
  }

  #isBlocked(place: TaskPlace): boolean {
    const { all = false, uninterruptible } = this.#choice;
    if (place.state === 'D') return place.cpu === undefined;
    if (place.state === 'R') this.#checkRunnable(place);
    // Idle tasks (pid 0) never wait.
    if (uninterruptible || place.task.pid === 0) return false;
    const stack = this.#stackOf(place);
    if (stack === undefined) return false;
    if ((all && place.state === 't') || this.#finder.isQueued(stack, place.task, all)) return true;
    return all && this.#finder.mayBeInFutex(stack);
  }

  /** A task that neither runs nor is on a run queue waits: its state is wrong. */
  #checkRunnable({ task, cpu }: TaskPlace): void {
    if (cpu !== undefined || task.pid === 0 || this.#kernel.facts.live) return;
    // Earlier extracts lack it.
    const queued = readOrNot(() => this.#queued?.read(task.address));
    if (queued?.number('on_rq') === 0)
      this.#contradict(`pid ${task.pid} is runnable by its state, but it is on no run queue`);
  }

  /**
   * Finds what a task waits for; null: nothing known, or it is frozen.
   *
   * @param kinds waits to add: a task in interruptible sleep is not blocked by an event
   */
  #addWait(place: TaskPlace, kinds?: ReadonlySet<WaitKind>): Lock | null {
    const { task } = place;
    const known = this.#waits.get(task.address);
    if (known !== undefined) return known;
    const wait = this.#waitOf(place);
    if (wait && kinds?.has(wait.kind) === false) return null;
    const lock = wait && this.#lockOf(wait, this.#describe(place));
    this.#waits.set(task.address, lock);
    lock?.waiters.set(task.address, place);
    return lock;
  }

  #waitOf(place: TaskPlace): Wait | null {
    const { task, state } = place;
    const stack = this.#stackOf(place);
    // A warning has the reason why the stack is unreadable; the function that waits may be known all the same.
    if (stack === undefined && state !== 'D') return null;
    const names = this.#describe(place).stack?.frames.map(({ symbol }) => symbol ?? undefined) ?? [];
    if (names.includes(FROZEN)) return null;
    // A task of a live kernel ran since its stack was read.
    const { live } = this.#kernel.facts;
    if (live && stack && this.#arrivals.get(task.address) !== this.#times.arrivalOf(task)) return null;
    const found =
      stack && attempted(this.#warnings, `the wait of pid ${task.pid}`, () => this.#finder.find(task, stack, names));
    const wait: Wait = found ?? { kind: 'unknown' };
    // An owner in interruptible sleep waits for an event, such as a timer.
    if (wait.kind === 'unknown' && state !== 'D') return null;
    return wait;
  }

  #lockOf(wait: Wait, waiter: DescribedTask): Lock {
    const { kind, address, bit, space, owner } = wait;
    const place = address ?? owner ?? waiter.function;
    const key = [kind, place, bit, space].join(' ');
    const known = this.#locks.get(key);
    if (known !== undefined) return known;
    const lock: Lock = {
      kind,
      address: address ?? null,
      bit: bit ?? null,
      listed: wait.listed,
      holders: wait.holders ?? [],
      superBlock: wait.superBlock,
      waiters: new Map(),
      ...this.#ownerOf(wait),
    };
    this.#locks.set(key, lock);
    return lock;
  }

  /** The owner of a lock, compared with the tasks that exist. */
  #ownerOf({ kind, address, owner, listed = [] }: Wait): Pick<Lock, 'ownerState' | 'ownerTask' | 'readers' | 'last'> {
    const none = { ownerTask: 0n, readers: null, last: 0n } as const;
    if (owner !== undefined) return { ...none, ...this.#task(owner, OWNERS[kind] ?? kind) };
    if (kind === 'work') return { ...none, ownerState: 'none' };
    if (!isOwned(kind)) return { ...none, ownerState: kind === 'unknown' ? 'unknown' : 'not-recorded' };
    if (address === undefined) return { ...none, ownerState: 'unknown' };
    const name = lockName(kind, address);
    const state = attempted(this.#warnings, name, () => this.#states.read(kind, address));
    if (state === undefined) return { ...none, ownerState: 'unknown' };
    // A lock is changed in several steps, and a CPU may have stopped between two.
    const isWoken = listed.some((task) => {
      const place = this.#places.get(task);
      return place !== undefined && (place.state === 'R' || place.cpu !== undefined);
    });
    const free = state.free === undefined || isWoken ? [] : [state.free];
    for (const words of [...state.contradictions, ...free]) this.#contradict(`${name}: ${words}`);
    const rest = { readers: state.readers ?? null, last: state.last ?? 0n };
    return { ...rest, ...this.#ownerIn(kind, address, state) };
  }

  #ownerIn(
    kind: OwnedKind,
    address: bigint,
    { owner, readers = 0 }: LockState,
  ): Pick<Lock, 'ownerState' | 'ownerTask'> {
    if (kind === 'completion') {
      const task = this.#completedBy(address);
      return task === undefined
        ? { ownerState: 'not-recorded', ownerTask: 0n }
        : { ownerState: 'task', ownerTask: task };
    }
    if (owner === undefined) return { ownerState: 'not-recorded', ownerTask: 0n };
    if (owner !== 0n) return this.#task(owner, lockName(kind, address));
    return { ownerState: readers > 0 ? 'readers' : 'none', ownerTask: 0n };
  }

  #task(address: bigint, what: string): Pick<Lock, 'ownerState' | 'ownerTask'> {
    if (this.#places.has(address)) return { ownerState: 'task', ownerTask: address };
    this.#warnings.add('corrupt', `${what}: its owner, task_struct ${hex(address)}, is no task of this kernel`);
    return { ownerState: 'not-a-task', ownerTask: 0n };
  }

  /** The task that completes a completion when it exits or calls exec: vfork, kthread_stop. */
  #completedBy(address: bigint): bigint | undefined {
    if (this.#completing === undefined) {
      const reader = StructReader.ifPresent(this.#kernel, 'task_struct', ['vfork_done']);
      const byCompletion = new Map<bigint, bigint>();
      for (const { task } of this.#places.values()) {
        const done = reader && readOrNot(() => reader.read(task.address).pointer('vfork_done'));
        if (done !== undefined && done !== 0n) byCompletion.set(done, task.address);
      }
      this.#completing = byCompletion;
    }
    return this.#completing.get(address);
  }

  /** Compares the waiters that stacks show with each lock's own list. */
  #addListed(): void {
    for (const lock of [...this.#locks.values()]) {
      const { kind, address, listed, waiters } = lock;
      if (listed === undefined || address === null) continue;
      for (const task of listed) {
        if (waiters.has(task)) continue;
        const place = this.#places.get(task);
        const name = lockName(kind, address);
        if (place === undefined)
          this.#warnings.add('corrupt', `${name}: its list has a waiter of ${hex(task)}, which is no task`);
        // It was woken, or spins before it sleeps again.
        else if (place.state === 'R' || place.cpu !== undefined || this.#kernel.facts.live) waiters.set(task, place);
        // A task may be in several wait queues.
        else if ((kind !== 'wait-queue' || place.state === 'D') && this.#addWait(place) !== lock)
          this.#warnings.add(
            'corrupt',
            `${name}: pid ${place.task.pid} is on its list, but the stack of the task shows another wait`,
          );
      }
      const onList = new Set(listed);
      const missing = [...waiters.keys()].filter((task) => !onList.has(task));
      for (const task of missing)
        if (!this.#kernel.facts.live)
          this.#warnings.add(
            'torn-list',
            `${lockName(kind, address)}: pid ${this.#places.get(task)?.task.pid} waits, but is not on its list`,
          );
    }
  }

  /** What owners wait for, and theirs, until one does not wait. */
  #followOwners(): void {
    // Locks are added meanwhile.
    for (const lock of this.#locks.values()) {
      const place = this.#places.get(lock.ownerTask);
      if (lock.ownerState !== 'task' || place === undefined) continue;
      if (place.cpu === undefined) this.#addWait(place);
    }
  }

  /** Locks for which CPUs spin: registers of a running machine are not available. @returns the number of CPUs */
  #addSpinning(): number {
    const { facts } = this.#kernel;
    if (facts.live || this.#choice.uninterruptible) return 0;
    const running = [...this.#places.values()].filter(({ cpu }) => cpu !== undefined);
    const wordsOn = (place: TaskPlace): bigint[] => [
      ...registerWords(this.#kernel, place.cpu ?? 0),
      ...(readOrNot(() => [...wordsOf(this.#saved.whole(place.task.address))]) ?? []),
    ];
    const spins = (place: TaskPlace) =>
      this.#describe(place).stack?.frames.some(({ symbol }) => SPINS.test(symbol ?? ''));
    const byCpu = new Map(running.filter(spins).map((place) => [place.cpu ?? 0, place]));
    if (byCpu.size === 0) return 0;
    // An interrupt saved the registers on the stack.
    const words = new Map(
      [...byCpu].map(([cpu, place]) => {
        const isInterrupted = !SPINS.test(this.#describe(place).function ?? '');
        return [cpu, isInterrupted ? wordsOn(place) : registerWords(this.#kernel, cpu)];
      }),
    );
    const locks = attempted(this.#warnings, 'spinlocks', () =>
      spinLocks(this.#kernel, words, (what) => this.#contradict(what)),
    );
    for (const { address, cpus } of locks ?? []) {
      const waiters = new Map(
        cpus.flatMap((cpu) => {
          const place = byCpu.get(cpu);
          return place ? [[place.task.address, place] as const] : [];
        }),
      );
      const [first] = waiters.values();
      if (first === undefined) continue;
      const kind = 'spinlock' as const;
      const wait: Wait = address === null ? { kind } : { kind, address };
      const described = this.#describe(first);
      const names = described.stack?.frames.map(({ symbol }) => symbol ?? '') ?? [];
      const where = names.find((name) => SPINS.test(name)) ?? null;
      const lock = this.#lockOf(wait, { ...described, function: where });
      for (const [task, place] of waiters) lock.waiters.set(task, place);
      const others = running.filter((place) => address !== null && !byCpu.has(place.cpu ?? 0));
      for (const place of others)
        if (place.task.pid !== 0 && wordsOn(place).includes(address ?? 0n))
          this.#spinners.set(lock, [...(this.#spinners.get(lock) ?? []), place]);
    }
    return byCpu.size;
  }

  /** The file system and block device that tasks wait for. */
  #deviceOf({ kind, address, superBlock }: Lock, object: Identified | null): BlockedDevice | null {
    const devices = this.#devices;
    if (address === null) return null;
    const device = attempted(this.#warnings, `the device of the ${lockName(kind, address)}`, () => {
      if (kind === 'io') return devices.ofQueue(address);
      if (superBlock !== undefined) return devices.ofSuperBlock(superBlock);
      if (PAGES.has(kind)) {
        const frame = this.#kernel.pages.frameOfPage(new Pointer().set(address));
        return frame < 0 ? undefined : devices.ofPage(frame);
      }
      const isBuffer = kind === 'bit' && object?.kind === 'slab-object' && object.cache === 'buffer_head';
      if (isBuffer) return devices.ofBuffer(address);
      if (kind !== 'percpu-rw-semaphore' && kind !== 'rw-semaphore') return undefined;
      const around = devices.superBlockAround(address);
      return around === undefined ? undefined : devices.ofSuperBlock(around);
    });
    if (!device) return null;
    const { queue, ...rest } = device;
    const requests =
      queue !== null && attempted(this.#warnings, 'the requests of a block device', () => devices.requestsOf(queue));
    if (!requests) return { ...rest, requests: null };
    const { oldest, ...counts } = requests;
    this.#now ??= findOrNot(() => monotonicNow(this.#kernel)) ?? null;
    const age = oldest === null || this.#now === null ? null : Number(this.#now - oldest) / 1e9;
    if (age !== null && age < MAX_AHEAD)
      this.#contradict(`a request of ${rest.name ?? 'a block device'} began after the dump`);
    return { ...rest, requests: { ...counts, oldestSeconds: age === null ? null : Math.max(0, age) } };
  }

  #describe(place: TaskPlace): DescribedTask {
    const { task, process, state, cpu } = place;
    const known = this.#described.get(task.address);
    if (known !== undefined) return known;
    const unwound = this.#unwound.of(place);
    const stack = unwound && this.#names.stack(unwound.stack);
    const described: DescribedTask = {
      pid: task.pid,
      process,
      comm: task.comm,
      state,
      cpu: cpu ?? null,
      seconds: cpu === undefined ? this.#times.of(task) : null,
      leastSeconds: null,
      nsPids: [],
      function: waitingFunction(stack?.frames.map(({ symbol }) => symbol ?? undefined) ?? []) ?? null,
      stack: stack ?? null,
    };
    this.#described.set(task.address, described);
    return described;
  }

  /** Tasks whose stacks contain the address of a lock that does not record its owner. */
  #candidates(): ReadonlyMap<Lock, readonly DescribedCandidate[]> {
    const candidates = new Map<Lock, DescribedCandidate[]>();
    const wanted = new Map<number, Lock[]>();
    for (const lock of this.#locks.values()) {
      if (lock.kind === 'rcu') candidates.set(lock, this.#readers(lock));
      const holders = lock.holders.flatMap((task) => this.#places.get(task) ?? []);
      const known = [
        ...holders.map((place) => ({ task: this.#describe(place), by: 'handle' as const })),
        ...(this.#spinners.get(lock) ?? []).map((place) => ({ task: this.#describe(place), by: 'stack' as const })),
      ];
      if (known.length > 0) candidates.set(lock, known);
      const isHeld = lock.ownerState === 'readers' || lock.ownerState === 'not-recorded';
      if (!isHeld || lock.address === null || !isOwned(lock.kind) || lock.kind === 'completion') continue;
      const last = this.#places.get(lock.last);
      candidates.set(lock, last ? [{ task: this.#describe(last), by: 'last' }] : []);
      const low = Number(lock.address & 0xffff_ffffn);
      wanted.set(low, [...(wanted.get(low) ?? []), lock]);
    }
    if (wanted.size === 0 || this.#choice.uninterruptible) return candidates;
    for (const place of this.#places.values()) {
      const { words } = this.#stackOf(place) ?? { words: NO_WORDS };
      for (let at = 0; at + 8 <= words.byteLength; at += 8)
        for (const lock of wanted.get(words.getUint32(at, true)) ?? []) {
          if (words.getBigUint64(at, true) !== lock.address) continue;
          const list = candidates.get(lock) ?? [];
          if (list.length >= MAX_CANDIDATES || lock.waiters.has(place.task.address)) continue;
          const candidate = this.#describe(place);
          if (!list.some((known) => known.task === candidate)) list.push({ task: candidate, by: 'stack' });
        }
    }
    return candidates;
  }

  /** What a grace period waits for. */
  #readers({ waiters }: Lock): DescribedCandidate[] {
    const isNormal = [...waiters.values()].some((place) => GRACE_PERIOD.test(this.#describe(place).function ?? ''));
    if (!isNormal) return [];
    const what = 'the grace period of RCU';
    const running = new Map([...this.#places.values()].map((place) => [place.cpu, place]));
    const isIdle = (cpu: number) => running.get(cpu)?.task.pid === 0;
    const readers = attempted(this.#warnings, what, () => gracePeriodReaders(this.#kernel, isIdle));
    for (const words of readers?.contradictions ?? []) this.#contradict(`${what}: ${words}`);
    const all = [
      ...(readers?.cpus ?? []).map((cpu) => ({ place: running.get(cpu), by: 'cpu' as const })),
      ...(readers?.tasks ?? []).map((task) => ({ place: this.#places.get(task), by: 'reader' as const })),
    ];
    return all.flatMap(({ place, by }) => {
      if (place) return [{ task: this.#describe(place), by }];
      this.#contradict(`${what} waits for a ${by} that does not exist`);
      return [];
    });
  }

  #numbered(table: StackTable): BlockingLock[] {
    const candidates = this.#candidates();
    const identifier = attempted(
      this.#warnings,
      'objects',
      () => new KnownAddresses(this.#kernel, this.#kernel.symbolTable, this.#warnings, this.#choice.onFileName),
    );
    const all = [...this.#locks.values()].map((lock) => {
      const waiters = [...lock.waiters.values()].map((place) => this.#describe(place));
      waiters.sort((a, b) => (b.seconds ?? -1) - (a.seconds ?? -1) || a.pid - b.pid);
      return { lock, waiters };
    });
    all.sort(
      (a, b) =>
        (b.waiters[0]?.seconds ?? -1) - (a.waiters[0]?.seconds ?? -1) ||
        (a.waiters[0]?.pid ?? 0) - (b.waiters[0]?.pid ?? 0),
    );
    const ids = new Map(all.map(({ lock }, id) => [lock, id]));
    return all.map(({ lock, waiters }, id): BlockingLock => {
      const owner = this.#places.get(lock.ownerTask);
      const next = owner && this.#waits.get(owner.task.address);
      const inKernel = lock.address !== null && lock.kind !== 'futex';
      const object = inKernel ? objectAt(identifier, lock) : null;
      return {
        id,
        kind: lock.kind,
        address: lock.address,
        bit: lock.bit,
        symbol: object?.kind === 'symbol' && object.offset === 0 ? object.name : null,
        object,
        ownerState: lock.ownerState,
        owner: owner && lock.ownerState === 'task' ? table.placed(this.#describe(owner)) : null,
        readers: lock.readers,
        candidates: (candidates.get(lock) ?? []).map(({ task, by }) => ({ task: table.placed(task), by })),
        device: this.#deviceOf(lock, object),
        file: null,
        cause: null,
        trace: null,
        waiters: waiters.map((task) => table.placed(task)),
        waitsFor: (next && ids.get(next)) ?? null,
      };
    });
  }
}

/** Stacks of an answer, each once. */
class StackTable {
  readonly stacks: Stack[] = [];
  readonly #indexes = new Map<string, number>();

  /** Returns a task with the index of its stack. */
  placed(task: DescribedTask): BlockedTask {
    return { ...task, stack: task.stack && this.#indexOf(task.stack) };
  }

  #indexOf(stack: Stack): number {
    const key = formatJson(stack);
    const index = this.#indexes.get(key) ?? this.stacks.push(stack) - 1;
    this.#indexes.set(key, index);
    return index;
  }
}

/** What a lock is part of; for a page, its file. */
function objectAt(
  identifier: KnownAddresses | undefined,
  { address, kind }: Pick<Lock, 'address' | 'kind'>,
): Identified | null {
  if (identifier === undefined || address === null) return null;
  const object = identifier.of(address).object;
  if (!PAGES.has(kind) || object?.kind !== 'page-struct') return object;
  return identifier.fileOf(object.frame) ?? object;
}

/** Cycles of owners that wait for each other. Each lock has at most one owner, who waits for at most one lock. */
export function cyclesOf(locks: readonly BlockingLock[]): DeadlockCycle[] {
  const cycles: DeadlockCycle[] = [];
  const passed = new Set<number>();
  for (const { id } of locks) {
    const path: number[] = [];
    let at: number | null = id;
    while (at !== null && !passed.has(at)) {
      passed.add(at);
      path.push(at);
      at = locks[at]?.waitsFor ?? null;
    }
    const from = at === null ? -1 : path.indexOf(at);
    if (from < 0) continue;
    const cycle = path.slice(from);
    const pids = cycle.map((index) => locks[index]?.owner?.pid ?? 0);
    cycles.push({ locks: cycle, pids });
  }
  return cycles;
}
