import { expect, test } from 'vitest';
import { readLog } from '../../../src/walk/log/log.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { memoryOf } from '../../support/damaged-kernel.js';
import { blocksOf, kernelWithLog, LOG_AT, LOG_BASE, LOG_BYTES, logFields } from '../../support/made-log.js';

const LINES = Array.from({ length: 60 }, (_, i) => `line ${i} ${'x'.repeat((i * 7) % 30)}`);

/** Reads a log of this many lines, with some of its bytes changed. */
function logOf(count: number, at?: number, value = 0n, bytes = 8) {
  const kernel = kernelWithLog(LINES.slice(0, count));
  const { set, damagedBy } = memoryOf(kernel);
  const damages = at === undefined ? [] : [set(LOG_BASE + BigInt(at), bytes, value)];
  const warnings = new Warnings();
  const log = readLog(damagedBy(...damages), logFields(kernel), warnings);
  const records = [];
  let rest: unknown;
  for (;;) {
    const { done, value: next } = log.next();
    if (done) {
      rest = next;
      break;
    }
    records.push(next);
  }
  return { records, rest, messages: warnings.list().map(({ message }) => message) };
}

/** Descriptor of a line, by its index among the eight. */
const descriptor = (line: number) => LOG_AT.descs + (line % 8) * 24;

test('keeps sequence numbers, also after ids have wrapped', () => {
  for (const count of [1, 7, 8, 9, 20, 60]) {
    const blocks = blocksOf(LINES.slice(0, count));
    const end = blocks.at(-1)!.next;
    const kept = blocks
      .map((block, seq) => ({ ...block, seq }))
      .slice(-8)
      .filter(({ data }) => end - data <= LOG_BYTES);
    const { records } = logOf(count);
    expect(records.map(({ seq, text }) => ({ seq, text }))).toEqual(kept.map(({ seq, line }) => ({ seq, text: line })));
  }
});

test('reports a message that was being written as unknown text', () => {
  expect(logOf(5).messages).toEqual([]);
  const id = ((1n << 62n) - 8n + 4n) & ((1n << 62n) - 1n);
  const { records, messages } = logOf(5, descriptor(4), id);
  expect(records.map(({ seq }) => seq)).toEqual([0, 1, 2, 3]);
  expect(messages).toEqual(['text unknown, because it was being written: message 4 of the log']);
});

test('counts a message for which there was no room', () => {
  // Both positions are FAILED_LPOS.
  const { records, rest, messages } = logOf(5, descriptor(2) + 8, 1n | (1n << 64n), 16);
  expect(records.map(({ seq }) => seq)).toEqual([0, 1, 3, 4]);
  expect({ rest, messages }).toEqual({ rest: { overwritten: 0, noRoom: 1 }, messages: [] });
});

test('reports a gap in the sequence numbers as a contradiction', () => {
  const { messages } = logOf(5, LOG_AT.infos + 3 * 88, 33n);
  expect(messages).toEqual(['inconsistent sequence number 33: message 3 of the log']);
});

test('reports an end of the ring that hides messages as a contradiction', () => {
  const id = (seq: number) => ((1n << 62n) - 8n + BigInt(seq)) & ((1n << 62n) - 1n);
  expect(logOf(7, LOG_AT.ring + 24, id(3)).messages).toEqual(['kernel log has a message after the newest one']);
  expect(logOf(7, LOG_AT.ring + 32, id(3)).messages).toEqual(['kernel log has a message before the oldest one']);
});
