import type { MemoryCounters } from '../../records/memory-counters.js';
import type { MachineLists } from './details.js';
import type { FrameNote } from './frame-note.js';

/** What the flags of page frames say (/proc/kpageflags); all in frames. */
export interface FlaggedFrames {
  readonly kinds: Readonly<Record<FrameKind, number>>;
  /** Of those that are reserved: in the image of the kernel, and for the crash kernel. */
  readonly image: number;
  readonly crashKernel: number;
  readonly unread: number;
  readonly whyUnread: string | undefined;
  readonly notes: readonly {
    readonly note: FrameNote['note'];
    readonly kind: FrameKind | 'hole';
    readonly frames: number;
  }[];
  readonly unflagged: {
    /** Compound pages by order; single pages as order 0. */
    readonly blocks: ReadonlyMap<number, number>;
    readonly zones: ReadonlyMap<string, number>;
    readonly charged: number | undefined;
    readonly mapped: number;
  };
}

export type FrameKind = (typeof FRAME_KINDS)[number];

export const FRAME_KINDS = [
  ...['free', 'slab', 'page-table', 'offline', 'reserved', 'hugetlb', 'swap-cache'],
  ...['anonymous', 'file', 'shmem', 'none', 'torn'],
] as const;

/** A machine as root sees it without its kernel's memory. */
export interface FlaggedMachine extends MachineLists {
  /** Counters before and after flags were read. */
  readonly before: MemoryCounters;
  readonly after: MemoryCounters;
  readonly frames: FlaggedFrames;
}
