/** Kind of a page frame by its `struct page` alone: exactly one of these. */
export const KINDS = [
  /** Not scanned yet. */
  'unseen',
  /** Its `struct page` cannot be read. */
  'unread',
  /** Its `struct page` contradicts that of its neighbours. */
  'torn',
  /** In the buddy allocator. */
  'free',
  /** Memory of a confidential guest that it has not accepted yet (6.5). */
  'unaccepted',
  /** Its `struct page` is not initialized yet (deferred_init). */
  'uninitialized',
  'slab',
  /** A slab of a cache that shrinks under memory pressure. */
  'slab-reclaimable',
  /** Of user space, and since about 6.15 of the kernel. */
  'page-table',
  /** Returned to the hypervisor: balloon, virtio-mem, Hyper-V, Xen. */
  'offline',
  'hugetlb',
  /** A kmalloc too large for a slab (6.15). */
  'large-kmalloc',
  /** zsmalloc, which stores compressed pages. */
  'zsmalloc',
  /** Never released to the buddy allocator. */
  'reserved',
  'anonymous',
  'swap-cache',
  'file',
  'shmem',
  /** Movable, and not on an LRU list: zsmalloc before 6.12, balloons. */
  'movable',
  /** Has references of unknown origin. */
  'held',
  /**
   * No references, and not in the buddy allocator: on a per-CPU free list, or not the first page of a block.
   */
  'unreferenced',
] as const;

export type PageKind = (typeof KINDS)[number];
