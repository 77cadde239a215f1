import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../records/log-records.js';
import { incompleteness } from '../incompleteness.js';
import { readClock } from '../machine/clock.js';
import type { Fields } from '../machine/fields.js';
import { pointerPartOf } from '../named-read.js';
import type { Warnings } from '../warnings.js';
import { infoReader } from './record.js';
import { hasRecordBuffer } from './record-buffer.js';
import { type LogRest, readRecords } from './records.js';
import { ID_MASK, type LogRing, openRing } from './ring.js';
import { readSlot, type Slot, type TextBlock } from './slot.js';
import { TimeOrder } from './time-order.js';
import { typeOf } from './type-of.js';

/** Looks at a live kernel's slot: so often until it holds still. */
const LIVE_ATTEMPTS = 3;

/**
 * The kernel's log, the oldest message first. What cannot be read, was being written or contradicts
 * itself is told to `warnings`.
 *
 * @returns what is no message
 * @throws as openRing and openRecordBuffer do
 */
export function readLog(
  kernel: Kernel,
  fields: Fields,
  warnings: Warnings,
): Generator<LogRecord, LogRest> {
  const times = new TimeOrder(warnings, kernel.facts.live ? undefined : uptimeOf(kernel));
  return hasRecordBuffer(kernel)
    ? readRecords(kernel, fields, warnings, times)
    : readRing(kernel, fields, warnings, times);
}

/** The printk ring buffer, since 5.10. */
function* readRing(
  kernel: Kernel,
  fields: Fields,
  warnings: Warnings,
  times: TimeOrder,
): Generator<LogRecord, LogRest> {
  const ring = openRing(kernel, fields);
  const { live } = kernel.facts;
  const positions = live ? undefined : textPositions(kernel, ring);
  const describe = infoReader(kernel);
  const lengths = new BlockLengths(warnings);
  const rest: LogRest = { overwritten: 0, noRoom: 0 };
  const span = (ring.head - ring.tail) & ID_MASK;
  if (span >= ring.count)
    throw new KernelError('damaged', 'kernel log has more messages than descriptors');
  checkEnds(kernel, ring, span, warnings);
  for (let step = 0n; step <= span; step++) {
    const id = (ring.tail + step) & ID_MASK;
    const name = `message ${seqOf(ring, id)} of the log`;
    const wrong = (what: string): void => warnings.add('corrupt', `${what}: ${name}`);
    let slot: Slot;
    try {
      slot = readStill(kernel, fields, ring, id);
    } catch (error) {
      warnings.add(incompleteness(error), `kernel log: ${(error as Error).message}`);
      continue;
    }
    switch (slot.kind) {
      case 'overwritten':
        // Of a text that is still there, the descriptor says so wrongly.
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
 * Ids are dealt out in order, and so are messages: the first one has the id -count, which older kernels
 * compute in 32 bits (DESC0_ID). Such ids lie between; nobody writes 2^32 messages. Below 0: before the
 * first.
 */
function seqOf({ count, head }: LogRing, id: bigint): number {
  const short = (1n << 32n) - count;
  const first = head >= short - 1n && head >> 61n === 0n ? short : -count;
  return Number(BigInt.asIntN(62, id - first));
}

/** Who would stand before the oldest and behind the newest message, if the ring's ends were wrong. */
function checkEnds(kernel: Kernel, ring: LogRing, span: bigint, warnings: Warnings): void {
  if (kernel.facts.live) return;
  const ends: readonly [bigint, string][] = [
    [(ring.head + 1n) & ID_MASK, 'after the newest'],
    ...(span + 1n < ring.count
      ? [[(ring.tail - 1n) & ID_MASK, 'before the oldest'] as [bigint, string]]
      : []),
  ];
  for (const [id, where] of ends) {
    try {
      const { kind } = readSlot(kernel, ring, id);
      if (kind !== 'other' && !(kind === 'overwritten' && id !== ends[0]?.[0]))
        warnings.add('corrupt', `kernel log has a message ${where} one`);
    } catch (error) {
      // It is no message's: what cannot be read there is nobody's.
      if (!(error instanceof ReadError)) throw error;
    }
  }
}

/** A slot; on a live kernel again, where it may have changed meanwhile. */
function readStill(kernel: Kernel, fields: Fields, ring: LogRing, id: bigint): Slot {
  if (!kernel.facts.live) {
    const slot = readSlot(kernel, ring, id);
    // Its number was dealt out, and the CPU had not come further.
    return slot.kind === 'other' && id === ring.head ? { kind: 'writing' } : slot;
  }
  for (let attempt = 1; ; attempt++) {
    const forget = kernel.noteReads();
    const slot = readSlot(kernel, ring, id);
    forget();
    if (slot.kind === 'overwritten' || slot.kind === 'no-room') return slot;
    if (((openRing(kernel, fields).tail - id - 1n) & ID_MASK) < ring.count)
      return { kind: 'overwritten', begin: 1n };
    const again = slot.kind === 'record' && readSlot(kernel, ring, id).kind === 'record';
    if (again || attempt === LIVE_ATTEMPTS) return slot;
  }
}

/** By the kernel's own clock, as far as that can be read. */
function uptimeOf(kernel: Kernel): bigint | undefined {
  try {
    return readClock(kernel).uptime;
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError) return undefined;
    throw error;
  }
}

/**
 * How far the ring of text has come: positions, which only grow. They tell which texts are still there,
 * whatever the descriptors say.
 */
interface TextPositions {
  /** Whether the byte at a position is in the ring, or is its end. */
  holds(position: bigint): boolean;
}

/** Undefined where the kernel's types do not tell where they stand. @throws {ReadError} */
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
 * Holds the length of each text against its block. Which form blocks have shows in all of them: a
 * length that would do in one form alone is judged in the end.
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

/** Blocks of text are padded to this (sizeof(unsigned long)). */
const ALIGNMENT = 8;

/**
 * Before 5.12 or so printk copied a text that was ready: its block is as long as it. Since then it is
 * printed into its block: the NUL stays, and a prefix (KERN_SOH and a level) and a line break are cut off it.
 */
type BlockForm = 'copied' | 'printed';

/** More spare bytes than alignment brings are a sign of the second form; so many must show them. */
const LEAST_SIGNS = 3;

/** Tells the form by blocks' rooms: bytes that each has beyond the length of its text. */
function blockForm(spare: readonly number[]): BlockForm {
  return spare.filter((bytes) => bytes >= ALIGNMENT).length >= LEAST_SIGNS ? 'printed' : 'copied';
}

/**
 * Whether the length of a text fits the block that it lies in: the second fact about `text_len`, and
 * about where the block ends.
 *
 * @param block all of the block behind its id
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
    // The last line break is always cut off.
    const last = breaks === 1 ? block[nul - 1] : block[length - 1];
    if ((last === NEWLINE) !== (breaks === 1)) continue;
    if (isShifted(block, length, prefix)) return true;
  }
  return false;
}

const NEWLINE = 0x0a;

/** Whether what lies behind the text is its own end, from before it was moved over its prefix. */
function isShifted(block: Uint8Array, length: number, prefix: number): boolean {
  for (let at = length; at < length + prefix; at++) {
    const byte = block[at];
    // Of a text, or of a part that continues one, which is shorter than its prefix, that is seen itself.
    if (byte !== block[at - prefix] && !isPrefix(byte)) return false;
  }
  return true;
}

/** KERN_SOH, levels 0 to 7, `c` of KERN_CONT, `d` of KERN_DEFAULT (include/linux/kern_levels.h). */
function isPrefix(byte = 0): boolean {
  return byte === 1 || (byte >= 0x30 && byte <= 0x37) || byte === 0x63 || byte === 0x64;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
