import { ReadError } from '../../base/errors.js';
import type { MappingSizes } from '../../contracts/process.js';
import { type Kernel, MARK } from '../../kernel/kernel.js';
import { KIND } from '../../walk/memory/page-kinds.js';
import type { AddressSpace } from '../../walk/processes/address-spaces.js';
import { MappedPageReader } from '../../walk/processes/mapped-page.js';
import { type ProcessArea, VM } from '../../walk/processes/process-areas.js';
import { StructReader } from '../../walk/struct-reader.js';
import type { MappedVisitor, MappingCounts } from './mapped-pages.js';
import type { SwapEntry } from './process.js';

/** A mapping, and the sums of its pages; counts are in base pages. */
export class AreaPages {
  readonly area: ProcessArea;
  /** Page numbers of the address range: the first, and the one after the last. */
  readonly first: number;
  readonly end: number;
  /** Address of its file's `struct address_space`; 0n: none. */
  readonly mapping: bigint;
  resident = 0;
  proportional = 0;
  readonly private = { clean: 0, dirty: 0 };
  readonly shared = { clean: 0, dirty: 0 };
  referenced = 0;
  anonymous = 0;
  readonly huge = { anonymous: 0, shmem: 0, file: 0 };
  readonly hugetlb = { private: 0, shared: 0 };
  /** Swap entries with their offsets; absent if their kind is unknown. */
  readonly swap: SwapEntry[] = [];
  unknownEntries = 0;
  /** Pages whose `struct page` is unreadable. */
  unread = 0;

  constructor(area: ProcessArea, pageSize: number, mapping: bigint) {
    this.area = area;
    this.first = Number(area.start / BigInt(pageSize));
    this.end = Number(area.end / BigInt(pageSize));
    this.mapping = mapping;
  }

  /** Figures as in smaps. @param bytes of base pages */
  sizes(bytes: (pages: number) => number, swap: Pick<MappingSizes, 'swapBytes' | 'swapPssBytes'>): MappingSizes {
    const known = (pages: number) => (this.unread > 0 ? null : bytes(pages));
    return {
      rssBytes: bytes(this.resident),
      pssBytes: bytes(this.proportional),
      privateCleanBytes: known(this.private.clean),
      privateDirtyBytes: known(this.private.dirty),
      sharedCleanBytes: known(this.shared.clean),
      sharedDirtyBytes: known(this.shared.dirty),
      referencedBytes: known(this.referenced),
      anonBytes: known(this.anonymous),
      anonHugeBytes: known(this.huge.anonymous),
      shmemHugeBytes: known(this.huge.shmem),
      fileHugeBytes: known(this.huge.file),
      privateHugetlbBytes: bytes(this.hugetlb.private),
      sharedHugetlbBytes: bytes(this.hugetlb.shared),
      ...swap,
      lockedBytes: (this.area.flags & VM.locked) === 0n ? 0 : bytes(this.proportional),
    };
  }
}

/** Anomalies of the pages of a process. */
export interface Anomalies {
  /** Pages outside all mappings, and the number of the first. */
  outside: number;
  firstOutside: number;
  /** Pages whose type contradicts the mapping, with a description of the first. */
  strays: number;
  firstStray: string;
  whyUnread: ReadError | undefined;
}

/**
 * Assigns each page of an address space to its mapping. The `struct page` must name the file of that mapping,
 * and the position in it.
 *
 * @param areas in order of address
 * @throws as MappingCounts.walk
 */
export function pagesOfAreas(
  kernel: Kernel,
  space: AddressSpace,
  counts: MappingCounts,
  areas: readonly AreaPages[],
): Anomalies {
  const walk = new Walk(kernel, counts, areas);
  counts.walk(space, walk);
  return walk.anomalies;
}

/** Files of mappings by `struct file`, for {@link AreaPages}. */
export class FileMappings {
  readonly #file;

  constructor(kernel: Kernel) {
    this.#file = new StructReader(kernel, 'file', ['f_mapping']);
  }

  of({ file }: ProcessArea): bigint {
    return file === 0n ? 0n : this.#file.read(file).pointer('f_mapping');
  }
}

class Walk implements MappedVisitor {
  readonly anomalies: Anomalies = { outside: 0, firstOutside: 0, strays: 0, firstStray: '', whyUnread: undefined };
  readonly #counts: MappingCounts;
  readonly #areas: readonly AreaPages[];
  readonly #read: MappedPageReader;
  readonly #held: boolean;
  #at = 0;

  constructor(kernel: Kernel, counts: MappingCounts, areas: readonly AreaPages[]) {
    this.#counts = counts;
    this.#areas = areas;
    this.#read = new MappedPageReader(kernel);
    // A running kernel may move pages between two reads.
    this.#held = !kernel.facts.live;
  }

  page(page: number, pages: number, frame: number, index: number, marks: number): void {
    const area = this.#areaOf(page, pages);
    if (!area) {
      if (this.anomalies.outside === 0) this.anomalies.firstOutside = page;
      this.anomalies.outside += pages;
      return;
    }
    const kind = this.#counts.kindAt(index);
    if (kind === KIND.hugetlb) {
      if (this.#counts.at(index) > 1) area.hugetlb.shared += pages;
      else area.hugetlb.private += pages;
      return;
    }
    const facts = this.#facts(area, page, frame);
    const dirty = (marks & MARK.dirty) !== 0 || (facts?.dirty ?? false) ? 'dirty' : 'clean';
    area.resident += pages;
    if (facts?.anonymous) area.anonymous += pages;
    if ((marks & MARK.young) !== 0 || facts?.referenced) area.referenced += pages;
    if (pages > 1) {
      if (facts?.anonymous) area.huge.anonymous += pages;
      else if (kind === KIND.shmem) area.huge.shmem += pages;
      else area.huge.file += pages;
    }
    for (let at = 0; at < pages; at++) {
      const count = this.#counts.at(index + at);
      area.proportional += 1 / count;
      if (count > 1) area.shared[dirty]++;
      else area.private[dirty]++;
    }
  }

  absent(page: number, pages: number, type: number, offset: number): void {
    const area = this.#areaOf(page, pages);
    if (!area || pages > 1) return;
    if (type < 0) area.unknownEntries++;
    else area.swap.push({ type, offset });
  }

  #areaOf(page: number, pages: number): AreaPages | undefined {
    while (this.#at < this.#areas.length && this.#areas[this.#at]!.end <= page) this.#at++;
    const area = this.#areas[this.#at];
    return area && page >= area.first && page + pages <= area.end ? area : undefined;
  }

  #facts(area: AreaPages, page: number, frame: number): MappedPageReader | undefined {
    try {
      this.#read.read(frame);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      area.unread++;
      this.anomalies.whyUnread ??= error;
      return undefined;
    }
    const { mapping, index, anonymous } = this.#read;
    if (!this.#held || index === undefined) return this.#read;
    const place = area.area.pageOffset + BigInt(page - area.first);
    const elsewhere = !anonymous && mapping !== area.mapping;
    if (elsewhere || index !== place) {
      if (this.anomalies.strays === 0)
        this.anomalies.firstStray = elsewhere
          ? `page frame ${frame}, which belongs to another file`
          : `page frame ${frame}, which is page ${index} of its file, as page ${place}`;
      this.anomalies.strays++;
    }
    return this.#read;
  }
}
