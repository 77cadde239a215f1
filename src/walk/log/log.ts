import { KernelError, ReadError } from '../../kernel/error.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../log-records.js';
import { incompleteness } from '../incompleteness.js';
import { readClock } from '../machine/clock.js';
import type { Fields } from '../machine/fields.js';
import type { Warnings } from '../warnings.js';
import { BlockLengths } from './block-lengths.js';
import { textPositions } from './positions.js';
import { infoReader } from './record.js';
import { hasRecordBuffer } from './record-buffer.js';
import { type LogRest, readRecords } from './records.js';
import { ID_MASK, type LogRing, openRing } from './ring.js';
import { readSlot, type Slot } from './slot.js';
import { TimeOrder } from './time-order.js';

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
    throw new KernelError('damaged', 'the log has more messages than descriptors');
  checkEnds(kernel, ring, span, warnings);
  for (let step = 0n; step <= span; step++) {
    const id = (ring.tail + step) & ID_MASK;
    const name = `message ${seqOf(ring, id)} of the log`;
    const wrong = (what: string): void => warnings.add('corrupt', `${what}: ${name}`);
    let slot: Slot;
    try {
      slot = readStill(kernel, fields, ring, id);
    } catch (error) {
      warnings.add(incompleteness(error), `of the log: ${(error as Error).message}`);
      continue;
    }
    switch (slot.kind) {
      case 'overwritten':
        // Of a text that is still there, the descriptor says so wrongly.
        if ((slot.begin & 1n) === 0n && positions?.holds(slot.begin))
          wrong('marked as overwritten, and its text is there');
        else if (id !== ring.tail || seqOf(ring, id) >= 0) rest.overwritten++;
        continue;
      case 'writing':
        warnings.add('torn-list', `its text is not known, since it was being written: ${name}`);
        continue;
      case 'no-room':
        rest.noRoom++;
        continue;
      case 'other':
        wrong('another one is in its place');
        continue;
      case 'wrong':
        wrong(slot.why);
        continue;
    }
    const seq = Number(slot.info.getBigUint64(ring.seq, true));
    if (seq !== seqOf(ring, id)) wrong(`another number is noted, ${seq}`);
    const { block, text } = slot;
    if (block && positions && !(positions.holds(block.begin) && positions.holds(block.next)))
      wrong('its text lies outside of what the log holds');
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
    [(ring.head + 1n) & ID_MASK, 'behind its newest'],
    ...(span + 1n < ring.count
      ? [[(ring.tail - 1n) & ID_MASK, 'before its oldest'] as [bigint, string]]
      : []),
  ];
  for (const [id, where] of ends) {
    try {
      const { kind } = readSlot(kernel, ring, id);
      if (kind !== 'other' && !(kind === 'overwritten' && id !== ends[0]?.[0]))
        warnings.add('corrupt', `the log has a message ${where} one`);
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
