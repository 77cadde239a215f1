import type { Kernel } from '../../kernel/kernel.js';
import type { LogRecord } from '../../records/log-records.js';
import type { Fields } from '../machine/fields.js';
import { infoReader } from './record.js';
import { hasRecordBuffer } from './record-buffer.js';
import { recordsBackwards } from './records.js';
import { ID_MASK, openRing } from './ring.js';
import { readSlot } from './slot.js';

/** A message of the kernel's log: when, what, and whose it is. */
export type LogLine = Pick<LogRecord, 'timestamp' | 'text' | 'facility' | 'caller'>;

/**
 * The kernel's log from its newest record back, for who looks for something in it. Records that were
 * being written, that lost their text or that contradict themselves are left out: `readLog` tells of them.
 *
 * @throws as openRing and openRecordBuffer do, and {@link ReadError} where the log cannot be read
 */
export function* logBackwards(kernel: Kernel, fields: Fields): Generator<LogLine> {
  if (hasRecordBuffer(kernel)) {
    yield* recordsBackwards(kernel, fields);
    return;
  }
  const ring = openRing(kernel, fields);
  const read = infoReader(kernel);
  let left = ring.count;
  for (let id = ring.head; left > 0n; id = (id - 1n) & ID_MASK, left--) {
    const slot = readSlot(kernel, ring, id);
    if (slot.kind === 'record') {
      const { facility, caller } = read(slot.info);
      const timestamp = slot.info.getBigUint64(ring.timestamp, true);
      yield { timestamp, text: slot.text, facility, caller };
    }
    if (id === ring.tail) return;
  }
}
