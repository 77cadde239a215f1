import type { PageKind } from './page-kinds.js';

/** Parent of a category; the groups sum to all memory. */
export type CategoryGroup = 'free' | 'applications-and-files' | 'kernel' | 'reserved' | 'unknown';

/** How the frames of a category are found. */
export type Known = 'walked' | 'flags' | 'counter';

interface CategoryFacts {
  readonly group: CategoryGroup;
  /** Kinds of page frames of this category, unless an earlier category claimed them. */
  readonly kinds?: readonly PageKind[];
  /**
   * Kinds of page frames that a walk may claim for this category; others that it finds keep their category.
   */
  readonly takes?: readonly PageKind[];
}

/** Kinds of frames that no other source attributes. */
const UNATTRIBUTED_KINDS = ['held', 'unreferenced'] as const;

/**
 * All categories in order of precedence: walks assign frames to categories in this order, and the first match
 * wins. Remaining frames are assigned by their kind.
 *
 * So a stack in vmalloc memory is a stack; a page cache page that sendfile put into a socket queue stays in
 * the page cache; a per-CPU variable of the image is per-CPU memory once it was copied; a linear head that is
 * a large kmalloc belongs to the network.
 */
const TABLE = {
  'free-cpu-lists': { group: 'free', takes: ['unreferenced', 'held'] },
  percpu: { group: 'kernel', takes: ['reserved', ...UNATTRIBUTED_KINDS] },
  image: { group: 'kernel', takes: ['reserved'] },
  memmap: { group: 'kernel', takes: ['reserved', ...UNATTRIBUTED_KINDS] },
  'kernel-stacks': { group: 'kernel', takes: ['reserved', ...UNATTRIBUTED_KINDS] },
  modules: { group: 'kernel', takes: UNATTRIBUTED_KINDS },
  bpf: { group: 'kernel', takes: UNATTRIBUTED_KINDS },
  vmalloc: { group: 'kernel', takes: ['reserved', 'file', ...UNATTRIBUTED_KINDS] },
  'page-tables': { group: 'kernel', kinds: ['page-table'], takes: ['reserved', ...UNATTRIBUTED_KINDS] },
  'network-sockets': { group: 'kernel', takes: ['large-kmalloc', 'reserved', ...UNATTRIBUTED_KINDS] },
  'network-other': { group: 'kernel', takes: ['large-kmalloc', 'reserved', ...UNATTRIBUTED_KINDS] },
  secret: { group: 'applications-and-files', takes: ['file'] },
  pipes: { group: 'kernel', takes: UNATTRIBUTED_KINDS },
  rings: { group: 'kernel', takes: ['file', ...UNATTRIBUTED_KINDS] },
  'dma-buf': { group: 'kernel', takes: UNATTRIBUTED_KINDS },
  gpu: { group: 'kernel', takes: UNATTRIBUTED_KINDS },
  tables: { group: 'kernel', takes: UNATTRIBUTED_KINDS },
  'driver-mapped': { group: 'kernel', takes: ['held'] },
  'free-buddy': { group: 'free', kinds: ['free'] },
  'free-unaccepted': { group: 'free', kinds: ['unaccepted'] },
  'free-uninitialized': { group: 'free', kinds: ['uninitialized'] },
  anonymous: { group: 'applications-and-files', kinds: ['anonymous'] },
  'page-cache': { group: 'applications-and-files', kinds: ['file'] },
  shared: { group: 'applications-and-files', kinds: ['shmem'] },
  'swap-cache': { group: 'applications-and-files', kinds: ['swap-cache'] },
  hugetlb: { group: 'applications-and-files', kinds: ['hugetlb'] },
  'slab-reclaimable': { group: 'kernel', kinds: ['slab-reclaimable'] },
  'slab-unreclaimable': { group: 'kernel', kinds: ['slab'] },
  'large-kmalloc': { group: 'kernel', kinds: ['large-kmalloc'] },
  compressed: { group: 'kernel', kinds: ['zsmalloc'] },
  movable: { group: 'kernel', kinds: ['movable'] },
  balloon: { group: 'kernel', kinds: ['offline'] },
  // Known by ZFS's own counters; not walked in kernel memory.
  'zfs-arc': { group: 'kernel' },
  unattributed: { group: 'kernel', kinds: UNATTRIBUTED_KINDS },
  'crash-kernel': { group: 'reserved', takes: ['reserved'] },
  'reserved-other': { group: 'reserved', kinds: ['reserved'] },
  unread: { group: 'unknown', kinds: ['unseen', 'unread', 'torn'] },
  'missing-counters': { group: 'unknown' },
} as const satisfies Record<string, CategoryFacts>;

/** Category names are stable: they are part of the JSON. */
export type CategoryName = keyof typeof TABLE;

/** All categories in order of precedence. */
export const CATEGORIES = Object.keys(TABLE) as readonly CategoryName[];

const NUMBERS = new Map(CATEGORIES.map((category, index) => [category, index + 1]));

/** Returns the position of a category in the order of precedence, starting at 1. */
export function categoryNumber(name: CategoryName): number {
  return NUMBERS.get(name) ?? 0;
}

export function categoryFacts(name: CategoryName): CategoryFacts {
  return TABLE[name];
}
