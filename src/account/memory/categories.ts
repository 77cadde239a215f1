import type { PageKind } from '../../walk/memory/page-kinds.js';

/** What a category is part of; the groups make up all of the memory. */
export type CategoryGroup = 'free' | 'applications-and-files' | 'kernel' | 'reserved' | 'unknown';

/** How the frames of a category are found. */
export type Known = 'walked' | 'flags' | 'counter';

interface CategoryFacts {
  readonly group: CategoryGroup;
  /** Kinds of page frames that are of this category, if none before has them. */
  readonly kinds?: readonly PageKind[];
  /** Kinds of page frames that a walk may put here; others that it leads to stay where they are. */
  readonly takes?: readonly PageKind[];
}

/** Nobody else tells whose they are. */
const NOBODYS = ['held', 'unreferenced'] as const;

/**
 * All categories, and with them the table of precedence: walks put frames into categories in this order, and
 * the first that takes a frame has it. What then is in none goes by its kind.
 *
 * So a stack that lies in vmalloc's address space is a stack; a page of a file that sendfile put into a
 * socket's queue stays in the page cache; a per-CPU variable of the image's is per-CPU memory once it
 * was copied; a linear head that is a large kmalloc is the network's.
 */
const TABLE = {
  'free-cpu-lists': { group: 'free', takes: ['unreferenced', 'held'] },
  percpu: { group: 'kernel', takes: ['reserved', ...NOBODYS] },
  image: { group: 'kernel', takes: ['reserved'] },
  memmap: { group: 'kernel', takes: ['reserved', ...NOBODYS] },
  'kernel-stacks': { group: 'kernel', takes: ['reserved', ...NOBODYS] },
  modules: { group: 'kernel', takes: NOBODYS },
  bpf: { group: 'kernel', takes: NOBODYS },
  vmalloc: { group: 'kernel', takes: ['reserved', 'file', ...NOBODYS] },
  'page-tables': { group: 'kernel', kinds: ['page-table'], takes: ['reserved', ...NOBODYS] },
  'network-sockets': { group: 'kernel', takes: ['large-kmalloc', 'reserved', ...NOBODYS] },
  'network-other': { group: 'kernel', takes: ['large-kmalloc', 'reserved', ...NOBODYS] },
  secret: { group: 'applications-and-files', takes: ['file'] },
  pipes: { group: 'kernel', takes: NOBODYS },
  rings: { group: 'kernel', takes: ['file', ...NOBODYS] },
  'dma-buf': { group: 'kernel', takes: NOBODYS },
  gpu: { group: 'kernel', takes: NOBODYS },
  tables: { group: 'kernel', takes: NOBODYS },
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
  unattributed: { group: 'kernel', kinds: NOBODYS },
  'crash-kernel': { group: 'reserved', takes: ['reserved'] },
  'reserved-other': { group: 'reserved', kinds: ['reserved'] },
  unread: { group: 'unknown', kinds: ['unseen', 'unread', 'torn'] },
} as const satisfies Record<string, CategoryFacts>;

/** Names are stable: they are part of the JSON. */
export type CategoryName = keyof typeof TABLE;

/** In the order of precedence. */
export const CATEGORIES = Object.keys(TABLE) as readonly CategoryName[];

const NUMBERS = new Map(CATEGORIES.map((category, index) => [category, index + 1]));

/** The place of a category in that order, from 1 on. */
export function categoryNumber(name: CategoryName): number {
  return NUMBERS.get(name) ?? 0;
}

export function categoryFacts(name: CategoryName): CategoryFacts {
  return TABLE[name];
}
