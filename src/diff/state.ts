import type { Origin } from '../contracts/common.js';
import type { DeviceKind } from '../records/named-memory.js';

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
  /** Its counter is missing from the text, or the kernel has none: another category contains its pages. */
  readonly isUnknown?: true;
  readonly children: readonly CategoryState[];
  /** The largest file or System V segment in it; absent or null: none is known. */
  readonly file?: FileInMemory | null;
  /** The program whose pipes can hold most of it; absent: none is known. */
  readonly pipes?: PipesInMemory;
}

/** Pipes of a program: the process with most of them, and an upper bound of what they hold. */
export interface PipesInMemory {
  readonly pid: number;
  /** Untrusted; null: unknown. */
  readonly comm: string | null;
  readonly mostBytes: number;
}

export interface FileInMemory {
  /** Untrusted. */
  readonly name: string;
  readonly bytes: number;
  /** A process that has it open, or created the segment; null: unknown. */
  readonly pid: number | null;
}

/** Lists of single items. */
export const LISTS = ['processes', 'sockets', 'caches', 'callers', 'cgroups', 'devices'] as const;
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
  devices: ['bytes'],
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
      readonly holder: { readonly pid: number; readonly comm: string | null; readonly fd: number } | null;
    }
  | { readonly kind: 'cache'; readonly name: string; readonly category: string | null }
  | { readonly kind: 'caller'; readonly name: string; readonly category: string }
  | { readonly kind: 'cgroup'; readonly path: string; readonly dying: boolean }
  /** Memory of a device or interface; `of` is its kind in `memory`. */
  | { readonly kind: 'device'; readonly of: DeviceKind; readonly name: string };

/** A limitation of a comparison; codes are part of the JSON. `names` are inputs, untrusted. */
export type Note =
  | { readonly code: 'reordered' }
  | { readonly code: 'same-time'; readonly names: readonly string[] }
  | { readonly code: 'time-unknown'; readonly names: readonly string[] }
  /** Difference between wall clock and uptime, in seconds. */
  | { readonly code: 'clock-set'; readonly seconds: number }
  | { readonly code: 'different-hosts'; readonly hosts: readonly string[] }
  | { readonly code: 'different-boots' }
  | { readonly code: 'boot-unknown' }
  | { readonly code: 'different-kernels'; readonly releases: readonly string[] }
  | { readonly code: 'different-page-sizes'; readonly sizes: readonly number[] }
  | { readonly code: 'different-sources'; readonly depths: readonly string[] }
  | { readonly code: 'memory-hotplug'; readonly bytes: number }
  /** Another host or boot: the last has this much more memory. */
  | { readonly code: 'different-memory-sizes'; readonly bytes: number }
  /** Only some inputs contain it: `categories`, or a list. */
  | { readonly code: 'missing-in-input'; readonly part: ListName | 'categories'; readonly names: readonly string[] }
  | { readonly code: 'list-incomplete'; readonly part: ListName }
  | { readonly code: 'missed-process'; readonly part: ListName; readonly count: number }
  | { readonly code: 'lesser-measure'; readonly part: ListName; readonly count: number }
  | { readonly code: 'change-unknown'; readonly part: ListName | 'categories'; readonly count: number }
  | { readonly code: 'pid-reused'; readonly count: number }
  | { readonly code: 'incomplete'; readonly name: string; readonly words: string }
  | { readonly code: 'inconsistent'; readonly name: string; readonly words: string }
  | { readonly code: 'spread'; readonly name: string; readonly words: string };

/** Notes that leave the answer complete. */
const HARMLESS: ReadonlySet<Note['code']> = new Set<Note['code']>([
  'reordered',
  'memory-hotplug',
  'different-memory-sizes',
  'lesser-measure',
  'pid-reused',
]);

/** Returns whether a note leaves the answer complete. */
export function isHarmless(note: Note): boolean {
  // Memory of devices is a part of categories, which are compared.
  return HARMLESS.has(note.code) || ('part' in note && note.part === 'devices');
}
