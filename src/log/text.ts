import type { TextRecord } from '../records/log-records.js';
import { TextLogReader } from './reader.js';

/** Messages of a text that contains a kernel log, each line a record of its own, the oldest first. */
export function textRecords(text: string): TextRecord[] {
  const records: TextRecord[] = [];
  const take = (record: TextRecord) => void records.push(record);
  const reader = new TextLogReader({ take, isOpen: true, triggers: /^/ });
  reader.push(Buffer.from(text));
  reader.end();
  return records;
}
