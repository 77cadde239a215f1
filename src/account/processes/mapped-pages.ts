import type { ReadError } from '../../kernel/error.js';
import type { Kernel, UserPages } from '../../kernel/kernel.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import type { AddressSpace } from '../../walk/processes/address-spaces.js';

/** What the page tables of an address space map, in base pages. */
export interface MappedPages {
  readonly anonymous: number;
  readonly shmem: number;
  /** Of files, and what else counts with them: the kernel's own pages that it shows to everybody. */
  readonly file: number;
  readonly hugetlb: number;
  /** Pages divided among all mappings of them. */
  readonly proportional: number;
  /** Pages that have one mapping. */
  readonly alone: number;
  /** Page tables, the top one among them. */
  readonly tables: number;
}

/**
 * Counts how often each page frame is mapped, over all address spaces, and then what each one's share is:
 * the division that the kernel makes for /proc/PID/smaps by the count of each page (smaps_account).
 */
export class MappingCounts {
  readonly #kernel: Kernel;
  readonly #frames: FrameMap;
  readonly #kinds: Uint8Array;
  readonly #counts: Uint32Array;

  /** @param kinds of each frame */
  constructor(kernel: Kernel, frames: FrameMap, kinds: Uint8Array) {
    this.#kernel = kernel;
    this.#frames = frames;
    this.#kinds = kinds;
    this.#counts = new Uint32Array(frames.size);
  }

  /**
   * Counts the pages of one address space in.
   *
   * @throws {ReadError} if not all its page tables can be read; {@link KernelError} `damaged`
   */
  add({ pgd }: AddressSpace): void {
    const counts = this.#counts;
    this.#walk(pgd, (index) => {
      counts[index]!++;
    });
  }

  /** What an address space that was counted in maps. @throws as add */
  of({ pgd }: AddressSpace): MappedPages {
    let [anonymous, shmem, file, hugetlb, proportional, alone] = [0, 0, 0, 0, 0, 0];
    const tables = this.#walk(pgd, (index) => {
      const kind = this.#kinds[index];
      if (kind === KIND.hugetlb) {
        hugetlb++;
        return;
      }
      if (kind === KIND.anonymous || kind === KIND['swap-cache']) anonymous++;
      else if (kind === KIND.shmem) shmem++;
      else file++;
      const count = this.#counts[index]!;
      // On a running kernel it may have been mapped since they were counted.
      proportional += 1 / Math.max(count, 1);
      if (count <= 1) alone++;
    });
    return { anonymous, shmem, file, hugetlb, proportional, alone, tables };
  }

  /** @returns how many tables there are */
  #walk(pgd: bigint, visit: (index: number) => void): number {
    let tables = 0;
    let lost: ReadError | undefined;
    const told: UserPages = {
      page: (_page, pages, frame) => {
        const first = this.#frames.indexOf(frame);
        if (first < 0) return;
        const end = Math.min(first + pages, this.#kinds.length);
        for (let index = first; index < end; index++) visit(index);
      },
      table: () => {
        tables++;
      },
      absent: () => {},
      missing: (_page, _pages, error) => {
        lost ??= error;
      },
    };
    this.#kernel.userPages?.(pgd, told);
    if (lost) throw lost;
    return tables;
  }
}
