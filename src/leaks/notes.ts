import { escapeText } from '../base/escape.js';
import { count as counted, formatCount, formatSize, inflect } from '../base/size.js';
import type { LeakNoteCode } from '../records/leak-codes.js';
import type { AllocationType } from './recording.js';

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
export function sawAll(notes: readonly Pick<LeakNote, 'code'>[]): boolean {
  return notes.every(({ code }) => !HIDES.includes(code));
}

/** Whether an answer with these notes is complete. */
export function isWhole(notes: readonly Pick<LeakNote, 'code'>[]): boolean {
  return notes.every(({ code }) => !SPOILS.includes(code));
}

const NOTES: Readonly<Record<LeakNoteCode, (note: LeakNote, type: AllocationType) => string>> = {
  overrun: ({ count }) =>
    `The kernel dropped ${many(count, 'event')}: some listed blocks may be free, and others are missing.`,
  'overrun-unknown': () =>
    'The number of dropped events is unknown: listed blocks may be free, and others may be missing.',
  'missed-frees': ({ count }) =>
    `${many(count, 'free')} ${inflect(count, 'was', 'were')} not recorded: the same frames were allocated again. ${inflect(count, 'It counts', 'They count')} as freed.`,
  'found-free': ({ count, bytes = 0 }) =>
    `${many(count, 'block')} (${formatSize(bytes)}) ${inflect(count, 'was', 'were')} already free when checked, and ${inflect(count, 'is', 'are')} not counted as held.`,
  'unknown-frees': ({ count }) =>
    `${many(count, 'free')} ${inflect(count, 'has', 'have')} no recorded allocation: the ${inflect(count, 'block is', 'blocks are')} mostly older than the recording.`,
  'without-stack': ({ count }) =>
    `${many(count, 'allocation')} had no stack trace, and ${inflect(count, 'counts', 'count')} as (no stack).`,
  dropped: ({ count }) =>
    `${many(count, 'block')} ${inflect(count, 'was', 'were')} not followed: the tracking tables are full. Use a smaller sample (--sample 1/N).`,
  unseen: ({ count }) =>
    `At least ${many(count, 'page')} ${inflect(count, 'was', 'were')} allocated without an event (bulk allocations by vmalloc or page pools) and ${inflect(count, 'is', 'are')} not listed.`,
  'unseen-frees': ({ count }) =>
    `${many(count, 'page')} ${inflect(count, 'was', 'were')} freed without an event: some listed blocks may be free.`,
  'unseen-unknown': () =>
    'Some pages may be missing: bulk allocations (vmalloc, page pools) fire no event, and their number is unknown.',
  'unseen-objects': () =>
    'Bulk allocations (kmem_cache_alloc_bulk) fire no event: an unknown number of objects is missing.',
  'not-looked-up': ({ why }, type) =>
    why === undefined
      ? `This input cannot confirm a leak: it does not show whether the blocks are still in use. To confirm, run on that machine as root (/proc/kcore required): ${leaksCommand(type)}`
      : `No leak can be confirmed here: where the blocks are now could not be read (${escapeText(why)}). Next: kdump-mem doctor`,
  'no-blocks': (_, type) =>
    `This source cannot confirm a leak: it reports totals, not individual blocks. To confirm, run on that machine as root (/proc/kcore required): ${leaksCommand(type)} --method tracefs`,
  'no-addresses': () =>
    'This source cannot confirm a leak: the kernel hides the addresses of vmalloc areas, and /proc/kcore is not available. Next: sysctl kernel.kptr_restrict=1',
  'flags-only': ({ why }) =>
    `Page flags cannot confirm a leak: they do not distinguish socket buffers from unreferenced pages${why === undefined ? '' : ` (${escapeText(why)})`}. Next: skcheck --stale`,
  'left-out': ({ count }) =>
    `${many(count, 'held block')} ${inflect(count, 'was', 'were')} not checked: shares are of the blocks that were.`,
  lookup: ({ why = '' }) => `Checking the blocks’ current use: ${escapeText(why)}`,
  'maybe-free': ({ count }) =>
    `${many(count, 'object')} may be free: the freelist of ${inflect(count, 'its slab', 'their slabs')} could not be read. ${inflect(count, 'It counts', 'They count')} as held.`,
  'limited-cache': ({ count, why = '' }) =>
    `Possible false positive: some leaking objects are in a cache that fills up to a limit (${escapeText(why)}; now ${formatCount(count ?? 0)} in this network namespace). Record for longer than its objects live.`,
  'ended-early': () => 'The recording was interrupted.',
  'too-few-windows': () => 'Fewer than three windows: growth is unknown.',
  filtered: ({ why = '' }) => `Only allocations by ${escapeText(why)} were followed.`,
  'exited-threads': ({ count }) =>
    `${many(count, 'allocation')} ${inflect(count, 'was', 'were')} by threads that exited before they could be identified, and ${inflect(count, 'is', 'are')} not followed.`,
  late: ({ count }) => `${many(count, 'event')} arrived out of order: some frees may be reported as missed.`,
  'settings-changed': ({ why = '' }) =>
    `Another program changed the trace settings, so the recording stopped: ${escapeText(why)}. Run it again.`,
  'events-unmatched': ({ count }) =>
    `Another program read or cleared the trace buffers: ${many(count, 'event')} differ from the kernel’s count. Some listed blocks may be free, and others are missing.`,
  orphans: ({ why = '' }) => `Removed tracefs instances left by a killed run: ${escapeText(why)}.`,
  'left-behind': ({ why = '' }) =>
    `A tracefs instance could not be removed (another program has it open): ${escapeText(why)}. Remove it with rmdir when it is closed.`,
  'over-budget': () => 'Recording cost more than --budget: the event rate rose.',
  'source-truncated': ({ why = '' }) =>
    `Truncated input: ${escapeText(why)}. Allocations and frees are missing: sites may be missing too, and HELD may be too low or too high.`,
  'source-malformed': ({ count, why = '' }) =>
    `${escapeText(why)}: skipped ${many(count, 'malformed or inconsistent line')}.`,
  'source-unreadable': ({ count, why = '' }) =>
    `${escapeText(why)}: ${many(count, 'part')} could not be read, or ${inflect(count, 'is', 'are')} not tracked.`,
  'source-sites': ({ count, why = '' }) =>
    `${escapeText(why)}: too many allocation sites; ${many(count, 'allocation')} are counted as one site.`,
  'source-largest': ({ count = 0, why = '' }) =>
    `${escapeText(why)} lists only the ${formatCount(count)} largest stacks of each time: smaller ones are missing, and growth may be larger than stated.`,
  'source-order': ({ count, why = '' }) =>
    `${escapeText(why)}: timestamps go backwards in ${many(count, 'place')} (several recordings, or a corrupt file).`,
  'unknown-order': ({ bytes }) =>
    `The copies do not show their order or their machine: the first one given counts as the oldest.${bytes === undefined ? '' : ` In this order ${formatSize(bytes)} were freed; in the reverse order, they leaked.`}`,
  'source-inaccurate': ({ count, why = '' }) =>
    `${many(count, 'site')} ${inflect(count, 'is', 'are')} marked as inaccurate in ${escapeText(why)}: the kernel did not count every allocation, and their figures may be too low.`,
};

function many(count: number | undefined, what: string): string {
  if (count === undefined) return `Some ${what}s`;
  return counted(count, what);
}

function leaksCommand(type: AllocationType): string {
  return `kdump-mem leaks${type === 'page' ? '' : ` --type ${type}`}`;
}

/** Formats a note. @param type type of the allocations, for the next command */
export function noteWords(note: LeakNote, type: AllocationType): string {
  return NOTES[note.code](note, type);
}
