import type { ReadError } from '../../base/errors/kernel.js';
import type { Kernel, UserPages } from '../../kernel/kernel.js';
import type { FrameMap } from '../../walk/memory/frame-map.js';
import { type FrameScan, MAPPINGS } from '../../walk/memory/frame-scan.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import type { AddressSpace } from '../../walk/processes/address-spaces.js';
import { hugeZeroFrame } from '../../walk/processes/huge-zero.js';
import { swapAreas } from '../../walk/processes/swap-areas.js';
import { type MachinePages, machinePages } from './machine-pages.js';
import { MOST_ENTRIES, swapKey } from './swap-key.js';

/** What the entries of an address space's page tables come to, in base pages. */
export interface ResidentPages {
  anonymous: number;
  shmem: number;
  file: number;
  hugetlb: number;
  /** Entries of swap areas; undefined: some entries do not tell what they are. */
  swapped: number | undefined;
  /** Entries of pages on their way (migration), which count as resident, and of markers, which do not. */
  moving: number;
}

/** What the page tables of an address space map, in base pages. */
export interface MappedPages {
  readonly anonymous: number;
  readonly shmem: number;
  /** Of files, and what else counts with them: the kernel's own pages that it shows to everybody. */
  readonly file: number;
  readonly hugetlb: number;
  /** Pages divided among all mappings of them. */
  readonly proportional: number;
  /** Of these, anonymous pages and pages of shared memory. */
  readonly proportionalAnonymous: number;
  readonly proportionalShmem: number;
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

/** Kinds whose `struct page`s count their mappings, in `_mapcount`, which is -1 for none. */
const COUNTED: ReadonlySet<number> = new Set([
  ...[KIND.anonymous, KIND['swap-cache'], KIND.file, KIND.shmem],
]);

/** The bit of a count that says that a process which was running maps the frame. */
const RUNNING = 2 ** 31;

/** What all mappings in a group of address spaces keep, base pages. */
export interface SharedInGroup {
  readonly least: number;
  /** With shared memory that several of them map, which a file in tmpfs may keep. */
  readonly most: number;
  /** Entries of swap areas; undefined: unknown. */
  readonly swapped: number | undefined;
}

/** What is mapped in several groups, or outside of all. */
const NO_GROUP = 2 ** 32 - 1;

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
  readonly #mappings: Uint8Array;
  readonly #counts: Uint32Array;
  readonly #hugeZero: number;
  readonly #swapAreas: number | undefined;

  /** @param scan of each frame */
  constructor(
    kernel: Kernel,
    frames: FrameMap,
    { kinds, mappings }: Pick<FrameScan, 'kinds' | 'mappings'>,
  ) {
    this.#kernel = kernel;
    this.#frames = frames;
    this.#kinds = kinds;
    this.#mappings = mappings;
    this.#counts = new Uint32Array(frames.size);
    this.#hugeZero = hugeZeroFrame(kernel);
    this.#swapAreas = swapAreas(kernel);
  }

  /**
   * Counts the pages of one address space in.
   *
   * @param visit told of each frame, by its place in the map of frames
   * @throws {ReadError} if not all its page tables can be read; {@link KernelError} `damaged`
   */
  add(space: AddressSpace, visit: (index: number) => void = () => {}): ResidentPages {
    const counts = this.#counts;
    const mark = space.running ? RUNNING : 0;
    const found = { anonymous: 0, shmem: 0, file: 0, hugetlb: 0, moving: 0 };
    let [swapped, untold] = [0, 0];
    this.walk(space, {
      page: (_page, pages, _frame, first) => {
        const end = Math.min(first + pages, this.#kinds.length);
        for (let index = first; index < end; index++) {
          found[this.#columnOf(index)]++;
          counts[index] = (counts[index]! + 1) | mark;
          visit(index);
        }
      },
      absent: (_page, pages, type) => {
        if (type < 0 || this.#swapAreas === undefined) untold += pages;
        else if (type < this.#swapAreas) swapped += pages;
        else found.moving += pages;
      },
    });
    return { ...found, swapped: untold > 0 ? undefined : swapped };
  }

  /**
   * Frames of one page each that are mapped more or less often than their `struct page`s count, but for those
   * that a process maps which was running, and those of large folios.
   */
  eachMiscounted(visit: (frame: number, found: number, told: number) => void): void {
    const counts = this.#counts;
    for (let index = 0; index < counts.length; index++) {
      const [found, told] = [counts[index]!, this.#mappings[index]!];
      if (Math.min(found, MAPPINGS.more) === told || told === MAPPINGS.unknown) continue;
      if (found < RUNNING && COUNTED.has(this.#kinds[index]!))
        visit(this.#frames.frameAt(index), found, told);
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
    const found = { anonymous: 0, shmem: 0, file: 0, hugetlb: 0 };
    const shares = { anonymous: 0, shmem: 0, file: 0 };
    let alone = 0;
    const { tables, spare } = this.#eachFrame(space, (index) => {
      const column = this.#columnOf(index);
      found[column]++;
      if (column === 'hugetlb') return;
      const count = this.at(index);
      shares[column] += 1 / count;
      if (count === 1) alone++;
    });
    return {
      ...found,
      proportional: shares.anonymous + shares.shmem + shares.file,
      proportionalAnonymous: shares.anonymous,
      proportionalShmem: shares.shmem,
      alone,
      tables: tables + spare,
    };
  }

  /**
   * What goes with each group when all its address spaces go, in base pages: pages and swap entries all of whose
   * mappings are in it. Pages of hugetlb are not counted, as in USS.
   *
   * @param groupOf the number of its group, from 0; undefined: it is in none, and keeps what it maps
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
            if (slots.size < MOST_ENTRIES || slots.has(key))
              slots.set(key, (slots.get(key) ?? owner) === owner ? owner : NO_GROUP);
            else swapKnown = false;
          }
        },
      });
    }
    const found = Array.from({ length: groups }, () => ({ least: 0, most: 0, swapped: 0 }));
    for (let index = 0; index < owners.length; index++) {
      const group = found[owners[index]! - 1];
      if (!group || this.#kinds[index] === KIND.hugetlb) continue;
      group.most++;
      if (this.#goesWithMappings(index)) group.least++;
    }
    for (const owner of slots.values()) {
      const group = found[owner - 1];
      if (group) group.swapped++;
    }
    return swapKnown
      ? found
      : found.map(({ least, most }) => ({ least, most, swapped: undefined }));
  }

  /** A file in tmpfs and the kernel's own pages may stay; so does a page that counts mappings which were not found. */
  #goesWithMappings(index: number): boolean {
    const found = this.at(index);
    // As USS has it.
    if (found === 1) return true;
    const told = this.#mappings[index]!;
    if (told !== MAPPINGS.unknown && told > Math.min(found, MAPPINGS.more)) return false;
    return this.#isAnonymous(index) || this.#kinds[index] === KIND.file;
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

  #columnOf(index: number): 'anonymous' | 'shmem' | 'file' | 'hugetlb' {
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
