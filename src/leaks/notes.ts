/** Causes that make an answer of `kdump-mem leaks` doubtful or incomplete. */
export const LEAK_NOTE_CODES = [
  /**
   * The kernel's trace buffers lost events: some blocks are missing, and some freed blocks still count as
   * held.
   */
  'overrun',
  /** It is unknown whether events were lost. */
  'overrun-unknown',
  /** Blocks were allocated in memory that still counted as held. */
  'missed-frees',
  /** Blocks were free at the lookup. */
  'found-free',
  /** Frees without a recorded allocation. */
  'unknown-frees',
  'without-stack',
  /** Blocks were no longer followed because our own memory is limited. */
  'dropped',
  /** Pages that the kernel allocated without an event. */
  'unseen',
  /** Pages that the kernel freed without an event: some listed pages may be free. */
  'unseen-frees',
  /** The number of allocations without an event is unknown. */
  'unseen-unknown',
  /** Bulk allocations of objects fire no event, and neither do some frees. */
  'unseen-objects',
  /** The current use of the blocks was not looked up. */
  'not-looked-up',
  /** The method reports only totals: no block can be looked up. */
  'no-blocks',
  /** The kernel printed hashed addresses (kernel.kptr_restrict): no area can be looked up. */
  'no-addresses',
  /** The use of blocks is known only from page flags. */
  'flags-only',
  /** Not all blocks were looked up. */
  'left-out',
  /** The lookup has warnings. */
  'lookup',
  /** Objects that may be free: the freelists of their slabs could not be read. They count as held. */
  'maybe-free',
  /** Leaking memory is in a cache that the kernel fills up to a limit, and empties over time. */
  'limited-cache',
  'ended-early',
  'too-few-windows',
  /** Only allocations of some threads are followed. */
  'filtered',
  /** Threads that exited before they could be matched with the filter. */
  'exited-threads',
  /** Events arrived after later ones were processed. */
  'late',
  /** Another program changed the settings of our trace instances: recording stopped then. */
  'settings-changed',
  /** Another program read or emptied our trace buffers. */
  'events-unmatched',
  /** Remains of a killed run were removed from the kernel. */
  'orphans',
  /** Some of our trace instances could not be removed. */
  'left-behind',
  /** The recording exceeded its CPU budget. */
  'over-budget',
  /** A kernel record or a file is incomplete. */
  'source-truncated',
  'source-malformed',
  'source-unreadable',
  'source-sites',
  'source-inaccurate',
  'source-order',
  /** A source lists the largest sites only. */
  'source-largest',
  /** The order of the copies is unknown. */
  'unknown-order',
] as const;
export type LeakNoteCode = (typeof LEAK_NOTE_CODES)[number];

export interface LeakNote {
  readonly code: LeakNoteCode;
  /** Number of affected items. */
  readonly count?: number;
  /** Affected amount, bytes. */
  readonly bytes?: number;
  /** Text from the source; untrusted. */
  readonly why?: string;
}

/** Notes that mean that allocations may exist which were not followed. */
const HIDES: readonly LeakNoteCode[] = [
  'overrun',
  'overrun-unknown',
  'dropped',
  'unseen',
  'unseen-unknown',
  'unseen-objects',
  'exited-threads',
  'settings-changed',
  'events-unmatched',
  'source-truncated',
  'source-malformed',
  'source-unreadable',
  'source-sites',
  'source-inaccurate',
  'source-order',
  'source-largest',
  'unknown-order',
];

/** Notes that mean that figures may be wrong or incomplete. */
const SPOILS: readonly LeakNoteCode[] = [
  ...HIDES,
  'missed-frees',
  'unseen-frees',
  'not-looked-up',
  'lookup',
  'maybe-free',
  'no-blocks',
  'no-addresses',
  'left-out',
  'flags-only',
  'too-few-windows',
  'late',
];

/** Whether everything requested was followed: otherwise a leak may be missing. */
export function sawAll(notes: readonly LeakNote[]): boolean {
  return notes.every(({ code }) => !HIDES.includes(code));
}

/** Whether an answer with these notes is complete. */
export function isWhole(notes: readonly LeakNote[]): boolean {
  return notes.every(({ code }) => !SPOILS.includes(code));
}
