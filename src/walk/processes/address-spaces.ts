import { damaged, KernelError, ReadError, readOrNot, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { readFresh } from '../live-reads.js';
import { moduleNames, ramBytes } from '../machine-facts.js';
import { findOrNot, pointersPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { type TaskTable, taskTable } from '../tasks/task-table.js';
import type { Task } from '../tasks/tasks.js';
import { ProcessAreaReader, VM } from './process-areas.js';

/** The memory of one process, or of several that share it (CLONE_VM, vfork). */
export interface AddressSpace {
  /** Address of its `struct mm_struct`. */
  readonly mm: bigint;
  /** Address of its top-level page table. */
  readonly pgd: bigint;
  /**
   * Thread group leaders of the processes that use it; a leader may have exited while its threads still use
   * it.
   */
  readonly processes: readonly Task[];
  /** Addresses of tasks that use it, one per process. */
  readonly tasks: readonly bigint[];
  /** It is running on a CPU: its counters and page tables may differ briefly. */
  readonly running: boolean;
}

/**
 * Returns the address spaces of all processes, each once. Kernel threads have none: a borrowed one
 * (`active_mm`) does not count.
 *
 * @param lost receives processes whose memory cannot be found, with the reason
 * @throws as taskTable does; errors of `lost`
 */
export function addressSpaces(
  kernel: Kernel,
  lost: (process: Task, error: unknown) => void = (_, error) => {
    throw error;
  },
): AddressSpace[] {
  const { processes, threads, checkThreads, memory: memoryOf } = taskTable(kernel);
  const task = new StructReader(kernel, 'task_struct', ['mm']);
  const memory = new StructReader(kernel, 'mm_struct', ['pgd']);
  const byAddress = new Map<bigint, { readonly processes: Task[]; readonly tasks: bigint[] }>();
  for (const process of processes) {
    if (process.kernelThread) continue;
    try {
      let [mm, task] = [memoryOf(process), process.address];
      // A leader that has exited has no mm, while its threads continue.
      for (const thread of mm === 0n ? threads(process) : [])
        if (mm === 0n) [mm, task] = [memoryOf(thread), thread.address];
      if (mm === 0n) {
        checkThreads(process);
        continue;
      }
      const space = byAddress.get(mm) ?? { processes: [], tasks: [] };
      byAddress.set(mm, space);
      space.processes.push(process);
      space.tasks.push(task);
    } catch (error) {
      lost(process, error);
    }
  }
  const busy = new Set(Array.from(runningTasks(kernel), (address) => task.read(address).pointer('mm')));
  const spaces: AddressSpace[] = [];
  for (const [mm, { processes, tasks }] of byAddress) {
    try {
      const pgd = memory.read(mm).pointer('pgd');
      spaces.push({ mm, pgd, processes, tasks, running: busy.has(mm) });
    } catch (error) {
      for (const process of processes) lost(process, error);
    }
  }
  return spaces;
}

/**
 * Whether all tasks of a live kernel that used an address space have exited or called exec since it was
 * found.
 */
export function isFreed(kernel: Kernel, { mm, tasks }: AddressSpace): boolean {
  if (!kernel.facts.live) return false;
  const task = new StructReader(kernel, 'task_struct', ['mm']);
  const now = (address: bigint) => readFresh(kernel, () => readOrNot(() => task.read(address)));
  return tasks.every((address) => now(address)?.pointer('mm') !== mm);
}

/** Names an address space in messages. */
export function spaceName({ processes }: AddressSpace): string {
  const [first] = processes;
  return first === undefined ? 'a process' : `pid ${first.pid}`;
}

/** Yields the tasks that CPUs are running (`rq.curr`). */
function* runningTasks(kernel: Kernel): Generator<bigint> {
  const queue = new StructReader(kernel, 'rq', ['curr']);
  const queues = needSymbol(kernel, 'runqueues');
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const task = queue.read(perCpuAddress(kernel, queues, cpu)).pointer('curr');
    if (task !== 0n) yield task;
  }
}

/** Base pages that an address space counts as resident or swapped (include/linux/mm_types_task.h). */
export interface ResidentCounts {
  readonly file: number;
  readonly anonymous: number;
  readonly swapped: number;
  readonly shmem: number;
}

/** MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES. */
const COUNTERS = 4;

/**
 * Reads `mm_struct.rss_stat`, including counts that CPUs (since 6.2) or threads (before) have not added yet.
 */
export class ResidentCountReader {
  readonly #kernel: Kernel;
  readonly #memory;
  /** Since 6.2: one `struct percpu_counter` per counter. */
  readonly #counter: StructReader<'count' | 'counters'> | undefined;
  readonly #cpus: readonly number[];
  readonly #tasks: TaskTable;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#memory = new StructReader(kernel, 'mm_struct', ['rss_stat']);
    const isPerCpu = this.#memory.members.rss_stat.size > COUNTERS * 8;
    this.#counter = isPerCpu ? new StructReader(kernel, 'percpu_counter', ['count', 'counters']) : undefined;
    this.#cpus = isPerCpu ? cpuMask(kernel, '__cpu_possible_mask') : [];
    this.#tasks = taskTable(kernel);
  }

  read({ mm, processes }: AddressSpace): ResidentCounts {
    const counts = this.#counter ? this.#perCpu(mm) : this.#plain(mm, processes);
    const [file = 0, anonymous = 0, swapped = 0, shmem = 0] = counts;
    return { file, anonymous, swapped, shmem };
  }

  #perCpu(mm: bigint): number[] {
    const reader = this.#counter!;
    const first = this.#memory.addressOf(mm, 'rss_stat');
    return Array.from({ length: COUNTERS }, (_, index) => {
      const view = reader.read(reader.element(first, index));
      let sum = Number(BigInt.asIntN(64, view.pointer('count')));
      const own = view.pointer('counters');
      for (const cpu of own === 0n ? [] : this.#cpus) {
        const at = perCpuAddress(this.#kernel, own, cpu);
        sum += readPartOf(this.#kernel, 'a percpu_counter', own, at, 4).getInt32(0, true);
      }
      return sum;
    });
  }

  /** Up to 6.1: threads add their counts after 64 events (SPLIT_RSS_COUNTING). */
  #plain(mm: bigint, processes: AddressSpace['processes']): number[] {
    const first = this.#memory.addressOf(mm, 'rss_stat');
    const words = pointersPartOf(this.#kernel, 'struct mm_struct', mm, first, COUNTERS);
    const counts = words.map((word) => Number(BigInt.asIntN(64, word)));
    const layout = this.#kernel.struct('task_struct');
    const cached = layout?.member('rss_stat.count');
    if (!cached) return counts;
    if (cached.size < COUNTERS * 4) throw unsupportedLayout('unsupported layout of struct task_rss_stat');
    for (const process of processes) {
      this.#tasks.checkThreads(process);
      for (const { address } of this.#tasks.threads(process)) {
        const at = address + BigInt(cached.offset);
        const view = readPartOf(this.#kernel, 'struct task_struct', address, at, COUNTERS * 4);
        for (let index = 0; index < COUNTERS; index++) counts[index]! += view.getInt32(index * 4, true);
      }
    }
    return counts;
  }
}

/** Maximum number of devices assigned to one process. */
const MAX_CONTAINERS = 64;

/** Drivers that add pages accessible to a device to the locked pages (account_locked_vm, mm/util.c). */
const DRIVERS = /vfio|iommu|dfl|habana/;

/** Writer bit of a `struct rw_semaphore`: the mappings are being changed. */
const WRITER = 1;

/**
 * Reads the locked pages of a process, and compares them with its mappings; and its pinned pages (RDMA,
 * io_uring, perf) with the machine's memory, since they may be unmapped.
 */
export class LockedPageReader {
  readonly #kernel: Kernel;
  readonly #memory;
  readonly #areas: ProcessAreaReader;
  readonly #lock: StructReader<'mmap_lock.count.counter'> | undefined;
  readonly #pinned: bigint | undefined;
  readonly #ram: number | undefined;
  #drivers: boolean | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#memory = new StructReader(kernel, 'mm_struct', ['locked_vm', 'total_vm']);
    this.#areas = new ProcessAreaReader(kernel);
    // Exists since 3.2; an atomic of the same size since 5.1.
    const pinned = kernel.struct('mm_struct')?.member('pinned_vm');
    this.#pinned = pinned && BigInt(pinned.offset);
    this.#ram = pagesOf(kernel);
    // mmap_sem before 5.8; a different kind of lock on PREEMPT_RT kernels.
    this.#lock = StructReader.ifPresent(kernel, 'mm_struct', ['mmap_lock.count.counter']);
  }

  /**
   * @param some whether the machine has locked pages: if so, the mappings of every process are read, even if
   * its counter is 0
   */
  read({ mm, running }: AddressSpace, some: boolean): number {
    const view = this.#memory.read(mm);
    const [locked, all] = [view.number('locked_vm'), view.number('total_vm')];
    if (this.#kernel.facts.live) return locked;
    if (locked > all * MAX_CONTAINERS) throw disagree(locked, all, 'it has');
    const pinned = this.#pinnedOf(mm);
    if (this.#ram !== undefined && (pinned < 0 || pinned > this.#ram * MAX_CONTAINERS))
      throw damaged(`it counts ${pinned} pinned pages (pinned_vm), but the machine has ${this.#ram}`);
    if ((locked > 0 || some) && !running && !this.#isChanging(mm)) this.#check(mm, locked);
    return locked;
  }

  /** Returns 0 if the count cannot be read: an extract may lack it. */
  #pinnedOf(mm: bigint): number {
    const offset = this.#pinned;
    if (offset === undefined) return 0;
    return readOrNot(() => Number(this.#kernel.read(mm + offset, 8).getBigInt64(0, true))) ?? 0;
  }

  #check(mm: bigint, locked: number): void {
    const { areas, doubts } = this.#areas.read(mm);
    // Unreadable mappings contradict nothing.
    if (doubts.some((error) => error instanceof ReadError)) return;
    let bytes = 0n;
    for (const { start, end, flags } of areas) if ((flags & VM.locked) !== 0n) bytes += end - start;
    const found = Number(bytes) / this.#kernel.facts.pageSize;
    if (locked < found || (locked > found && !this.#mayCount())) throw disagree(locked, found, 'its mappings lock');
  }

  #isChanging(mm: bigint): boolean {
    return !this.#lock || (this.#lock.read(mm).number('mmap_lock.count.counter') & WRITER) !== 0;
  }

  /** Whether the kernel may have a driver that adds such pages. */
  #mayCount(): boolean {
    if (this.#drivers !== undefined) return this.#drivers;
    try {
      this.#drivers =
        this.#kernel.symbol('vfio_pin_pages_remote') !== undefined ||
        moduleNames(this.#kernel).some((name) => DRIVERS.test(name));
    } catch (error) {
      if (!(error instanceof KernelError || error instanceof ReadError)) throw error;
      this.#drivers = true;
    }
    return this.#drivers;
  }
}

/** Pages in MemTotal; undefined: unknown. */
function pagesOf(kernel: Kernel): number | undefined {
  return findOrNot(() => ramBytes(kernel) / kernel.facts.pageSize);
}

function disagree(locked: number, pages: number, what: string): KernelError {
  return damaged(`it counts ${locked} locked pages, and ${what} ${pages}`);
}
