import { expect, test } from 'vitest';
import type { CgroupFigures } from '../../../src/account/memory/cgroups.js';
import { cgroupsTable } from '../../../src/answers/memory/depths/cgroups.js';
import { memoryJson } from '../../../src/answers/memory/json.js';
import { memorySchema } from '../../../src/contracts/memory.js';
import { answerOf } from './answer.js';

const PAGE = 4096;

const cgroup = (path: string, frames: number, more: Partial<CgroupFigures> = {}): CgroupFigures => ({
  path,
  bytes: frames * PAGE,
  categories: [{ category: 'anonymous', bytes: frames * PAGE }],
  dying: false,
  slabObjects: 0,
  slabObjectBytes: 0,
  usageBytes: frames * PAGE,
  ...more,
});

const answer = {
  ...answerOf({ anonymous: 10 }),
  cgroups: {
    cgroups: [
      cgroup('/a\u001b[2J', 4),
      cgroup('/gone', 2, { dying: true, slabObjects: 3, slabObjectBytes: 576 }),
      cgroup('/kept', 0, { dying: true, categories: [] }),
    ],
    uncharged: { bytes: 3 * PAGE, categories: [{ category: 'free-buddy', bytes: 3 * PAGE }] },
    slabs: { bytes: 0, categories: [] },
    unnamed: [{ reason: 'damaged', why: 'a charge', bytes: PAGE, categories: [] }],
    empty: 2,
  },
} as const;

test('names dying cgroups and the objects that keep them, and escapes names', () => {
  const text = cgroupsTable(answer, { limit: 20, width: null });
  expect(text).not.toContain('\u001b');
  expect(text).toMatch(/^\/a\\x1b\[2J +16\.0 KiB/m);
  expect(text).toMatch(/^\/gone \(dying\) +8\.00 KiB +576 B/m);
  expect(text).toContain(
    '2 dying cgroups (removed, still charged): 8.00 KiB of pages and 3 slab objects. Kept by swap or a reference only: 1.',
  );
  expect(text).toMatch(/^\(uncharged\) +12\.0 KiB/m);
  expect(text).toMatch(/^\(corrupt charges\) +4\.00 KiB/m);
  expect(text).not.toContain('(slabs');
  expect(text).toContain('Total: 40.0 KiB.');
  expect(text).toContain('2 cgroups have no charges.');
});

test('reports the size of the cgroups beyond the limit', () => {
  const text = cgroupsTable(answer, { limit: 1, width: null });
  expect(text).toContain('2 more cgroups with 8.00 KiB: --limit N lists them.');
});

test('JSON conforms to its schema; cgroups that were not requested are null', () => {
  const json = memoryJson(answer);
  expect(memorySchema.parse(json)).toEqual(json);
  expect(json.cgroups?.cgroups[1]).toMatchObject({ dying: true, slabObjectBytes: 576 });
  expect(memoryJson(answerOf({})).cgroups).toBeNull();
});
