import type { PageLayout } from './page-layout.js';

/** Is told what a page of a ring buffer holds, in its order. */
export interface PageVisitor {
  /**
   * @param from where the event's data begins in the page
   * @param to where it ends
   * @param time nanoseconds since the origin that {@link readPage} was given
   */
  event(page: Buffer, from: number, to: number, time: number): void;
  /** Events were lost before what follows: so many, or null where the kernel does not tell. */
  missed(count: number | null, time: number): void;
  /** The rest of the page makes no sense, and is left out. */
  torn(time: number): void;
}

/** Flags beside the count of bytes (RB_MISSED_EVENTS, RB_MISSED_STORED of kernel/trace/ring_buffer.c). */
const MISSED = 0x8000_0000;
const MISSED_COUNTED = 0x4000_0000;
const COMMIT_BITS = 0x07ff_ffff;

const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;

const TYPE_BITS = 0x1f;
/** Bits of time that a header has; more of it stands in the word behind. */
const DELTA = 2 ** 27;
/** An absolute time has 59 bits: the upper ones are those of the page's time. */
const STAMP_BITS = 59n;

/**
 * Reads a page that `trace_pipe_raw` gave (rb_update_event in kernel/trace/ring_buffer.c). Whatever its bytes
 * are, it ends, and never reads behind `length`.
 *
 * @param length how many bytes of `page` were read
 * @param origin what is 0 of the times told, nanoseconds on the trace's clock
 */
export function readPage(
  page: Buffer,
  length: number,
  layout: PageLayout,
  origin: bigint,
  visitor: PageVisitor,
): void {
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
    // What is left of a page that nothing more fitted into.
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
      // The word is how many bytes follow its header, itself among them.
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

/** How much data a page has. */
export function filledBytes(page: Buffer, layout: PageLayout): number {
  return page.readUInt32LE(layout.commit) & COMMIT_BITS;
}

function absolute(stamp: bigint, before: bigint): bigint {
  const upper = (before >> STAMP_BITS) << STAMP_BITS;
  const whole = upper | stamp;
  return whole < before ? whole + (1n << STAMP_BITS) : whole;
}
