import { expect, test } from 'vitest';
import { formatFigures } from '../../../src/account/memory/figures.js';
import { figuresTable } from '../../../src/answers/memory/depths/tables.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { answerOf } from '../../answers/memory/answer.js';

const PAGE = 4096;

const answer = {
  ...answerOf({ 'free-buddy': 50, 'page-cache': 20, shared: 10, 'slab-reclaimable': 5, rings: 3 }),
  zones: [
    { node: 0, zone: 'Normal', presentPages: 100, managedPages: 90, freePages: null, freeBlocks: [], watermarks: null },
  ],
  counted: new Map(
    Object.entries({
      MemTotal: 90,
      MemFree: 50,
      MemAvailable: 70,
      Buffers: 4,
      Cached: 26,
      Shmem: 10,
      SReclaimable: 6,
    }).map(([name, pages]) => [name, pages * PAGE]),
  ),
};

const line = (name: string, of: 'free' | 'meminfo' = 'free') =>
  formatFigures(answer, of).lines.find((one) => one.name === name);

test('computes the figures of free from rows and from kernel counters', () => {
  expect(line('total')).toMatchObject({ bytes: 90 * PAGE, kernelBytes: 90 * PAGE });
  expect(line('free')).toMatchObject({ bytes: 50 * PAGE, kernelBytes: 50 * PAGE });
  expect(line('shared')).toMatchObject({ bytes: 10 * PAGE, kernelBytes: 10 * PAGE });
  expect(line('buff/cache')).toMatchObject({ bytes: 35 * PAGE, kernelBytes: 36 * PAGE });
  expect(line('available')).toMatchObject({ bound: 'at-most', bytes: 75 * PAGE });
});

test('computes used in both definitions of procps', () => {
  expect(line('used (procps 4)')).toMatchObject({ bytes: null, kernelBytes: 20 * PAGE });
  expect(line('used (before)')).toMatchObject({ bytes: 5 * PAGE, kernelBytes: 4 * PAGE });
});

test('returns null for an unknown counter, not zero', () => {
  const without = { ...answer, counted: new Map([['MemTotal', 90 * PAGE]]) };
  const lines = formatFigures(without, 'free').lines;
  expect(lines.map(({ kernelBytes }) => kernelBytes)).toEqual([90 * PAGE, null, null, null, null, null, null]);
});

test('prints the difference, memory in no other line, and that shared is in the cache', () => {
  const figures = formatFigures(answer, 'free');
  const text = figuresTable({ ...answer, figures }, { limit: 20, width: null });
  expect(text).toMatch(/^buff\/cache +140 KiB +144 KiB +-4\.00 KiB +page cache \+ shared/m);
  expect(text).toMatch(/^Only in the first line: trace and I\/O rings .*12\.0 KiB\.$/m);
  expect(text).toContain('shared is part of buff/cache');
  const json = memoryJson({ ...answer, figures });
  expect(memorySchema.parse(json)).toEqual(json);
});

test('reports a line with an incomplete row as a bound', () => {
  const part = answerOf({ vmalloc: 10 }, { complete: false });
  const lines = formatFigures(part, 'meminfo').lines;
  expect(lines.find(({ name }) => name === 'VmallocUsed')).toMatchObject({ bound: 'at-least' });
});
