import { expect, test } from 'vitest';
import { CHUNK, CHUNKS_PER_LINE, LineCache, offsetInLine } from '../../../../src/kernel/native/image/cache.js';

/** A file with this many chunks, each filled with its number, and the reads of it. */
function chunks(count: number, budget = 0) {
  const reads: [chunk: number, chunks: number][] = [];
  const cache = new LineCache(budget, (target, chunk, many) => {
    reads.push([chunk, many]);
    const available = Math.max(0, Math.min(many, count - chunk));
    for (let index = 0; index < available; index++) target.fill(chunk + index, index * CHUNK, (index + 1) * CHUNK);
    return available * CHUNK;
  });
  const read = (chunk: number, ahead = true) => {
    const view = cache.view(chunk, ahead);
    return cache.length(chunk) === 0 ? undefined : view.getUint8(offsetInLine(chunk) + CHUNK - 1);
  };
  return { reads, read };
}

test('serves a repeated request from the cache', () => {
  const { read, reads } = chunks(200);
  expect([read(3), read(3), read(100), read(3)]).toEqual([3, 3, 100, 3]);
  expect(reads).toEqual([
    [3, 1],
    [100, 1],
  ]);
});

test('reads ahead in lines for sequential reads, but not for live memory', () => {
  const { read, reads } = chunks(200);
  for (let chunk = 0; chunk < 3 * CHUNKS_PER_LINE; chunk++) expect(read(chunk)).toBe(chunk);
  expect(reads.length).toBeLessThan(5);
  const live = chunks(200);
  for (let chunk = 0; chunk < 3 * CHUNKS_PER_LINE; chunk++) expect(live.read(chunk, false)).toBe(chunk);
  expect(live.reads).toHaveLength(3 * CHUNKS_PER_LINE);
});

test('returns the right data for each chunk, whatever was evicted in between', () => {
  // The smallest budget: far fewer lines than are requested.
  const { read } = chunks(200);
  let chunk = 1;
  for (let step = 0; step < 5000; step++) {
    chunk = (chunk * 75 + 74) % 211;
    expect(read(chunk)).toBe(chunk < 200 ? chunk : undefined);
  }
});
