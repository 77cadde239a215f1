import { expect, test } from 'vitest';
import { PipeReader } from '../../../src/walk/memory/pipes.js';
import { made, madeKernel, madePage } from '../../support/made-kernel.js';

/** A pipe at 0 with four slots at 0x100, of which the last and the first are filled, and a spare page. */
function framesOf(nrbufs = 2, curbuf = 3, buffers = 4): number[] {
  const kernel = madeKernel({
    structs: {
      // As 4.18 has it.
      pipe_inode_info: {
        size: 136,
        members: { nrbufs: [64, 4], curbuf: [68, 4], buffers: [72, 4], tmp_page: 96, bufs: 120 },
      },
      pipe_buffer: { size: 40, members: { page: 0 } },
    },
    words: {
      64: [nrbufs, 4],
      68: [curbuf, 4],
      72: [buffers, 4],
      96: madePage(9),
      120: made(0x100),
      [0x100]: madePage(5),
      [0x100 + 40]: madePage(6),
      [0x100 + 120]: madePage(7),
    },
  });
  return [...new PipeReader(kernel).frames(made(0))];
}

test('a pipe of a kernel before 5.5, which counts filled slots from the first one on', () => {
  expect(framesOf()).toEqual([7, 5, 9]);
  expect(framesOf(0)).toEqual([9]);
  expect(framesOf(4)).toEqual([7, 5, 6, 9]);
});

test.each([
  [5, 0, 4],
  [1, 4, 4],
  [1, 0, 3],
  [0, 0, 0],
])('%i filled from %i on of %i slots is damage', (nrbufs, curbuf, buffers) => {
  expect(() => framesOf(nrbufs, curbuf, buffers)).toThrow(
    expect.objectContaining({ code: 'damaged' }),
  );
});
