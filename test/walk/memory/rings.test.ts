import { expect, test } from 'vitest';
import { perfRingFrames } from '../../../src/walk/memory/rings.js';
import { type MadeStruct, made, madeKernel } from '../../support/made-kernel.js';
import { errorOf } from '../../support/native-errors.js';

const frame = (number: number): bigint => made(number * 4096);

const PERF = {
  nr_pages: [24, 4],
  aux_nr_pages: [28, 4],
  aux_pages: 32,
  user_page: 40,
  data_pages: [48, 0, 0],
} as const;

/** A perf file at 0x100, its event, and its ring with two pages plus one of the hardware. */
function perfKernel(name: string, pages = 2) {
  const [file, event, ring, auxiliary] = [0x100, 0x200, 0x300, 0x400];
  return madeKernel({
    structs: {
      perf_event: { size: 64, members: { rb: 8 } },
      file: { size: 64, members: { f_op: 0, private_data: 16 } },
      ...(name === 'perf_buffer' ? { perf_buffer: { size: 64, members: PERF } } : {}),
      ...(name === 'perf_buffer' ? {} : { [`${name}{data_pages}`]: { size: 64, members: PERF } satisfies MadeStruct }),
    },
    symbols: { perf_fops: 0x80 },
    words: {
      [file]: made(0x80),
      [file + 16]: made(event),
      [event + 8]: made(ring),
      [ring + 24]: [pages, 4],
      [ring + 28]: [1, 4],
      [ring + 32]: made(auxiliary),
      [ring + 40]: frame(5),
      [ring + 48]: frame(6),
      [ring + 56]: frame(7),
      [auxiliary]: frame(9),
    },
  });
}

test.each(['ring_buffer', 'perf_buffer'])('finds pages that perf writes to: %s (before 5.6, since)', (name) => {
  const files = function* (visit: (file: bigint) => Generator<number> | Iterable<number>) {
    // Two descriptors of one file: its ring is counted once.
    yield* visit(made(0x100));
    yield* visit(made(0x100));
  };
  const each = files as Parameters<typeof perfRingFrames>[1];
  expect([...perfRingFrames(perfKernel(name), each)]).toEqual([5, 6, 7, 9]);
  expect(errorOf(() => [...perfRingFrames(perfKernel(name, 3), each)])).toMatchObject({ code: 'damaged' });
});
