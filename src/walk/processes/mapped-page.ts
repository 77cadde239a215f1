import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import { hlistNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import {
  flagPlace,
  flagTest,
  type HeadFinder,
  headFinder,
  MAX_ORDER,
  memberOf,
  orderOffset,
  type PageTest,
  struct,
} from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';

/** Bits 1 and 0 of `page.mapping`: type of the mapping (PAGE_MAPPING_FLAGS in linux/page-flags.h). */
const [ANONYMOUS, FLAGS] = [1n, 3n];

/** Reads the `struct page` of a mapped frame, by the head of its allocation. */
export class MappedPageReader {
  /** Modified since it was last written to disk. */
  dirty = false;
  /** Referenced since the last reclaim scan, including references other than through page tables. */
  referenced = false;
  /** Anonymous, excluding KSM pages, which have no single owner. */
  anonymous = false;
  /** Address of its `struct address_space`; 0n: not a file page. */
  mapping = 0n;
  /** Index in the file or anonymous mapping, in base pages; undefined if unknown. */
  index: bigint | undefined;
  readonly #kernel: Kernel;
  readonly #page: Cursor;
  readonly #size: number;
  readonly #headOf: HeadFinder;
  readonly #isDirty: PageTest;
  readonly #isReferenced: PageTest;
  readonly #isYoung: PageTest | undefined;
  readonly #mappingAt: number;
  readonly #indexAt: number;
  readonly #at = new Pointer();

  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    this.#kernel = kernel;
    this.#page = new Cursor(kernel, 'struct page');
    this.#size = page.size;
    this.#headOf = headFinder(kernel, page);
    this.#isDirty = flagTest(kernel, page, 'PG_dirty');
    this.#isReferenced = flagTest(kernel, page, 'PG_referenced');
    this.#isYoung = kernel.enumerators('pageflags')?.has('PG_young') ? flagTest(kernel, page, 'PG_young') : undefined;
    this.#mappingAt = memberOf(page, 'mapping').offset;
    // Named __folio_index since about 6.14.
    this.#indexAt = (page.member('index') ?? memberOf(page, '__folio_index')).offset;
  }

  read(frame: number): void {
    const page = this.#kernel.pages.pageOfFrame(frame);
    const own = this.#page.to(page).look(0, this.#size);
    const head = this.#headOf(page, own);
    const behind = head === page ? 0 : frame - this.#kernel.pages.frameOfPage(this.#at.set(head));
    const { view, base } = head === page ? own : this.#page.to(head).look(0, this.#size);
    this.dirty = this.#isDirty(view, base);
    this.referenced = this.#isReferenced(view, base) || (this.#isYoung?.(view, base) ?? false);
    const word = view.getBigUint64(base + this.#mappingAt, true);
    this.anonymous = (word & ANONYMOUS) !== 0n;
    this.mapping = (word & FLAGS) === 0n ? word : 0n;
    const places = this.mapping !== 0n || (word & FLAGS) === ANONYMOUS;
    this.index = places ? view.getBigUint64(base + this.#indexAt, true) + BigInt(behind) : undefined;
  }
}

/**
 * Returns the first frame of the huge zero page, which is mapped where memory was only read
 * (mm/huge_memory.c) and has no owner; -1 if there is none, or the kernel lacks the symbol. Its page table
 * entries are marked special only since 6.16.
 */
export function hugeZeroFrame(kernel: Kernel): number {
  const at = kernel.symbol('huge_zero_pfn');
  if (at === undefined) return -1;
  const frame = readPartOf(kernel, 'huge_zero_pfn', at, at, 8).getBigUint64(0, true);
  return frame < 2n ** 52n ? Number(frame) : -1;
}

/** Number of struct pages read at a time. */
const PART = 256;

/** Mappings of a large folio by its struct pages. */
interface FolioMapcount {
  /** Number of base pages. */
  readonly pages: number;
  /** Sum of the page table mappings of all its pages: one mapping of the whole folio counts once for each. */
  readonly mappings: number;
}

/**
 * Reads how often a large folio is mapped: as a whole (`_entire_mapcount`, before 6.3 `compound_mapcount`), and
 * by pages. Their sum is `_large_mapcount` since 6.10, where kernels may keep no counts of single pages
 * (CONFIG_NO_PAGE_MAPCOUNT); before, each page has its own `_mapcount`. Before 6.2 that of a file's page includes
 * mappings of the whole, and that of an anonymous page has one more if PG_double_map is set. (mm/rmap.c)
 */
export class FolioMapcounts {
  readonly #kernel: Kernel;
  readonly #stride: number;
  readonly #order: number;
  readonly #mapcount: number;
  readonly #entire: number | undefined;
  readonly #large: number | undefined;
  readonly #head: { readonly offset: number; readonly mask: number };
  readonly #double: { readonly offset: number; readonly mask: number } | undefined;

  constructor(kernel: Kernel) {
    const page = struct(kernel, 'page');
    const folio = kernel.struct('folio');
    this.#kernel = kernel;
    this.#stride = page.size;
    this.#order = orderOffset(kernel, page);
    this.#mapcount = memberOf(page, '_mapcount').offset;
    const inSecond = page.member('compound_mapcount');
    this.#entire = folio?.member('_entire_mapcount')?.offset ?? (inSecond && page.size + inSecond.offset);
    this.#large = folio?.member('_large_mapcount')?.offset;
    this.#head = flagPlace(kernel, page, 'PG_head');
    if (kernel.enumerators('pageflags')?.has('PG_double_map')) this.#double = flagPlace(kernel, page, 'PG_double_map');
  }

  /**
   * @param isAnonymous whether its pages are anonymous
   * @returns undefined if the frame does not begin a compound page, or if the layout is unknown
   */
  of(frame: number, isAnonymous: boolean): FolioMapcount | undefined {
    const stride = this.#stride;
    if (this.#entire === undefined) return undefined;
    const view = this.#kernel.read(this.#kernel.pages.pageOfFrame(frame), 2 * stride);
    if ((view.getUint8(this.#head.offset) & this.#head.mask) === 0) return undefined;
    const order = view.getUint8(this.#order);
    if (order < 1 || order > MAX_ORDER) return undefined;
    const pages = 2 ** order;
    const entire = view.getInt32(this.#entire, true) + 1;
    if (this.#large !== undefined) {
      const all = view.getInt32(this.#large, true) + 1;
      return { pages, mappings: all - entire + pages * entire };
    }
    if (this.#double === undefined) return { pages, mappings: this.#sum(frame, pages) + pages * entire };
    if (!isAnonymous) return { pages, mappings: this.#sum(frame, pages) };
    const isDouble = (view.getUint8(stride + this.#double.offset) & this.#double.mask) !== 0;
    return { pages, mappings: this.#sum(frame, pages) + pages * (entire - (isDouble ? 1 : 0)) };
  }

  /** Sum of the mappings that each page counts by itself. */
  #sum(frame: number, pages: number): number {
    let sum = 0;
    for (let first = 0; first < pages; first += PART) {
      const many = Math.min(PART, pages - first);
      const page = this.#kernel.pages.pageOfFrame(frame + first);
      const view = this.#kernel.read(page, many * this.#stride);
      for (let at = 0; at < many; at++) sum += view.getInt32(at * this.#stride + this.#mapcount, true) + 1;
    }
    return sum;
  }
}

/** More mappings than one page has. */
const MAX_NODES = 2 ** 16;

/** Bits 1 and 0 of `page.mapping`: bit 0 is anonymous, both bits are KSM (linux/page-flags.h). */
const [PAGE_MAPPING_ANON, PAGE_MAPPING_KSM] = [1n, 3n];

/**
 * Finds the address spaces that may map a page by the tree of its `page.mapping`: mappings of its file, or of
 * its anonymous memory (mm/rmap.c). A child is in its parent's tree, whether it maps the page or not.
 */
export class ReverseMapReader {
  readonly #area;
  readonly #chain;
  readonly #anonymous;
  readonly #file;
  readonly #node;
  readonly #kernel: Kernel;
  readonly #stable: StructReader<'hlist'> | undefined;
  readonly #merged: StructReader<'hlist' | 'anon_vma'> | undefined;

  constructor(kernel: Kernel) {
    this.#area = new StructReader(kernel, 'vm_area_struct', ['vm_mm', 'shared.rb']);
    this.#chain = new StructReader(kernel, 'anon_vma_chain', ['vma', 'rb']);
    this.#anonymous = new StructReader(kernel, 'anon_vma', ['rb_root.rb_root.rb_node']);
    this.#file = new StructReader(kernel, 'address_space', ['i_mmap.rb_root.rb_node']);
    this.#node = new StructReader(kernel, 'rb_node', ['rb_left', 'rb_right']);
    this.#kernel = kernel;
    // Before 6.1 these types of KSM have no prefix.
    this.#stable =
      StructReader.ifPresent(kernel, 'ksm_stable_node', ['hlist']) ??
      StructReader.ifPresent(kernel, 'stable_node', ['hlist']);
    const members = ['hlist', 'anon_vma'] as const;
    this.#merged =
      StructReader.ifPresent(kernel, 'ksm_rmap_item', members) ?? StructReader.ifPresent(kernel, 'rmap_item', members);
  }

  /**
   * Addresses of their `mm_struct`s, each once; undefined for KSM pages of kernels whose types lack those of KSM.
   *
   * @param mapping `page.mapping`
   * @throws {ReadError}; {@link KernelError} `damaged` if the tree never ends
   */
  spacesOf(mapping: bigint): ReadonlySet<bigint> | undefined {
    const spaces = new Set<bigint>();
    const kind = mapping & PAGE_MAPPING_KSM;
    if (kind === PAGE_MAPPING_KSM) {
      if (!this.#stable || !this.#merged) return undefined;
      // Each address that was merged names the anonymous memory that it is in (rmap_walk_ksm in mm/ksm.c).
      for (const node of hlistNodes(this.#kernel, this.#stable.addressOf(mapping - kind, 'hlist')))
        this.#addAnonymous(this.#merged.readContainer(node, 'hlist').pointer('anon_vma'), spaces);
    } else if (kind === PAGE_MAPPING_ANON) {
      this.#addAnonymous(mapping - kind, spaces);
    } else {
      const root = this.#file.read(mapping).pointer('i_mmap.rb_root.rb_node');
      for (const node of this.#nodes(root)) spaces.add(this.#area.readContainer(node, 'shared.rb').pointer('vm_mm'));
    }
    return spaces;
  }

  #addAnonymous(memory: bigint, spaces: Set<bigint>): void {
    const root = this.#anonymous.read(memory).pointer('rb_root.rb_root.rb_node');
    for (const node of this.#nodes(root)) {
      const chain = this.#chain.readContainer(node, 'rb');
      spaces.add(this.#area.read(chain.pointer('vma')).pointer('vm_mm'));
    }
  }

  *#nodes(root: bigint): Generator<bigint> {
    const next = [root];
    for (let met = 0; next.length > 0; ) {
      const node = next.pop();
      if (!node) continue;
      if (met++ > MAX_NODES) throw damaged('mapping tree (i_mmap) does not terminate (loop?)');
      yield node;
      const links = this.#node.read(node);
      next.push(links.pointer('rb_left'), links.pointer('rb_right'));
    }
  }
}
