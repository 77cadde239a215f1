import { KPF, MLOCKED_HIGH, RESERVED_HIGH } from '../kpageflags.js';

/** What the flags of a page frame say of whose it is, and no more. */
export const FLAG_KINDS = [
  /** No page: a hole, or memory that is offline. */
  'hole',
  'free',
  'slab',
  'page-table',
  /** A hypervisor took it back. */
  'offline',
  'reserved',
  'hugetlb',
  'swap-cache',
  'anonymous',
  'file',
  'shmem',
  /** Nothing: whoever has it, the flags do not tell. */
  'none',
  /** A tail without the head before it: it changed while it was read. */
  'torn',
] as const;

export type FlagKind = (typeof FLAG_KINDS)[number];

export const isTail = (low: number): boolean => (low & KPF.TAIL) !== 0;
export const isHead = (low: number): boolean => (low & KPF.HEAD) !== 0;
/** Mapped into some address space. */
export const isMapped = (low: number): boolean => (low & KPF.MMAP) !== 0;

/**
 * The kind of a page that is no tail, by the two halves of its word.
 *
 * Order matters: what a page's type overlays (a slab's fields, a page table's) reads as a mapping too,
 * so that slabs of 6.12 have ANON and KSM. A page of a file that a CPU has not put on an LRU list yet is
 * known by UPTODATE, which drivers' pages never are.
 */
export function flagKind(low: number, high: number): FlagKind {
  if ((low & KPF.NOPAGE) !== 0) return 'hole';
  if ((low & KPF.SLAB) !== 0) return 'slab';
  if ((low & KPF.BUDDY) !== 0) return 'free';
  if ((low & KPF.OFFLINE) !== 0) return 'offline';
  if ((low & KPF.PGTABLE) !== 0) return 'page-table';
  if ((high & RESERVED_HIGH) !== 0) return 'reserved';
  if ((low & KPF.HUGE) !== 0) return 'hugetlb';
  if ((low & KPF.SWAPCACHE) !== 0) return 'swap-cache';
  if ((low & KPF.ANON) !== 0) return 'anonymous';
  if ((low & (KPF.LRU | KPF.UPTODATE)) === 0) return 'none';
  return (low & KPF.SWAPBACKED) !== 0 ? 'shmem' : 'file';
}

/** What flags say of a page besides, whosever it is. */
export const FLAG_NOTES = [
  /** Of a transparent huge page, or (since 6.9) of any large folio that can be mapped. */
  'thp',
  'mlocked',
  'hwpoison',
  /** The page of zeros, or the huge one. */
  'zero-page',
] as const;

export type FlagNote = (typeof FLAG_NOTES)[number];

/** Most pages have none. */
export function flagNotes(low: number, high: number): readonly FlagNote[] {
  const noted = low & (KPF.THP | KPF.HWPOISON | KPF.ZERO_PAGE);
  if (noted === 0 && (high & MLOCKED_HIGH) === 0) return NONE;
  return [
    ...((low & KPF.THP) !== 0 ? (['thp'] as const) : []),
    ...((high & MLOCKED_HIGH) !== 0 ? (['mlocked'] as const) : []),
    ...((low & KPF.HWPOISON) !== 0 ? (['hwpoison'] as const) : []),
    ...((low & KPF.ZERO_PAGE) !== 0 ? (['zero-page'] as const) : []),
  ];
}

const NONE: readonly FlagNote[] = [];
