import { damaged, ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../records/log-records.js';
import { readClock } from '../machine/clock.js';
import type { Fields } from '../machine/fields.js';
import { findOrNot, pointerPartOf } from '../named-read.js';
import { addError, type Warnings } from '../warnings.js';
import { infoReader, TimeOrder } from './record.js';
import { hasRecordBuffer, typeOf } from './record-buffer.js';
import { type LostMessages, readRecords } from './records.js';
import { ID_MASK, type LogRing, openRing, readSlot, type Slot, type TextBlock } from './slot.js';

/** Maximum number of reads of a live kernel's slot until it is stable. */
const LIVE_ATTEMPTS = 3;

/**
 * Yields the kernel's log, oldest message first. Unreadable, incomplete and inconsistent records are added to
 * `warnings`.
 *
 * @returns counts of messages that were lost
 * @throws as openRing and openRecordBuffer do
 */
export function readLog(kernel: Kernel, fields: Fields, warnings: Warnings): Generator<LogRecord, LostMessages> {
  const times = new TimeOrder(warnings, kernel.facts.live ? undefined : uptimeOf(kernel));
  return hasRecordBuffer(kernel)
    ? readRecords(kernel, fields, warnings, times)
    : readRing(kernel, fields, warnings, times);
}

/** Reads the printk ring buffer (since 5.10). */
function* readRing(
  kernel: Kernel,
  fields: Fields,
  warnings: Warnings,
  times: TimeOrder,
): Generator<LogRecord, LostMessages> {
  const ring = openRing(kernel, fields);
  const { live } = kernel.facts;
  const positions = live ? undefined : textPositions(kernel, ring);
  const describe = infoReader(kernel);
  const lengths = new BlockLengths(warnings);
  const rest: LostMessages = { overwritten: 0, noRoom: 0 };
  const span = (ring.head - ring.tail) & ID_MASK;
  if (span >= ring.count) throw damaged('kernel log has more messages than descriptors');
  checkEnds(kernel, ring, span, warnings);
  for (let step = 0n; step <= span; step++) {
    const id = (ring.tail + step) & ID_MASK;
    const name = `message ${seqOf(ring, id)} of the log`;
    const wrong = (what: string): void => warnings.add('corrupt', `${what}: ${name}`);
    let slot: Slot;
    try {
      slot = readStableSlot(kernel, fields, ring, id);
    } catch (error) {
      addError(warnings, 'kernel log', error);
      continue;
    }
    switch (slot.kind) {
      case 'overwritten':
        // If the text still exists, the descriptor is wrong.
        if ((slot.begin & 1n) === 0n && positions?.holds(slot.begin))
          wrong('marked as overwritten, but its text exists');
        else if (id !== ring.tail || seqOf(ring, id) >= 0) rest.overwritten++;
        continue;
      case 'writing':
        warnings.add('torn-list', `text unknown, because it was being written: ${name}`);
        continue;
      case 'no-room':
        rest.noRoom++;
        continue;
      case 'other':
        wrong('its descriptor belongs to another message');
        continue;
      case 'wrong':
        wrong(slot.why);
        continue;
    }
    const seq = Number(slot.info.getBigUint64(ring.seq, true));
    if (seq !== seqOf(ring, id)) wrong(`inconsistent sequence number ${seq}`);
    const { block, text } = slot;
    if (block && positions && !(positions.holds(block.begin) && positions.holds(block.next)))
      wrong('its text is outside the used part of the log');
    if (block) lengths.add(name, block);
    const timestamp = slot.info.getBigUint64(ring.timestamp, true);
    times.add(name, timestamp);
    yield { seq: seqOf(ring, id), timestamp, ...describe(slot.info), text };
  }
  lengths.finish();
  return rest;
}

/**
 * Returns the sequence number of an id; below 0: before the first message. Both increase by one. The first
 * message has the id -count, which older kernels compute in 32 bits (DESC0_ID). Such ids are in between; 2^32
 * messages do not occur.
 */
function seqOf({ count, head }: LogRing, id: bigint): number {
  const short = (1n << 32n) - count;
  const first = head >= short - 1n && head >> 61n === 0n ? short : -count;
  return Number(BigInt.asIntN(62, id - first));
}

/** Checks the ring's ends: there must be no message before the oldest one or after the newest one. */
function checkEnds(kernel: Kernel, ring: LogRing, span: bigint, warnings: Warnings): void {
  if (kernel.facts.live) return;
  const ends: readonly [bigint, string][] = [
    [(ring.head + 1n) & ID_MASK, 'after the newest'],
    ...(span + 1n < ring.count ? [[(ring.tail - 1n) & ID_MASK, 'before the oldest'] as [bigint, string]] : []),
  ];
  for (const [id, where] of ends) {
    try {
      const { kind } = readSlot(kernel, ring, id);
      if (kind !== 'other' && !(kind === 'overwritten' && id !== ends[0]?.[0]))
        warnings.add('corrupt', `kernel log has a message ${where} one`);
    } catch (error) {
      // The descriptor belongs to no message: an unreadable page there loses none.
      if (!(error instanceof ReadError)) throw error;
    }
  }
}

/** Reads a slot; on a live kernel repeatedly, because it may change meanwhile. */
function readStableSlot(kernel: Kernel, fields: Fields, ring: LogRing, id: bigint): Slot {
  if (!kernel.facts.live) {
    const slot = readSlot(kernel, ring, id);
    // The id was reserved, but the CPU had not written the descriptor yet.
    return slot.kind === 'other' && id === ring.head ? { kind: 'writing' } : slot;
  }
  for (let attempt = 1; ; attempt++) {
    const forget = kernel.noteReads();
    const slot = readSlot(kernel, ring, id);
    forget();
    if (slot.kind === 'overwritten' || slot.kind === 'no-room') return slot;
    if (((openRing(kernel, fields).tail - id - 1n) & ID_MASK) < ring.count) return { kind: 'overwritten', begin: 1n };
    const again = slot.kind === 'record' && readSlot(kernel, ring, id).kind === 'record';
    if (again || attempt === LIVE_ATTEMPTS) return slot;
  }
}

/** Uptime by the kernel's own clock; undefined if it cannot be read. */
function uptimeOf(kernel: Kernel): bigint | undefined {
  return findOrNot(() => readClock(kernel).uptime);
}

/**
 * Positions in the text ring, which only increase. They determine which texts still exist, regardless of the
 * descriptors.
 */
interface TextPositions {
  /** Whether the byte at a position is in the ring, or is its end. */
  holds(position: bigint): boolean;
}

/** Undefined if the kernel's types lack the member. */
function textPositions(kernel: Kernel, ring: LogRing): TextPositions | undefined {
  const layout = typeOf(kernel, 'printk_ringbuffer');
  const head = layout?.member('text_data_ring.head_lpos');
  const tail = layout?.member('text_data_ring.tail_lpos');
  if (!head || !tail) return undefined;
  const read = (offset: number): bigint =>
    pointerPartOf(kernel, 'struct printk_ringbuffer', ring.address, ring.address + BigInt(offset));
  const oldest = read(tail.offset);
  const length = BigInt.asUintN(64, read(head.offset) - oldest);
  return { holds: (position) => BigInt.asUintN(64, position - oldest) <= length };
}

/**
 * Checks the length of each text against its block. The form of blocks is known only from all of them, so
 * lengths that fit only one form are judged at the end.
 */
class BlockLengths {
  readonly #warnings: Warnings;
  readonly #spare: number[] = [];
  readonly #unfit: Record<BlockForm, string[]> = { copied: [], printed: [] };

  constructor(warnings: Warnings) {
    this.#warnings = warnings;
  }

  add(name: string, { bytes, length }: TextBlock): void {
    this.#spare.push(bytes.length - length);
    for (const form of ['copied', 'printed'] as const)
      if (!fitsBlock(form, bytes, length)) this.#unfit[form].push(name);
  }

  finish(): void {
    for (const name of this.#unfit[blockForm(this.#spare)])
      this.#warnings.add('corrupt', `text length does not match its block: ${name}`);
  }
}

/** Text blocks are padded to this alignment (sizeof(unsigned long)). */
const ALIGNMENT = 8;

/**
 * Form of text blocks. Before about 5.12, printk copied a finished text, so its block has the same length.
 * Since then it formats the text in its block: the NUL remains, and a prefix (KERN_SOH and a level) and a
 * line break are removed.
 */
type BlockForm = 'copied' | 'printed';

/** Minimum number of blocks with more spare bytes than alignment explains, as evidence of the second form. */
const MIN_SIGNS = 3;

/** Determines the form of blocks from their spare bytes: those that each has beyond the length of its text. */
function blockForm(spare: readonly number[]): BlockForm {
  return spare.filter((bytes) => bytes >= ALIGNMENT).length >= MIN_SIGNS ? 'printed' : 'copied';
}

/**
 * Whether the length of a text fits its block: a second source for `text_len`, and for the end of the block.
 *
 * @param block the block after its id
 * @param length of the text, in bytes
 */
function fitsBlock(form: BlockForm, block: Uint8Array, length: number): boolean {
  if (form === 'copied') return block.length === aligned(length);
  const nul = block.indexOf(0, length);
  if (nul < 0 || block.length !== aligned(nul + 1)) return false;
  if (block.subarray(0, length).includes(0)) return false;
  for (const breaks of [0, 1]) {
    const prefix = nul - length - breaks;
    if (![0, 2, 4].includes(prefix)) continue;
    // The last line break is always removed.
    const last = breaks === 1 ? block[nul - 1] : block[length - 1];
    if ((last === NEWLINE) !== (breaks === 1)) continue;
    if (isShifted(block, length, prefix)) return true;
  }
  return false;
}

const NEWLINE = 0x0a;

/** Whether the bytes after the text are its own end, from before it was moved over its prefix. */
function isShifted(block: Uint8Array, length: number, prefix: number): boolean {
  for (let at = length; at < length + prefix; at++) {
    const byte = block[at];
    // If the text, or a part that continues one, is shorter than its prefix, the prefix itself is visible.
    if (byte !== block[at - prefix] && !isPrefix(byte)) return false;
  }
  return true;
}

/**
 * Whether a byte may be part of a prefix: KERN_SOH, levels 0 to 7, `c` of KERN_CONT, `d` of KERN_DEFAULT
 * (include/linux/kern_levels.h).
 */
function isPrefix(byte = 0): boolean {
  return byte === 1 || (byte >= 0x30 && byte <= 0x37) || byte === 0x63 || byte === 0x64;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
