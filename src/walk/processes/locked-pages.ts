import { damaged, KernelError, ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { moduleNames, ramBytes } from '../machine-facts.js';
import { findOrNot, readOrNot } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { AddressSpace } from './address-spaces.js';
import { ProcessAreaReader, VM } from './process-areas.js';

/** Maximum number of devices assigned to one process. */
const MOST_CONTAINERS = 64;

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

  /** @throws {KernelError} `unsupported-layout` */
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
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  read({ mm, running }: AddressSpace, some: boolean): number {
    const view = this.#memory.read(mm);
    const [locked, all] = [view.number('locked_vm'), view.number('total_vm')];
    if (this.#kernel.facts.live) return locked;
    if (locked > all * MOST_CONTAINERS) throw disagree(locked, all, 'it has');
    const pinned = this.#pinnedOf(mm);
    if (this.#ram !== undefined && (pinned < 0 || pinned > this.#ram * MOST_CONTAINERS))
      throw damaged(
        `it counts ${pinned} pinned pages (pinned_vm), but the machine has ${this.#ram}`,
      );
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
    if (locked < found || (locked > found && !this.#mayCount()))
      throw disagree(locked, found, 'its mappings lock');
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
