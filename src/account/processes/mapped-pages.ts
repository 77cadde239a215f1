import type { ReadError } from '../../kernel/error.js';
import type { Kernel, UserPages } from '../../kernel/kernel.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import type { AddressSpace } from '../../walk/processes/address-spaces.js';
import { hugeZeroFrame } from '../../walk/processes/huge-zero.js';
import { type MachinePages, machinePages } from './machine-pages.js';

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
  /** Page tables, the top one among them, and those that are kept to split huge pages by. */
  readonly tables: number;
}

/** Is told of what an address space maps; see {@link UserPages}. */
export interface MappedVisitor {
  /**
   * An entry of its page tables.
   *
   * @param index place of its first frame in the map of frames
   */
  page(page: number, pages: number, frame: number, index: number, marks: number): void;
  absent?(page: number, pages: number, type: number, offset: number): void;
}

/** The bit of a count that says that a process which was running maps the frame. */
const RUNNING = 2 ** 31;

interface Tables {
  /** Those that were met. */
  readonly tables: number;
  /** One for each huge page that is anonymous or of zeros, to split it by (pgtable_trans_huge_deposit). */
  readonly spare: number;
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
  readonly #hugeZero: number;

  /** @param kinds of each frame */
  constructor(kernel: Kernel, frames: FrameMap, kinds: Uint8Array) {
    this.#kernel = kernel;
    this.#frames = frames;
    this.#kinds = kinds;
    this.#counts = new Uint32Array(frames.size);
    this.#hugeZero = hugeZeroFrame(kernel);
  }

  /**
   * Counts the pages of one address space in.
   *
   * @throws {ReadError} if not all its page tables can be read; {@link KernelError} `damaged`
   */
  add(space: AddressSpace): void {
    const counts = this.#counts;
    const mark = space.running ? RUNNING : 0;
    this.#eachFrame(space, (index) => {
      counts[index] = (counts[index]! + 1) | mark;
    });
  }

  /** Frames that are mapped, but for those that a process maps which was running. */
  eachSettled(visit: (frame: number, count: number, kind: number) => void): void {
    const counts = this.#counts;
    for (let index = 0; index < counts.length; index++) {
      const count = counts[index]!;
      if (count > 0 && count < RUNNING)
        visit(this.#frames.frameAt(index), count, this.#kinds[index]!);
    }
  }

  /** All frames by kind, those that are mapped apart. */
  machine(): MachinePages {
    return machinePages(
      this.#kinds,
      (index) => this.#counts[index]! > 0,
      this.#kernel.facts.pageSize,
    );
  }

  /** How often the frame at a place is mapped: once where it has been mapped since they were counted. */
  at(index: number): number {
    return Math.max(this.#counts[index]! % RUNNING, 1);
  }

  /** What the scan said of the frame at a place. */
  kindAt(index: number): number {
    return this.#kinds[index]!;
  }

  /** What an address space that was counted in maps. @throws as add */
  of(space: AddressSpace): MappedPages {
    let [anonymous, shmem, file, hugetlb, proportional, alone] = [0, 0, 0, 0, 0, 0];
    const { tables, spare } = this.#eachFrame(space, (index) => {
      const kind = this.#kinds[index];
      if (kind === KIND.hugetlb) {
        hugetlb++;
        return;
      }
      if (this.#isAnonymous(index)) anonymous++;
      else if (kind === KIND.shmem) shmem++;
      else file++;
      const count = this.at(index);
      proportional += 1 / count;
      if (count === 1) alone++;
    });
    return { anonymous, shmem, file, hugetlb, proportional, alone, tables: tables + spare };
  }

  /** Goes through the entries of an address space, in the order of its addresses. @throws as add */
  walk({ pgd }: AddressSpace, visitor: MappedVisitor): Tables {
    let [tables, spare] = [0, 0];
    let lost: ReadError | undefined;
    const told: UserPages = {
      page: (page, pages, frame, marks) => {
        const index = this.#frames.indexOf(frame);
        if (index < 0) return;
        const isZero = pages > 1 && frame === this.#hugeZero;
        if (isZero || (pages > 1 && this.#isAnonymous(index))) spare++;
        if (!isZero) visitor.page(page, pages, frame, index, marks);
      },
      special: (_page, pages, frame) => {
        if (pages > 1 && frame === this.#hugeZero) spare++;
      },
      table: () => {
        tables++;
      },
      absent: (page, pages, type, offset) => visitor.absent?.(page, pages, type, offset),
      missing: (_page, _pages, error) => {
        lost ??= error;
      },
    };
    this.#kernel.userPages?.(pgd, told);
    if (lost) throw lost;
    return { tables, spare };
  }

  #isAnonymous(index: number): boolean {
    const kind = this.#kinds[index];
    return kind === KIND.anonymous || kind === KIND['swap-cache'];
  }

  #eachFrame(space: AddressSpace, visit: (index: number) => void): Tables {
    const page = (_page: number, pages: number, _frame: number, first: number): void => {
      const end = Math.min(first + pages, this.#kinds.length);
      for (let index = first; index < end; index++) visit(index);
    };
    return this.walk(space, { page });
  }
}
