import type { Origin } from '../records/sample-origin.js';

/**
 * The state of a host at one time. Readers of inputs make it; the comparison does not know their
 * formats. Sizes are bytes; null: it is not known. Names are hostile.
 */
export interface HostState {
  /** The input, as it was named. */
  readonly name: string;
  readonly origin: Origin;
  /** `uname -r`. */
  readonly release: string | null;
  readonly pageSize: number | null;
  readonly memory: MemoryState | null;
  /** A list that is not there is not known. */
  readonly lists: Readonly<Partial<Record<ListName, Listing>>>;
  /** Missing or inconsistent parts, in words; none: it is complete. */
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
  /** By how much counters of a running kernel changed meanwhile. */
  readonly drift: number;
}

export interface CategoryState {
  readonly category: string;
  readonly bytes: number;
  readonly children: readonly CategoryState[];
}

/** What is known one by one. */
export const LISTS = ['processes', 'sockets', 'caches', 'callers', 'cgroups'] as const;
export type ListName = (typeof LISTS)[number];

/**
 * How each is measured, what tells most first. Sockets: counted page by page, estimated, and payload that waits.
 * Cgroups: frames that are charged to it alone, the kernel's count of it and those below, and the sum of its processes.
 */
export const MEASURES = {
  processes: ['pss', 'rss'],
  sockets: ['pinned', 'estimated', 'unread'],
  caches: ['bytes'],
  callers: ['bytes'],
  cgroups: ['charged', 'usage', 'pss', 'rss'],
} as const satisfies Record<ListName, readonly string[]>;

/** How memory of processes in a category is measured, what tells most first; in others no process is named. */
export const CATEGORY_MEASURES = {
  anonymous: ['pssAnon', 'rssAnon'],
  shared: ['pssShmem', 'rssShmem'],
  hugetlb: ['hugetlb'],
  'page-tables': ['pageTables'],
} as const satisfies Record<string, readonly string[]>;
export type CategoryMeasure = (typeof CATEGORY_MEASURES)[keyof typeof CATEGORY_MEASURES][number];
export type Measure = (typeof MEASURES)[ListName][number];

export interface Listing {
  /** By what makes each the same one at another time. */
  readonly items: ReadonlyMap<string, Item>;
  /** What is not listed was not there, or had nothing. */
  readonly whole: boolean;
  /** What has nothing is not listed: it may be there. */
  readonly withoutEmpty?: boolean;
}

export interface Item {
  readonly who: Who;
  readonly sizes: Readonly<Partial<Record<Measure | CategoryMeasure, number | null>>>;
  /** It means nothing after another boot, or on another host. */
  readonly ofBoot: boolean;
  /** Seconds after the boot at which it began; null: not known. */
  readonly began: number | null;
}

/** What grows. */
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
      /** Null: it has none of its own. */
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
