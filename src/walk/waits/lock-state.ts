import { unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { WaitKind } from '../../records/waits.js';
import { StructReader } from '../struct-reader.js';

/** Kinds that have an owner, or readers. */
export type OwnedKind = 'mutex' | 'rw-semaphore' | 'semaphore' | 'percpu-rw-semaphore' | 'completion' | 'rt-mutex';

/** State of a lock according to itself. */
export interface LockState {
  /** Address of the owner's `task_struct`; 0n: none; undefined: this kind, or this kernel, does not record one. */
  readonly owner: bigint | undefined;
  /** Number of readers that hold it; undefined: no lock for readers. */
  readonly readers?: number;
  /** Task that acquired it last, which may have released it since. */
  readonly last?: bigint;
  /** Why tasks could acquire it: a contradiction, unless one of them was woken and has not run yet. */
  readonly free?: string;
  /** How the lock contradicts that tasks wait for it. */
  readonly contradictions: readonly string[];
}

/** Flags in the low bits of an owner (kernel/locking/mutex.h, rwsem.c): tasks are aligned more coarsely. */
const FLAGS = 7n;
const MUTEX_WAITERS = 1n;
const READER_OWNED = 1n;

/** Bits of `rw_semaphore.count` since 5.3 (kernel/locking/rwsem.c). */
const COUNT = { writer: 1n, waiters: 2n, reader: 8n, fail: 1n << 63n } as const;

/** Reads the state of locks for which tasks wait. */
export class LockStates {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  read(kind: OwnedKind, address: bigint): LockState {
    switch (kind) {
      case 'mutex':
        return this.#mutex(address);
      case 'rw-semaphore':
        return this.#rwSemaphore(address);
      case 'semaphore':
        return this.#semaphore(address);
      case 'percpu-rw-semaphore':
        return this.#percpu(address);
      case 'completion':
        return this.#completion(address);
      case 'rt-mutex':
        return this.#rtMutex(address);
    }
  }

  #mutex(address: bigint): LockState {
    const word = this.#reader('mutex', ['owner.counter']).read(address).pointer('owner.counter');
    const owner = word & ~FLAGS;
    const contradictions: string[] = [];
    if ((word & MUTEX_WAITERS) === 0n) contradictions.push('tasks wait, but its owner word has no flag for waiters');
    return { owner, ...freeIf(owner === 0n, 'it has no owner'), contradictions };
  }

  #rwSemaphore(address: bigint): LockState {
    const view = this.#reader('rw_semaphore', ['count.counter', 'owner.counter']).read(address);
    const [count, word] = [view.pointer('count.counter'), view.pointer('owner.counter')];
    const isWritten = (count & COUNT.writer) !== 0n;
    const readers = Number((count & ~COUNT.fail) >> COUNT.reader);
    const [task, isReaders] = [word & ~FLAGS, (word & READER_OWNED) !== 0n];
    const contradictions: string[] = [];
    if ((count & COUNT.waiters) === 0n) contradictions.push('tasks wait, but its count has no flag for waiters');
    const free = freeIf(!isWritten && readers === 0, 'neither a writer nor readers hold it');
    // A reader that finds a writer has counted itself for a moment.
    if (isWritten && (isReaders || task === 0n))
      contradictions.push('its count names a writer, but its owner word does not');
    if (isWritten) return { owner: task, readers: 0, contradictions };
    if (readers > 0 && task !== 0n && !isReaders)
      contradictions.push('its count names readers, but its owner word a writer');
    const last = isReaders && task !== 0n ? { last: task } : {};
    return { owner: 0n, readers, ...last, ...free, contradictions };
  }

  #semaphore(address: bigint): LockState {
    const count = this.#reader('semaphore', ['count']).read(address).number('count');
    const holder = StructReader.ifPresent(this.#kernel, 'semaphore', ['last_holder']);
    const last = holder?.read(address).pointer('last_holder') ?? 0n;
    const free = freeIf(count !== 0, `its count is ${count}`);
    return { owner: undefined, ...(last === 0n ? {} : { last }), ...free, contradictions: [] };
  }

  /** A writer is recorded only while it waits for readers. */
  #percpu(address: bigint): LockState {
    const view = this.#reader('percpu_rw_semaphore', ['block.counter']).read(address);
    const isBlocked = view.number('block.counter') !== 0;
    const free = freeIf(!isBlocked, 'no writer holds it (block is 0)');
    return { owner: undefined, ...free, contradictions: [] };
  }

  #completion(address: bigint): LockState {
    const done = this.#reader('completion', ['done']).read(address).number('done');
    const free = freeIf(done !== 0, `it is complete (done is ${done})`);
    return { owner: undefined, ...free, contradictions: [] };
  }

  #rtMutex(address: bigint): LockState {
    const type = this.#kernel.struct('rt_mutex_base') ? 'rt_mutex_base' : 'rt_mutex';
    const word = this.#reader(type, ['owner']).read(address).pointer('owner');
    const owner = word & ~FLAGS;
    return { owner, ...freeIf(owner === 0n, 'it has no owner'), contradictions: [] };
  }

  #reader<Path extends string>(type: string, paths: readonly Path[]): StructReader<Path> {
    const reader = StructReader.ifPresent(this.#kernel, type, paths);
    if (reader) return reader;
    throw unsupportedLayout(`struct ${type} has no member ${paths.join(' or ')}`);
  }
}

const freeIf = (isFree: boolean, why: string): Pick<LockState, 'free'> =>
  isFree ? { free: `tasks wait, but ${why}` } : {};

/** A lock in a message. */
export function lockName(kind: WaitKind, address: bigint): string {
  return `${kind} at ${hex(address)}`;
}
