import { endianness } from 'node:os';
import { TraceError } from '../../../base/errors.js';

/** Receives the content of a ring buffer page, in order. */
export interface PageVisitor {
  /**
   * @param from start of the event's data in the page
   * @param to end of the data
   * @param time nanoseconds since the origin passed to {@link readPage}
   */
  event(page: Buffer, from: number, to: number, time: number): void;
  /** Number of events lost before the next one; null: unknown. */
  missed(count: number | null, time: number): void;
  /** The remainder of the page is malformed, and is skipped. */
  torn(time: number): void;
}

/**
 * Flags in the word with the byte count (RB_MISSED_EVENTS, RB_MISSED_STORED of kernel/trace/ring_buffer.c).
 */
const MISSED = 0x8000_0000;
const MISSED_COUNTED = 0x4000_0000;
const COMMIT_BITS = 0x07ff_ffff;

const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;

const TYPE_BITS = 0x1f;
/** Range of the time in a header; the next word contains the higher bits. */
const DELTA = 2 ** 27;
/** An absolute time has 59 bits: the higher bits are those of the page's time. */
const STAMP_BITS = 59n;

/**
 * Reads a page of `trace_pipe_raw` (rb_update_event, kernel/trace/ring_buffer.c). It terminates on any bytes,
 * and never reads beyond `length`.
 *
 * @param length number of bytes of `page` that were read
 * @param origin time 0, nanoseconds on the trace's clock
 */
export function readPage(page: Buffer, length: number, layout: PageLayout, origin: bigint, visitor: PageVisitor): void {
  if (length < layout.data) {
    visitor.torn(0);
    return;
  }
  const stamp = page.readBigUInt64LE(layout.timestamp);
  let time = Number(stamp - origin);
  const commit = page.readUInt32LE(layout.commit);
  const bytes = (commit & COMMIT_BITS) >>> 0;
  const end = layout.data + bytes;
  if ((commit & MISSED) !== 0) {
    const counted = (commit & MISSED_COUNTED) !== 0 && end + 8 <= length;
    visitor.missed(counted ? Number(page.readBigUInt64LE(end)) : null, time);
  }
  if (end > length) {
    visitor.torn(time);
    return;
  }
  let at = layout.data;
  while (at + 4 <= end) {
    const header = page.readUInt32LE(at);
    const type = header & TYPE_BITS;
    const delta = header >>> 5;
    at += 4;
    if (type > 0 && type < PADDING) {
      const next = at + type * 4;
      if (next > end) {
        visitor.torn(time);
        return;
      }
      time += delta;
      visitor.event(page, at, next, time);
      at = next;
      continue;
    }
    // The unused end of a page.
    if (type === PADDING && delta === 0) return;
    if (at + 4 > end) {
      visitor.torn(time);
      return;
    }
    const word = page.readUInt32LE(at);
    if (type === TIME_EXTEND) {
      time += word * DELTA + delta;
      at += 4;
    } else if (type === TIME_STAMP) {
      time = Number(absolute(BigInt(word) * BigInt(DELTA) + BigInt(delta), stamp) - origin);
      at += 4;
    } else {
      // The word contains the number of bytes after the header, including itself.
      const next = at + word;
      if (word < 4 || next > end) {
        visitor.torn(time);
        return;
      }
      time += delta;
      if (type !== PADDING) visitor.event(page, at + 4, next, time);
      at = next;
    }
  }
  if (at !== end) visitor.torn(time);
}

/** Number of data bytes in a page. */
export function filledBytes(page: Buffer, layout: PageLayout): number {
  return page.readUInt32LE(layout.commit) & COMMIT_BITS;
}

function absolute(stamp: bigint, before: bigint): bigint {
  const upper = (before >> STAMP_BITS) << STAMP_BITS;
  const whole = upper | stamp;
  return whole < before ? whole + (1n << STAMP_BITS) : whole;
}

/** Layout of a ring buffer page (`events/header_page`): offsets in bytes. */
export interface PageLayout {
  /** Nanoseconds, 64 bits. */
  readonly timestamp: number;
  /** Number of data bytes, with flags in the upper bits. */
  readonly commit: number;
  readonly data: number;
  /** Size of a page: the maximum of one read. */
  readonly pageBytes: number;
}

/** Required layout of an event's header (`events/header_event`): pages of another layout cannot be read. */
const EVENT_HEADER = { type_len: 5, time_delta: 27, padding: 29, time_extend: 30, time_stamp: 31 } as const;

/** A page of a ring buffer is a page of memory, or with an option since 6.8 up to 2^7 pages. */
const MAX_PAGE_BYTES = 64 * 1024 * 128;

/**
 * @param headerPage text of `events/header_page`
 * @param headerEvent text of `events/header_event`
 * @param pageKilobytes `buffer_subbuf_size_kb` of the instance, if the file exists
 * @throws {TraceError} `trace-unsupported`
 */
export function parsePageLayout(headerPage: string, headerEvent: string, pageKilobytes: number | null): PageLayout {
  if (endianness() !== 'LE') throw unsupported('big-endian');
  for (const [name, value] of Object.entries(EVENT_HEADER)) {
    const printed = new RegExp(`^\\s*${name}\\s*:\\s*(?:type == )?(\\d+)`, 'm').exec(headerEvent)?.[1];
    if (printed !== String(value)) throw unsupported(`header_event says ${name} ${printed ?? 'nothing'}, not ${value}`);
  }
  const field = (name: string) => {
    const match = new RegExp(`^\\s*field: [^;]*\\b${name};\\s*offset:(\\d{1,4});\\s*size:(\\d{1,7});`, 'm').exec(
      headerPage,
    );
    if (!match) throw unsupported(`header_page has no field ${name}`);
    return { offset: Number(match[1]), size: Number(match[2]) };
  };
  const [timestamp, commit, data] = [field('timestamp'), field('commit'), field('data')];
  const pageBytes = pageKilobytes === null ? data.offset + data.size : Math.floor(pageKilobytes) * 1024;
  if (timestamp.size !== 8 || commit.size !== 8 || commit.offset + commit.size > data.offset)
    throw unsupported('unexpected header_page');
  if (!(pageBytes > data.offset && pageBytes <= MAX_PAGE_BYTES))
    throw unsupported(`buffer pages of ${pageBytes} bytes`);
  return { timestamp: timestamp.offset, commit: commit.offset, data: data.offset, pageBytes };
}

/** Position of a field in an event's data. */
export interface EventField {
  /** Bytes from the start of the event's data. */
  readonly offset: number;
  /** Bytes; 0: the field extends to the end of the data. */
  readonly size: number;
}

/** Type of an event, as `events/SYSTEM/NAME/format` describes it. */
export interface EventFormat {
  readonly name: string;
  /** Value of `common_type` in its data. */
  readonly id: number;
  readonly fields: ReadonlyMap<string, EventField>;
}

/** Maximum size of a format: it has at most 20 lines of fields, but its `print fmt` can be very long. */
const MAX_TEXT = 256 * 1024;

const FIELD = /^\tfield:[^;]*?\b(?<name>\w+)(?:\[\w*\])*;\toffset:(?<offset>\d{1,5});\tsize:(?<size>\d{1,5});/gm;

/**
 * Parses an event format as printed by kernel/trace/trace_events.c.
 *
 * @throws {TraceError} `trace-unsupported`
 */
export function parseEventFormat(text: string, name: string): EventFormat {
  const head = text.slice(0, MAX_TEXT);
  const id = /^ID: (\d{1,5})$/m.exec(head)?.[1];
  if (id === undefined) throw unsupported(`the format of ${name} has no ID`);
  const fields = new Map<string, EventField>();
  for (const { groups } of head.matchAll(FIELD))
    fields.set(groups?.name ?? '', { offset: Number(groups?.offset), size: Number(groups?.size) });
  return { name, id: Number(id), fields };
}

/**
 * The first existing field of several names that kernels have used. @throws {TraceError} `trace-unsupported`
 */
export function fieldOf(format: EventFormat, ...names: readonly [string, ...string[]]): EventField {
  for (const name of names) {
    const field = format.fields.get(name);
    if (field) return field;
  }
  const has = [...format.fields.keys()].join(', ');
  throw unsupported(`the event ${format.name} has no field ${names.join(' or ')} (it has ${has})`);
}

export function unsupported(what: string): TraceError {
  return new TraceError('trace-unsupported', `unsupported tracing format: ${what}`);
}
