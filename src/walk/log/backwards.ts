import type { Kernel } from '../../kernel/kernel.js';
import type { Fields } from '../machine/fields.js';
import { ID_MASK, openRing } from './ring.js';
import { readSlot } from './slot.js';

/** A line of the kernel's log. */
export interface LogLine {
  /** Nanoseconds on the kernel's own clock, which starts near 0 at boot. */
  readonly timestamp: bigint;
  /** One line, or several; hostile. */
  readonly text: string;
}

/**
 * The kernel's log from its newest record back, for who looks for something in it. Records that were
 * being written, that lost their text or that contradict themselves are left out: `readLog` tells of them.
 *
 * @throws as openRing does, and {@link ReadError} where the log cannot be read
 */
export function* logBackwards(kernel: Kernel, fields: Fields): Generator<LogLine> {
  const ring = openRing(kernel, fields);
  let left = ring.count;
  for (let id = ring.head; left > 0n; id = (id - 1n) & ID_MASK, left--) {
    const slot = readSlot(kernel, ring, id);
    if (slot.kind === 'record')
      yield { timestamp: slot.info.getBigUint64(ring.timestamp, true), text: slot.text };
    if (id === ring.tail) return;
  }
}
