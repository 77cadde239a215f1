import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { type TaskTable, taskTable } from '../tasks/task-table.js';
import type { AddressSpace } from './address-spaces.js';

/** Base pages that an address space counts as its own (include/linux/mm_types_task.h). */
export interface ResidentCounts {
  readonly file: number;
  readonly anonymous: number;
  readonly swapped: number;
  readonly shmem: number;
}

/** MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES. */
const COUNTERS = 4;

/**
 * Reads `mm_struct.rss_stat`, with what CPUs (since 6.2) or threads (before) have counted and not added.
 */
export class ResidentCountReader {
  readonly #kernel: Kernel;
  readonly #offset: bigint;
  /** Since 6.2: a `struct percpu_counter` for each. */
  readonly #counter: StructReader<'count' | 'counters'> | undefined;
  readonly #cpus: readonly number[];
  readonly #tasks: TaskTable;

  /** @throws {KernelError} `unsupported-layout` */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const { members } = new StructReader(kernel, 'mm_struct', ['rss_stat']);
    this.#offset = BigInt(members.rss_stat.offset);
    const isPerCpu = members.rss_stat.size > COUNTERS * 8;
    this.#counter = isPerCpu
      ? new StructReader(kernel, 'percpu_counter', ['count', 'counters'])
      : undefined;
    this.#cpus = isPerCpu ? cpuMask(kernel, '__cpu_possible_mask') : [];
    this.#tasks = taskTable(kernel);
  }

  /** @throws {ReadError}; {@link KernelError} `damaged` */
  read({ mm, processes }: AddressSpace): ResidentCounts {
    const counts = this.#counter ? this.#perCpu(mm) : this.#plain(mm, processes);
    const [file = 0, anonymous = 0, swapped = 0, shmem = 0] = counts;
    return { file, anonymous, swapped, shmem };
  }

  #perCpu(mm: bigint): number[] {
    const reader = this.#counter!;
    return Array.from({ length: COUNTERS }, (_, index) => {
      const view = reader.read(mm + this.#offset + BigInt(index * reader.size));
      let sum = Number(BigInt.asIntN(64, view.pointer('count')));
      const own = view.pointer('counters');
      for (const cpu of own === 0n ? [] : this.#cpus) {
        const at = perCpuAddress(this.#kernel, own, cpu);
        sum += readPartOf(this.#kernel, 'a percpu_counter', own, at, 4).getInt32(0, true);
      }
      return sum;
    });
  }

  /** Up to 6.1: threads add what they have counted after 64 events (SPLIT_RSS_COUNTING). */
  #plain(mm: bigint, processes: AddressSpace['processes']): number[] {
    const counts = Array.from({ length: COUNTERS }, (_, index) => {
      const at = mm + this.#offset + BigInt(index * 8);
      return Number(BigInt.asIntN(64, pointerPartOf(this.#kernel, 'struct mm_struct', mm, at)));
    });
    const layout = this.#kernel.struct('task_struct');
    const cached = layout?.member('rss_stat.count');
    if (!cached) return counts;
    if (cached.size < COUNTERS * 4)
      throw new KernelError('unsupported-layout', 'struct task_rss_stat has other counters');
    for (const process of processes) {
      this.#tasks.checkThreads(process);
      for (const { address } of this.#tasks.threads(process)) {
        const at = address + BigInt(cached.offset);
        const view = readPartOf(this.#kernel, 'struct task_struct', address, at, COUNTERS * 4);
        for (let index = 0; index < COUNTERS; index++)
          counts[index]! += view.getInt32(index * 4, true);
      }
    }
    return counts;
  }
}
