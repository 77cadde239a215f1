import type { LeakNoteCode } from '../records/leak-codes.js';

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
