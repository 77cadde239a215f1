import type { Kernel } from '../../kernel/kernel.js';
import type { StructLayout } from '../../kernel/layout.js';
import { KINDS, type PageKind } from '../../records/page-kinds.js';
import { flagPlace, memberOf, pageTypes, slabTest, struct } from '../pages/struct-page.js';

/** Numbers of the kinds, as stored by the scan. */
export const KIND = Object.fromEntries(KINDS.map((kind, index) => [kind, index])) as Readonly<Record<PageKind, number>>;

/** Returns the kind of the page whose `struct page` is at `base`; meaningless for a tail. */
export type KindTest = (view: DataView, base: number) => number;

/**
 * Page types without an enum (before 6.10): a type applies if its bit is 0 (page-flags.h). 0x100 is
 * PG_balloon before 5.1; its only user, the virtio-balloon driver, sets PG_offline since then.
 */
const OLD_TYPES = { buddy: 0x80, offline: 0x100 } as const;

/** PG_table before and since 5.11: PG_kmemcg used bit 0x200 until it moved to `memcg_data`. */
const OLD_TABLE = { withKmemcg: 0x400, without: 0x200 } as const;

/**
 * Values of `_mapcount` itself before 4.18 (page-flags.h): PAGE_BUDDY_MAPCOUNT_VALUE and
 * PAGE_BALLOON_MAPCOUNT_VALUE. Page tables had no value, and PAGE_KMEMCG_MAPCOUNT_VALUE (-512) does not
 * identify a use.
 */
const MAPCOUNT_TYPES: ReadonlyMap<number, PageKind> = new Map([
  [-128, 'free'],
  [-256, 'offline'],
]);

/** Page types of 6.10 and 6.11: the same bits with an enum. */
const BIT_TYPES = {
  PG_buddy: 'free',
  PG_offline: 'offline',
  PG_table: 'page-table',
  PG_hugetlb: 'hugetlb',
} as const satisfies Record<string, PageKind>;

/** Page types since 6.12, in the top byte. Other types show only that the page is allocated. */
const BYTE_TYPES = {
  PGTY_buddy: 'free',
  PGTY_offline: 'offline',
  PGTY_table: 'page-table',
  PGTY_hugetlb: 'hugetlb',
  PGTY_zsmalloc: 'zsmalloc',
  PGTY_unaccepted: 'unaccepted',
  PGTY_large_kmalloc: 'large-kmalloc',
} as const satisfies Record<string, PageKind>;

const TYPE_BASE = 0xf000_0000;

/** `page_type` of a page that has no type and is not mapped. */
const NO_TYPE = 0xffff_ffff;

export function kindTest(kernel: Kernel): KindTest {
  const page = struct(kernel, 'page');
  const references = memberOf(page, '_refcount').offset;
  const mapping = memberOf(page, 'mapping').offset;
  const reserved = flagPlace(kernel, page, 'PG_reserved');
  const swapBacked = flagPlace(kernel, page, 'PG_swapbacked');
  // Some kernels have no separate name for it: it is PG_owner_priv_1 of a swap-backed page.
  const flags = kernel.enumerators('pageflags');
  const swapCache = flagPlace(kernel, page, flags?.has('PG_swapcache') ? 'PG_swapcache' : 'PG_owner_priv_1');
  const isSlab = slabTest(kernel, page);
  const byType = typeTest(kernel, page);
  const isHuge = hugetlbTest(kernel, page);
  return (view, base) => {
    if (isSlab(view, base)) return KIND.slab;
    const type = byType(view, base);
    if (type >= 0) return type;
    if ((view.getUint8(base + reserved.offset) & reserved.mask) !== 0) return KIND.reserved;
    if (isHuge(view, base)) return KIND.hugetlb;
    const low = view.getUint32(base + mapping, true);
    const backed = (view.getUint8(base + swapBacked.offset) & swapBacked.mask) !== 0;
    if (backed && (view.getUint8(base + swapCache.offset) & swapCache.mask) !== 0) return KIND['swap-cache'];
    // PAGE_MAPPING_FLAGS: 1 is anonymous, with 2 KSM, 2 alone movable.
    if ((low & 1) !== 0) return KIND.anonymous;
    if ((low & 2) !== 0) return KIND.movable;
    if (low !== 0 || view.getUint32(base + mapping + 4, true) !== 0) return backed ? KIND.shmem : KIND.file;
    return view.getUint32(base + references, true) === 0 ? KIND.unreferenced : KIND.held;
  };
}

/** Whether page tables have a page type (4.18). */
export function tablesHaveType(kernel: Kernel): boolean {
  return struct(kernel, 'page').member('page_type') !== undefined;
}

/**
 * Whether PG_kmemcg is a page type of this kernel: 5.11 moved it to `memcg_data`, and NR_PAGETABLE from zones
 * to nodes.
 */
function hasKmemcgType(kernel: Kernel, page: StructLayout): boolean {
  if (page.member('mem_cgroup')) return true;
  if (page.member('memcg_data')) {
    const flags = kernel.enumerators('page_memcg_data_flags');
    return flags !== undefined && !flags.has('MEMCG_DATA_KMEM');
  }
  return kernel.enumerators('zone_stat_item')?.has('NR_PAGETABLE') ?? false;
}

/** Returns -1 for a page without a type, or with a type that does not identify its use. */
function typeTest(kernel: Kernel, page: StructLayout): KindTest {
  if (!tablesHaveType(kernel)) {
    const { offset } = memberOf(page, '_mapcount');
    const kinds = new Map([...MAPCOUNT_TYPES].map(([value, kind]) => [value, KIND[kind]]));
    return (view, base) => kinds.get(view.getInt32(base + offset, true)) ?? -1;
  }
  const at = memberOf(page, 'page_type').offset;
  const named = pageTypes(kernel) ?? kernel.enumerators('pagetype');
  if (named?.has('PGTY_buddy')) {
    const kinds = new Int8Array(256).fill(-1);
    for (const [name, kind] of Object.entries(BYTE_TYPES)) {
      const top = named.get(name);
      if (top !== undefined) kinds[Number(top)] = KIND[kind];
    }
    return (view, base) => kinds[view.getUint8(base + at + 3)]!;
  }
  const bits: (readonly [number, number])[] = named?.has('PG_buddy')
    ? Object.entries(BIT_TYPES).map(([name, kind]) => [Number(named.get(name) ?? 0), KIND[kind]])
    : [
        [OLD_TYPES.buddy, KIND.free],
        [OLD_TYPES.offline, KIND.offline],
        [hasKmemcgType(kernel, page) ? OLD_TABLE.withKmemcg : OLD_TABLE.without, KIND['page-table']],
      ];
  return (view, base) => {
    const type = view.getUint32(base + at, true);
    if (type === NO_TYPE || (type & TYPE_BASE) >>> 0 !== TYPE_BASE) return -1;
    for (const [bit, kind] of bits) if (bit !== 0 && (type & bit) === 0) return kind;
    return -1;
  };
}

/**
 * Whether a compound head is a hugetlb page, for kernels without a page type for it: by the destructor in the
 * second `struct page` (up to 6.5), or by a flag there (6.6 to 6.8).
 */
function hugetlbTest(kernel: Kernel, page: StructLayout): (view: DataView, base: number) => boolean {
  const head = flagPlace(kernel, page, 'PG_head');
  const isHead = (view: DataView, base: number): boolean =>
    (view.getUint8(base + head.offset) & head.mask) !== 0 && base + 2 * page.size <= view.byteLength;
  const destructor = kernel.enumerators('compound_dtor_id')?.get('HUGETLB_PAGE_DTOR');
  const folio = kernel.struct('folio');
  const named = folio?.member('_folio_dtor') ?? page.member('compound_dtor');
  if (destructor !== undefined && named) {
    const at = folio?.member('_folio_dtor') ? named.offset : page.size + named.offset;
    return (view, base) => isHead(view, base) && view.getUint8(base + at) === Number(destructor);
  }
  if (kernel.enumerators('pageflags')?.has('PG_hugetlb')) {
    const flag = flagPlace(kernel, page, 'PG_hugetlb');
    return (view, base) => isHead(view, base) && (view.getUint8(base + page.size + flag.offset) & flag.mask) !== 0;
  }
  return () => false;
}
