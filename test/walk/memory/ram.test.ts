import { expect, test } from 'vitest';
import { ReadError } from '../../../src/base/errors.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { onlineRanges } from '../../../src/walk/memory/ram.js';

const FRAMES = 100;
const RAM = [
  { start: 1, end: 90 },
  { start: 100, end: 450 },
  { start: 1000, end: 1100 },
];

/** What is left of RAM where these sections are online; asking of some others fails. */
function online(sections: readonly number[], unread: readonly number[] = []) {
  const isOnline = (frame: number) => {
    const section = Math.floor(frame / FRAMES);
    if (unread.includes(section)) throw new ReadError('filtered', BigInt(section));
    return sections.includes(section);
  };
  const notes: string[] = [];
  const kernel = { sections: { frames: FRAMES, isOnline } } as unknown as Kernel;
  return { ranges: onlineRanges(kernel, RAM, (message) => notes.push(message)), notes };
}

test('sections that are offline are left out, at the ends and in the middle', () => {
  expect(online([0, 1, 3])).toEqual({
    ranges: [
      { start: 1, end: 90 },
      { start: 100, end: 200 },
      { start: 300, end: 400 },
    ],
    notes: [],
  });
});

test('sections that are online stay one range', () => {
  expect(online([0, 1, 2, 3, 4, 10])).toEqual({ ranges: RAM, notes: [] });
});

test('a kernel that does not note it has all of its memory', () => {
  expect(online([])).toEqual({ ranges: RAM, notes: [] });
});

test('where an engine knows no sections, all is taken', () => {
  expect(onlineRanges({} as Kernel, RAM, () => {})).toEqual(RAM);
});

test('a section that cannot be read is kept, and that is said once', () => {
  const { ranges, notes } = online([0], [2, 3]);
  expect(ranges).toEqual([
    { start: 1, end: 90 },
    { start: 200, end: 400 },
  ]);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toContain('filter');
});
