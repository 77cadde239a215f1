import type { SiteFrame } from '../../records/allocation-sites.js';
import { NO_FRAME } from '../readings/tally.js';
import type { AllocationType } from '../recording.js';

/**
 * An allocation or a free in text. A class, since V8 allocates ten times as much for a literal with many
 * parts.
 */
export class TextEvent {
  readonly kind: 'page' | 'slab';
  readonly free: boolean;
  /** Nanoseconds on the trace's clock. */
  readonly time: number;
  readonly tid: number;
  readonly command: string;
  /** Number of the first frame, or the lower 52 bits of an address. */
  readonly place: number;
  /** Frames or bytes; 0 for a free of an object. */
  readonly length: number;
  /** Bits 52 … 63 of an object's address, in place. Null: a number is printed instead of the address. */
  readonly upper: bigint | null;
  /** Innermost first: function numbers from {@link FrameNumbers}. */
  stack: readonly number[] = NO_FRAMES;

  constructor(line: EventLine, what: EventKind, place: number, length: number, upper: bigint | null) {
    this.kind = what.kind;
    this.free = what.free;
    this.time = nanoseconds(line.seconds);
    this.tid = line.tid;
    this.command = line.command;
    this.place = place;
    this.length = length;
    this.upper = upper;
  }
}

type EventKind = Pick<TextEvent, 'kind' | 'free'>;

const NO_FRAMES: readonly number[] = [];

/** Parses text line by line and passes on events, in the order of the text. */
export interface EventParser {
  /** Lines of unknown format. */
  readonly strange: number;
  /** Lost events according to the text; null if it does not report them. */
  readonly lost: number | null;
  /** Whether the text ends within an event. Valid after `end`. */
  readonly isCut: boolean;
  line(text: string): void;
  end(): void;
}

/** Numbers functions on stacks by their lines ({@link KnownFrames}). */
export type FrameNumbers = (line: string, read: (line: string) => SiteFrame | null) => number;

/** For callers that do not need stacks. */
export const noFrames: FrameNumbers = () => NO_FRAME;

const PAGE = /\bpfn=(?<pfn>0x[0-9a-f]{1,16}|\d{1,20}) order=(?<order>\d{1,2})\b/;
const OBJECT = /\bptr=(?:0x)?(?<ptr>[0-9a-f]{1,16}|\(null\)|\(nil\))/;
const ASKED = /\bbytes_req=(?<bytes>\d{1,15})\b/;
const BYTES = /\bbytes_alloc=(?<bytes>\d{1,15})\b/;

/** More than any machine has: the kernel prints such a number if it found no page. */
const MAX_FRAME = 2 ** 45;
const ADDRESS_BITS = 0xf_ffff_ffff_ffffn;
const MIN_ADDRESS = 0xff00_0000_0000_0000n;

const EVENTS: ReadonlyMap<string, EventKind> = new Map<string, EventKind>([
  ['mm_page_alloc', { kind: 'page', free: false }],
  // Batched frees fire this event too.
  ['mm_page_free', { kind: 'page', free: true }],
  ...['kmalloc', 'kmalloc_node', 'kmem_cache_alloc', 'kmem_cache_alloc_node'].map(
    (name) => [name, { kind: 'slab', free: false }] as const,
  ),
  ...['kfree', 'kmem_cache_free'].map((name) => [name, { kind: 'slab', free: true }] as const),
]);

/** The common part of all text formats: the name of the event, and its fields. */
export interface EventLine {
  readonly event: string;
  readonly fields: string;
  readonly seconds: string;
  readonly tid: number;
  readonly command: string;
}

/** Null: irrelevant. Undefined: its fields are malformed or contradict each other. */
export function textEvent(line: EventLine): TextEvent | null | undefined {
  const what = EVENTS.get(line.event);
  if (!what) return null;
  if (what.kind === 'page') {
    const { pfn, order } = PAGE.exec(line.fields)?.groups ?? {};
    if (pfn === undefined) return undefined;
    const place = Number(pfn);
    if (place === 0 || place >= MAX_FRAME || /\bpage=(0+|\(n[a-z]+\)) /.test(line.fields)) return null;
    const length = 2 ** Number(order);
    // A block begins at a multiple of its size.
    if (place % length !== 0) return undefined;
    return new TextEvent(line, what, place, length, 0n);
  }
  const ptr = OBJECT.exec(line.fields)?.groups?.ptr;
  const bytes = BYTES.exec(line.fields)?.groups?.bytes;
  if (ptr === undefined || (bytes === undefined && !what.free)) return undefined;
  const requested = ASKED.exec(line.fields)?.groups?.bytes;
  // An object is never smaller than the request.
  if (requested !== undefined && bytes !== undefined && Number(requested) > Number(bytes)) return undefined;
  if (/^(0+|\(n.*)$/.test(ptr)) return null;
  const address = BigInt(`0x${ptr}`);
  const upper = address >= MIN_ADDRESS ? address & ~ADDRESS_BITS : null;
  return new TextEvent(line, what, Number(address & ADDRESS_BITS), Number(bytes ?? 0), upper);
}

/** Converts seconds with a fraction of micro- or nanoseconds. */
function nanoseconds(seconds: string): number {
  const [whole = '0', fraction = ''] = seconds.split('.');
  return Number(whole) * 1e9 + Number(fraction.padEnd(9, '0').slice(0, 9));
}

/** Input of a recording from files. */
export interface FromOrder {
  readonly type: AllocationType;
  /** Events: files of one format and the same time. Copies of kernel records: the oldest first. */
  readonly paths: readonly string[];
  /** Number of windows for events; null: the default. */
  readonly windows: number | null;
  /**
   * Seconds from the first copy to the last; null: by modification times of the files. Events contain their
   * times.
   */
  readonly seconds: number | null;
  /** Page size of the recorded machine, bytes. */
  readonly pageSize: number;
  /** Maximum number of allocations that are kept while events are followed. */
  readonly maxBlocks: number;
  readonly maxSurvivors: number;
}
