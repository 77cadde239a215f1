import { describe, expect, test } from 'vitest';
import { ReadError } from '../../../src/base/errors.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { crashKernelFrames, type FrameRange, memmapFrames, onlineRanges } from '../../../src/walk/memory/ram.js';

const FRAMES = 100;
const RAM = [
  { start: 1, end: 90 },
  { start: 100, end: 450 },
  { start: 1000, end: 1100 },
];

/** The rest of RAM if these sections are online; queries of some others fail. */
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

test('omits offline sections, at the ends and in the middle', () => {
  expect(online([0, 1, 3])).toEqual({
    ranges: [
      { start: 1, end: 90 },
      { start: 100, end: 200 },
      { start: 300, end: 400 },
    ],
    notes: [],
  });
});

test('keeps online sections as one range', () => {
  expect(online([0, 1, 2, 3, 4, 10])).toEqual({ ranges: RAM, notes: [] });
});

test('keeps all RAM if the kernel does not record online sections', () => {
  expect(online([])).toEqual({ ranges: RAM, notes: [] });
});

test('keeps all RAM if the engine does not know sections', () => {
  expect(onlineRanges({} as Kernel, RAM, () => {})).toEqual(RAM);
});

test('keeps an unreadable section, and reports it once', () => {
  const { ranges, notes } = online([0], [2, 3]);
  expect(ranges).toEqual([
    { start: 1, end: 90 },
    { start: 200, end: 400 },
  ]);
  expect(notes).toHaveLength(1);
  expect(notes[0]).toContain('filter');
});

describe('image', () => {
  const PAGE = 4096;

  const PER_GIB = 2 ** 30 / PAGE;

  const MEMMAP = 0xffff_ea00_0000_0000n;

  const STRUCT = 64;

  /** A kernel whose array of struct pages is contiguous from physical address 0. */
  const machine = {
    facts: { pageSize: PAGE },
    pages: { pageOfFrame: (frame: number) => MEMMAP + BigInt(frame * STRUCT) },
    physicalOf: (address: bigint) => Number(address - MEMMAP),
  } as unknown as Kernel;

  function counted(frames: Iterable<number>): { count: number; last: number } {
    let [count, last] = [0, -1];
    for (const frame of frames) {
      expect.soft(frame > last || count === 0).toBe(true);
      last = frame;
      count++;
    }
    return { count, last };
  }

  test('counts all struct pages of 600 GiB in one range of RAM', () => {
    const ram = [{ start: 1, end: 600 * PER_GIB }];
    const expected = (600 * PER_GIB * STRUCT) / PAGE;
    let count = 0;
    for (const frame of memmapFrames(machine, ram)) {
      if (frame !== count) throw new Error(`frame ${frame} comes where ${count} is due`);
      count++;
    }
    expect(count).toBe(expected);
  });

  test('counts a section that two ranges share once', () => {
    const perSection = 2 ** 27 / PAGE;
    const ram = [
      { start: 1, end: 10 },
      { start: 20, end: perSection + 1 },
      { start: perSection + 5, end: perSection + 6 },
    ];
    expect(counted(memmapFrames(machine, ram))).toEqual({ count: 1024, last: 1023 });
  });

  /** A machine whose crash kernel is between these addresses, inclusive. */
  function crashing(start: number, end: number): Kernel {
    const members = { start: { offset: 0, size: 8 }, end: { offset: 8, size: 8 } };
    const view = new DataView(new ArrayBuffer(16));
    view.setBigUint64(0, BigInt(start), true);
    view.setBigUint64(8, BigInt(end), true);
    return {
      facts: { pageSize: PAGE },
      symbol: (name: string) => (name === 'crashk_res' ? 1n : undefined),
      struct: () => ({
        name: 'resource',
        size: 16,
        members: ['start', 'end'],
        member: (name: keyof typeof members) => members[name],
      }),
      read: () => view,
    } as unknown as Kernel;
  }

  const RAM: readonly FrameRange[] = [
    { start: 1, end: 100 },
    { start: 2 ** 20, end: 2 ** 30 },
  ];

  test('counts all frames of a crash kernel, also beyond 1 TiB', () => {
    expect(counted(crashKernelFrames(crashing(8 * PAGE, 12 * PAGE - 1), RAM)).count).toBe(4);
    const huge = crashKernelFrames(crashing(2 ** 32, 2 ** 41 - 1), RAM);
    expect(huge.next().value).toBe(2 ** 20);
  });

  test.each([
    ['leaves RAM', 90 * PAGE, 101 * PAGE - 1],
    ['ends before it starts', 50 * PAGE, 40 * PAGE],
    ['is all of physical memory', PAGE, 2 ** 52],
  ])('reports a crash kernel that %s as damaged, before the first frame', (_, start, end) => {
    expect(() => crashKernelFrames(crashing(start, end), RAM).next()).toThrow(
      /^crashk_res reaches from 0x[\da-f]+ to 0x[\da-f]+, which is not RAM$/,
    );
  });
});
