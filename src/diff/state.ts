import type { Origin } from '../records/machine-sample.js';

/**
 * State of a host at one time. Readers of inputs produce it; the comparison does not depend on their formats.
 * Sizes are bytes; null: unknown. Names are untrusted.
 */
export interface HostState {
  /** Name of the input, as given. */
  readonly name: string;
  readonly origin: Origin;
  /** `uname -r`. */
  readonly release: string | null;
  readonly pageSize: number | null;
  readonly memory: MemoryState | null;
  /** An absent list is unknown. */
  readonly lists: Readonly<Partial<Record<ListName, Listing>>>;
  /** Descriptions of missing or inconsistent parts; empty: it is complete. */
  readonly flaws: readonly Flaw[];
}

export interface Flaw {
  readonly code: 'incomplete' | 'inconsistent' | 'spread';
  readonly words: string;
}

/** The categories of one sample. */
export interface MemoryState {
  /** Its source: `vmcore`, `kcore`, `pageflags`, `counters`. */
  readonly depth: string;
  readonly tree: CategoryState;
  /** Change of a running kernel's counters during the scan. */
  readonly drift: number;
}

export interface CategoryState {
  readonly category: string;
  readonly bytes: number;
  readonly children: readonly CategoryState[];
}

/** Lists of single items. */
export const LISTS = ['processes', 'sockets', 'caches', 'callers', 'cgroups'] as const;
export type ListName = (typeof LISTS)[number];

/**
 * Measures of each list, most precise first. Sockets: counted by page, estimated, and queued payload.
 * Cgroups: frames charged to it alone, the kernel's counter including children, and the sum of its processes.
 */
export const MEASURES = {
  processes: ['pss', 'rss'],
  sockets: ['pinned', 'estimated', 'unread'],
  caches: ['bytes'],
  callers: ['bytes'],
  cgroups: ['charged', 'usage', 'pss', 'rss'],
} as const satisfies Record<ListName, readonly string[]>;

/** Measures of process memory by category, the best first; other categories have no processes. */
export const CATEGORY_MEASURES = {
  anonymous: ['pssAnon', 'rssAnon'],
  shared: ['pssShmem', 'rssShmem'],
  hugetlb: ['hugetlb'],
  'page-tables': ['pageTables'],
} as const satisfies Record<string, readonly string[]>;
export type CategoryMeasure = (typeof CATEGORY_MEASURES)[keyof typeof CATEGORY_MEASURES][number];
export type Measure = (typeof MEASURES)[ListName][number];

export interface Listing {
  /** By a key that is the same at other times. */
  readonly items: ReadonlyMap<string, Item>;
  /** Unlisted items were absent or empty. */
  readonly whole: boolean;
  /** Empty items are not listed, and may exist. */
  readonly withoutEmpty?: boolean;
}

export interface Item {
  readonly who: Who;
  readonly sizes: Readonly<Partial<Record<Measure | CategoryMeasure, number | null>>>;
  /** Whether it is meaningful only within the same boot of the same host. */
  readonly ofBoot: boolean;
  /** Start time in seconds since boot; null: unknown. */
  readonly began: number | null;
}

/** Kinds of items. */
export type Who =
  | {
      readonly kind: 'process';
      readonly pid: number;
      readonly comm: string;
      readonly startTicks: number;
      readonly cgroup: string | null;
    }
  | {
      readonly kind: 'socket';
      /** Null: it has no inode. */
      readonly inode: number | null;
      readonly netns: number | null;
      readonly family: string;
      readonly protocol: string;
      readonly local: string | null;
      readonly peer: string | null;
      /** The first process that has it open; null: unknown. */
      readonly holder: {
        readonly pid: number;
        readonly comm: string | null;
        readonly fd: number;
      } | null;
    }
  | { readonly kind: 'cache'; readonly name: string; readonly category: string | null }
  | { readonly kind: 'caller'; readonly name: string; readonly category: string }
  | { readonly kind: 'cgroup'; readonly path: string; readonly dying: boolean };
