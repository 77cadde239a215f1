import type { LogRecord } from '../../../src/records/log-records.js';

/** Messages in the format of `dmesg -r`, each with its level and time. */
export function* recordsOf(text: string): Generator<LogRecord> {
  let seq = 0;
  for (const line of text.split('\n')) {
    const [, level, seconds, part = '', message = ''] = /^<(\d+)>\[ *(\d+)\.(\d{6})\] (.*)$/.exec(line) ?? [];
    if (level === undefined) continue;
    yield {
      seq: seq++,
      timestamp: BigInt(seconds ?? 0) * 1_000_000_000n + BigInt(part) * 1000n,
      level: Number(level) & 7,
      facility: Number(level) >> 3,
      caller: null,
      comm: '',
      subsystem: '',
      device: '',
      text: message,
    };
  }
}
