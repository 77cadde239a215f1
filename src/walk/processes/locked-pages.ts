import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { ramBytes } from '../machine/machine.js';
import { moduleNames } from '../machine/modules.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { AddressSpace } from './address-spaces.js';
import { ProcessAreaReader, VM } from './process-areas.js';

/** Devices that may be given to one process. */
const MOST_CONTAINERS = 64;

/** Drivers that count pages which a device may reach among those that are locked (account_locked_vm, mm/util.c). */
const DRIVERS = /vfio|iommu|dfl|habana/;

/** The writer's bit of a `struct rw_semaphore`: its mappings are being changed. */
const WRITER = 1;

/**
 * Reads how many pages a process has locked, and holds that against its mappings; and what it counts as pinned
 * (RDMA, io_uring, perf) against the machine's memory, as it may be unmapped meanwhile.
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
    // An atomic since 5.1, of the same size; since 3.2.
    const pinned = kernel.struct('mm_struct')?.member('pinned_vm');
    this.#pinned = pinned && BigInt(pinned.offset);
    this.#ram = pagesOf(kernel);
    // mmap_sem before 5.8; another kind of lock where the kernel is preemptible everywhere.
    this.#lock = kernel.struct('mm_struct')?.member('mmap_lock.count.counter')
      ? new StructReader(kernel, 'mm_struct', ['mmap_lock.count.counter'])
      : undefined;
  }

  /**
   * @param some the machine has locked pages: each process's mappings are asked, also of one that counts none
   * @throws {ReadError}; {@link KernelError} `damaged`
   */
  read({ mm, running }: AddressSpace, some: boolean): number {
    const view = this.#memory.read(mm);
    const [locked, all] = [view.number('locked_vm'), view.number('total_vm')];
    if (this.#kernel.facts.live) return locked;
    if (locked > all * MOST_CONTAINERS) throw disagree(locked, all, 'it has');
    const pinned = this.#pinnedOf(mm);
    if (this.#ram !== undefined && (pinned < 0 || pinned > this.#ram * MOST_CONTAINERS))
      throw new KernelError(
        'damaged',
        `it counts ${pinned} pinned pages (pinned_vm), and the machine has ${this.#ram}`,
      );
    if ((locked > 0 || some) && !running && !this.#isChanging(mm)) this.#check(mm, locked);
    return locked;
  }

  /** 0 where it cannot be read: an extract need not have it. */
  #pinnedOf(mm: bigint): number {
    const offset = this.#pinned;
    if (offset === undefined) return 0;
    return readOrNot(() => Number(this.#kernel.read(mm + offset, 8).getBigInt64(0, true))) ?? 0;
  }

  #check(mm: bigint, locked: number): void {
    const { areas, doubts } = this.#areas.read(mm);
    // What of them cannot be read contradicts nothing.
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

  /** Whether the kernel may have a driver that counts pages so. */
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

/** What MemTotal counts; undefined: unknown. */
function pagesOf(kernel: Kernel): number | undefined {
  try {
    return ramBytes(kernel) / kernel.facts.pageSize;
  } catch (error) {
    if (error instanceof ReadError || error instanceof KernelError) return undefined;
    throw error;
  }
}

function disagree(locked: number, pages: number, what: string): KernelError {
  return new KernelError('damaged', `it counts ${locked} locked pages, and ${what} ${pages}`);
}
