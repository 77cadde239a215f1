import type { TextRecord } from '../log-records.js';
import { monotonicHost, splitPrefix } from './prefix.js';

const UNKNOWN = { comm: '', subsystem: '', device: '' };

/** Messages of a text that contains a kernel log, each line a record of its own, the oldest first. */
export function* textRecords(text: string): Generator<TextRecord> {
  let seq = 0;
  let host: string | undefined;
  for (const line of text.split(/\r*\n/)) {
    host ??= monotonicHost(line);
    const split = splitPrefix(line, host);
    if (split && (split.text !== '' || !split.bare)) yield { seq: seq++, ...UNKNOWN, ...split };
  }
}
