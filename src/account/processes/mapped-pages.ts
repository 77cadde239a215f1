import type { ReadError } from '../../base/errors.js';
import { readOrNot } from '../../base/errors.js';
import { eachRun } from '../../base/util.js';
import type { MachinePages } from '../../contracts/procs.js';
import type { Kernel, UserPages } from '../../kernel/kernel.js';
import { KINDS } from '../../records/page-kinds.js';
import { type FrameScan, MAPPINGS } from '../../walk/memory/frame-scan.js';
import type { FrameMap } from '../../walk/memory/page-array.js';
import { KIND } from '../../walk/memory/page-kinds.js';

import type { AddressSpace } from '../../walk/processes/address-spaces.js';
import { FolioMapcounts, hugeZeroFrame } from '../../walk/processes/mapped-page.js';
import { swapAreas } from '../../walk/processes/process-areas.js';
import { MAX_ENTRIES, machinePages, swapKey } from './process.js';

/** Sums of the page table entries of an address space, in base pages. */
export interface ResidentPages {
  anonymous: number;
  shmem: number;
  file: number;
  hugetlb: number;
  /** Swap entries; undefined if some entries are of an unknown kind. */
  swapped: number | undefined;
  /** Migration entries, which count as resident, and markers, which do not; entries of an unknown kind may be both. */
  moving: number;
}

/** Pages that the page tables of an address space map, in base pages. */
export interface MappedPages {
  readonly anonymous: number;
  readonly shmem: number;
  /** File pages, and pages that count with them: the kernel's own pages that all processes see. */
  readonly file: number;
  readonly hugetlb: number;
  /** Pages divided by their number of mappings (PSS). */
  readonly proportional: number;
  /** Part that is anonymous, and part that is shared memory. */
  readonly proportionalAnonymous: number;
  readonly proportionalShmem: number;
  /** Pages with exactly one mapping. */
  readonly alone: number;
  /** Page tables, including the top one, and those reserved for splitting huge pages. */
  readonly tables: number;
}

/** Receives the pages that an address space maps; see {@link UserPages}. */
export interface MappedVisitor {
  /**
   * Receives a present page table entry.
   *
   * @param index index of its first frame in the map of frames
   */
  page(page: number, pages: number, frame: number, index: number, marks: number): void;
  absent?(page: number, pages: number, type: number, offset: number): void;
}

/** A page or large folio whose number of mappings differs from its own count. */
export interface Miscounted {
  readonly frame: number;
  readonly found: number;
  readonly counted: number;
  /** A process maps it that was running. */
  readonly running: boolean;
  /** Counter of a process that includes it. */
  readonly column: 'anonymous' | 'shmem' | 'file' | 'hugetlb';
}

/** Kinds whose `struct page` counts mappings in `_mapcount`, which is -1 for none. */
const COUNTED = Uint8Array.from(KINDS, (kind) => Number(['anonymous', 'swap-cache', 'file', 'shmem'].includes(kind)));

/** Bit of a count: a process that was running maps the frame. */
const RUNNING = 2 ** 31;

/** Memory of all mappings in a group of address spaces, base pages. */
export interface SharedInGroup {
  readonly least: number;
  /** Includes shared memory that several of them map, which a file in tmpfs may keep. */
  readonly most: number;
  /** Swap entries; undefined: unknown. */
  readonly swapped: number | undefined;
}

/** Mapped in several groups, or outside of all. */
const NO_GROUP = 2 ** 32 - 1;

interface Tables {
  /** Number of page tables found. */
  readonly tables: number;
  /**
   * Page tables reserved for splitting huge pages, one for each anonymous huge page or huge zero page
   * (pgtable_trans_huge_deposit).
   */
  readonly spare: number;
}

/**
 * Counts the mappings of each page frame in all address spaces, and then computes shares: the same division
 * that the kernel makes for /proc/PID/smaps by the count of each page (smaps_account).
 */
export class MappingCounts {
  readonly #kernel: Kernel;
  readonly #frames: FrameMap;
  readonly #kinds: Uint8Array;
  readonly #mappings: Uint8Array;
  readonly #counts: Uint32Array;
  readonly #hugeZero: number;
  readonly #swapAreas: number | undefined;

  /** @param scan result for each frame */
  constructor(kernel: Kernel, frames: FrameMap, { kinds, mappings }: Pick<FrameScan, 'kinds' | 'mappings'>) {
    this.#kernel = kernel;
    this.#frames = frames;
    this.#kinds = kinds;
    this.#mappings = mappings;
    this.#counts = new Uint32Array(frames.size);
    this.#hugeZero = hugeZeroFrame(kernel);
    this.#swapAreas = swapAreas(kernel);
  }

  /**
   * Counts the pages of one address space.
   *
   * @param visit called for each frame with its index in the map of frames
   * @throws {ReadError} if some of its page tables are unreadable; {@link KernelError} `damaged`
   */
  add(space: AddressSpace, visit: (index: number) => void = () => {}): ResidentPages {
    const counts = this.#counts;
    const mark = space.running ? RUNNING : 0;
    const tally = { anonymous: 0, shmem: 0, file: 0, hugetlb: 0, moving: 0 };
    let [swapped, unknownEntries] = [0, 0];
    this.walk(space, {
      page: (_page, pages, _frame, first) => {
        const end = Math.min(first + pages, this.#kinds.length);
        for (let index = first; index < end; index++) {
          tally[this.#columnOf(index)]++;
          counts[index] = (counts[index]! + 1) | mark;
          visit(index);
        }
      },
      absent: (_page, pages, type) => {
        const unknown = type < 0 || this.#swapAreas === undefined;
        if (unknown) unknownEntries += pages;
        if (unknown || type >= this.#swapAreas) tally.moving += pages;
        else swapped += pages;
      },
    });
    return { ...tally, swapped: unknownEntries > 0 ? undefined : swapped };
  }

  /**
   * Visits pages and large folios whose number of mappings differs from the count in their `struct page`s; of a
   * folio it is that of all its pages.
   */
  eachMiscounted(visit: (page: Miscounted) => void): void {
    const counts = this.#counts;
    const folios = new FolioMapcounts(this.#kernel);
    let index = 0;
    const visitRun = (kind: number, start: number, end: number) => {
      if (COUNTED[kind] === 0) return;
      for (index = Math.max(index, start); index < end; index++) {
        const [counted, mapped] = [counts[index]! % RUNNING, this.#mappings[index]!];
        if (mapped !== MAPPINGS.unknown) {
          if (Math.min(counted, MAPPINGS.more) === mapped) continue;
          const running = counts[index]! >= RUNNING;
          const frame = this.#frames.frameAt(index);
          visit({ frame, found: counted, counted: mapped, running, column: this.#columnOf(index) });
          continue;
        }
        // Its tails follow it; what is no head was allocated or freed amid the dump.
        const frame = this.#frames.frameAt(index);
        const folio = readOrNot(() => folios.of(frame, this.#isAnonymous(index)));
        if (!folio) continue;
        let [sum, running] = [0, false];
        for (let at = index; at < index + folio.pages; at++) {
          sum += (counts[at] ?? 0) % RUNNING;
          running ||= (counts[at] ?? 0) >= RUNNING;
        }
        if (sum !== folio.mappings)
          visit({ frame, found: sum, counted: folio.mappings, running, column: this.#columnOf(index) });
        index += folio.pages - 1;
      }
    };
    eachRun(this.#kinds, visitRun);
  }

  /** Returns all frames by kind, mapped ones separately. */
  machine(): MachinePages {
    return machinePages(this.#kinds, (index) => this.#counts[index]! > 0, this.#kernel.facts.pageSize);
  }

  /** Returns the number of mappings of a frame; at least 1, for frames mapped since the count. */
  at(index: number): number {
    return Math.max(this.#counts[index]! % RUNNING, 1);
  }

  /** Kind of the frame at an index, by the scan. */
  kindAt(index: number): number {
    return this.#kinds[index]!;
  }

  /** Pages that an added address space maps. @throws as add */
  of(space: AddressSpace): MappedPages {
    const counts = { anonymous: 0, shmem: 0, file: 0, hugetlb: 0 };
    const shares = { anonymous: 0, shmem: 0, file: 0 };
    let alone = 0;
    const { tables, spare } = this.#eachFrame(space, (index) => {
      const column = this.#columnOf(index);
      counts[column]++;
      if (column === 'hugetlb') return;
      const count = this.at(index);
      shares[column] += 1 / count;
      if (count === 1) alone++;
    });
    return {
      ...counts,
      proportional: shares.anonymous + shares.shmem + shares.file,
      proportionalAnonymous: shares.anonymous,
      proportionalShmem: shares.shmem,
      alone,
      tables: tables + spare,
    };
  }

  /**
   * Memory freed with each group if all its address spaces exit, in base pages: pages and swap entries whose
   * mappings are all in it. hugetlb pages are not counted, as in USS.
   *
   * @param groupOf number of a space's group, from 0; undefined: it is in none, and keeps its pages
   * @throws as add
   */
  together(
    spaces: readonly AddressSpace[],
    groups: number,
    groupOf: (space: AddressSpace) => number | undefined,
  ): SharedInGroup[] {
    const owners = new Uint32Array(this.#counts.length);
    const slots = new Map<number, number>();
    let swapKnown = true;
    for (const space of spaces) {
      const owner = (groupOf(space) ?? NO_GROUP - 1) + 1;
      this.walk(space, {
        page: (_page, pages, _frame, first) => {
          const end = Math.min(first + pages, owners.length);
          for (let index = first; index < end; index++)
            owners[index] = owners[index] === 0 || owners[index] === owner ? owner : NO_GROUP;
        },
        absent: (_page, pages, type, offset) => {
          if (type < 0 || this.#swapAreas === undefined) swapKnown = false;
          else if (type < this.#swapAreas && pages === 1) {
            const key = swapKey({ type, offset });
            if (slots.size < MAX_ENTRIES || slots.has(key))
              slots.set(key, (slots.get(key) ?? owner) === owner ? owner : NO_GROUP);
            else swapKnown = false;
          }
        },
      });
    }
    const bounds = Array.from({ length: groups }, () => ({ least: 0, most: 0, swapped: 0 }));
    for (let index = 0; index < owners.length; index++) {
      const group = bounds[owners[index]! - 1];
      if (!group || this.#kinds[index] === KIND.hugetlb) continue;
      group.most++;
      if (this.#isFreedWithMappings(index)) group.least++;
    }
    for (const owner of slots.values()) {
      const group = bounds[owner - 1];
      if (group) group.swapped++;
    }
    return swapKnown ? bounds : bounds.map(({ least, most }) => ({ least, most, swapped: undefined }));
  }

  /**
   * Whether a page is freed with its mappings. A tmpfs file and the kernel's own pages may remain, and so
   * does a page whose count exceeds the mappings found.
   */
  #isFreedWithMappings(index: number): boolean {
    const count = this.at(index);
    // The same as in USS.
    if (count === 1) return true;
    const mappings = this.#mappings[index]!;
    if (mappings !== MAPPINGS.unknown && mappings > Math.min(count, MAPPINGS.more)) return false;
    return this.#isAnonymous(index) || this.#kinds[index] === KIND.file;
  }

  /** Walks the entries of an address space, in order of address. @throws as add */
  walk({ pgd }: AddressSpace, visitor: MappedVisitor): Tables {
    let [tables, spare] = [0, 0];
    let lost: ReadError | undefined;
    const user: UserPages = {
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
        return true;
      },
      absent: (page, pages, type, offset) => visitor.absent?.(page, pages, type, offset),
      missing: (_page, _pages, error) => {
        lost ??= error;
      },
    };
    this.#kernel.userPages?.(pgd, user);
    if (lost) throw lost;
    return { tables, spare };
  }

  #columnOf(index: number): Miscounted['column'] {
    const kind = this.#kinds[index];
    if (kind === KIND.hugetlb) return 'hugetlb';
    if (kind === KIND.shmem) return 'shmem';
    return this.#isAnonymous(index) ? 'anonymous' : 'file';
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
