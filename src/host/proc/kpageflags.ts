/**
 * Bits of a word of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h, which is stable). Other bits
 * of the low word say nothing of whose a page is.
 */
export const KPF = {
  UPTODATE: 1 << 3,
  LRU: 1 << 5,
  SLAB: 1 << 7,
  BUDDY: 1 << 10,
  MMAP: 1 << 11,
  ANON: 1 << 12,
  SWAPCACHE: 1 << 13,
  SWAPBACKED: 1 << 14,
  HEAD: 1 << 15,
  TAIL: 1 << 16,
  HUGE: 1 << 17,
  HWPOISON: 1 << 19,
  NOPAGE: 1 << 20,
  KSM: 1 << 21,
  THP: 1 << 22,
  OFFLINE: 1 << 23,
  ZERO_PAGE: 1 << 24,
  PGTABLE: 1 << 26,
} as const;

/** KPF_RESERVED is bit 32 (include/linux/kernel-page-flags.h: no promise to stay): bit 0 of the high word. */
export const RESERVED_HIGH = 1;
/** KPF_MLOCKED is bit 33, of the same file. */
export const MLOCKED_HIGH = 2;
