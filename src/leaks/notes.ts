/** What makes an answer of `kdump-mem leaks` doubtful or incomplete. */
export const LEAK_NOTE_CODES = [
  /** The kernel's buffers lost events: some blocks are missing, some that were freed are not known to be. */
  'overrun',
  /** Whether events were lost is not known. */
  'overrun-unknown',
  /** Blocks were allocated where something was held still. */
  'missed-frees',
  /** Blocks were free when they were looked up. */
  'found-free',
  /** Frees of what was never seen allocated. */
  'unknown-frees',
  'without-stack',
  /** Blocks were no longer followed since memory of our own is bounded. */
  'dropped',
  /** Pages that the kernel allocated without an event. */
  'unseen',
  /** Pages that the kernel freed without an event: some of what is listed may be free. */
  'unseen-frees',
  /** It is not known how many were allocated unseen. */
  'unseen-unknown',
  /** Objects that are allocated in bulk fire no event, and some frees fire none. */
  'unseen-objects',
  /** Where blocks are was not looked up. */
  'not-looked-up',
  /** The method tells no single blocks that could be looked up. */
  'no-blocks',
  /** The kernel printed numbers that stand for addresses (kernel.kptr_restrict): no area can be looked up. */
  'no-addresses',
  /** By flags of page frames alone. */
  'flags-only',
  /** Not all blocks were looked up. */
  'left-out',
  /** What was looked up made warnings of its own. */
  'lookup',
  /** Objects that may be free: the lists of free ones of their slabs could not be read. They count as held. */
  'maybe-free',
  /** What is called leaking lies in a cache that the kernel fills up to a limit, and empties by time. */
  'limited-cache',
  'ended-early',
  'too-few-windows',
  /** Only what some threads allocated is followed. */
  'filtered',
  /** Threads that ended before it could be told whether they are chosen. */
  'exited-threads',
  /** Events came after later ones had been told. */
  'late',
  /** Somebody else changed how our instances record: it was ended then. */
  'settings-changed',
  /** Somebody else read our buffers, or emptied them. */
  'events-unmatched',
  /** What a run that was killed had left in the kernel was removed. */
  'orphans',
  /** Something of ours could not be removed. */
  'left-behind',
  /** It cost more than it was allowed. */
  'over-budget',
  /** What the kernel keeps, or a file, is not whole. */
  'source-truncated',
  'source-malformed',
  'source-unreadable',
  'source-sites',
  'source-inaccurate',
  'source-order',
  /** Nothing in copies tells which of them is the later one. */
  'unknown-order',
] as const;
export type LeakNoteCode = (typeof LEAK_NOTE_CODES)[number];

export interface LeakNote {
  readonly code: LeakNoteCode;
  /** How many of them. */
  readonly count?: number;
  /** How much, bytes. */
  readonly bytes?: number;
  /** In words of whoever found it; hostile. */
  readonly why?: string;
}

/** Notes that say that something may be allocated that is not among what was followed. */
const HIDES: readonly LeakNoteCode[] = [
  ...([
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
  ] as const),
  ...([
    'source-malformed',
    'source-unreadable',
    'source-sites',
    'source-inaccurate',
    'source-order',
    'unknown-order',
  ] as const),
];

/** Notes that say that figures may be wrong or that something is missing. */
const SPOILS: readonly LeakNoteCode[] = [
  ...HIDES,
  ...(['missed-frees', 'unseen-frees', 'not-looked-up', 'lookup', 'maybe-free'] as const),
  ...(['no-blocks', 'no-addresses', 'left-out', 'flags-only'] as const),
  ...(['too-few-windows', 'late'] as const),
];

/** Whether all that was to be followed was: else it cannot be said that nothing leaks. */
export function sawAll(notes: readonly LeakNote[]): boolean {
  return notes.every(({ code }) => !HIDES.includes(code));
}

/** Whether an answer is whole with these notes. */
export function isWhole(notes: readonly LeakNote[]): boolean {
  return notes.every(({ code }) => !SPOILS.includes(code));
}
