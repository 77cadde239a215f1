import { expect, test } from 'vitest';
import { RingReader } from '../../../src/walk/tasks/io-uring.js';
import { liveKernel } from '../../support/damaged-kernel.js';
import { made, madeKernel } from '../../support/made-kernel.js';

const [FILE, RING, TABLE] = [0x100, 0x200, 0x300];

/** A ring with three slots of registered files, one of them empty. */
function kernelWith(table: 'user_files' | 'file_table.files', count = 3) {
  return madeKernel({
    structs: {
      file: { size: 64, members: { f_op: 0, private_data: 16 } },
      io_ring_ctx: { size: 128, members: { [table]: 32, nr_user_files: [40, 4] } },
      io_fixed_file: { size: 8, members: { file_ptr: 0 } },
    },
    symbols: { io_uring_fops: 0x80 },
    words: {
      [FILE]: made(0x80),
      [FILE + 16]: made(RING),
      [RING + 32]: made(TABLE),
      [RING + 40]: [count, 4],
      [TABLE]: made(0x1000),
      [TABLE + 16]: made(0x2000) | (table === 'user_files' ? 0n : 3n),
    },
  });
}

test.each(['user_files', 'file_table.files'] as const)(
  'finds files registered with a ring by %s (5.1 to 5.4, since)',
  (table) => {
    const reader = new RingReader(kernelWith(table));
    expect(reader.registered(made(FILE))).toEqual([made(0x1000), made(0x2000)]);
    expect(reader.registered(made(0x180))).toBeUndefined();
    const damaged = new RingReader(kernelWith(table, 2 ** 21));
    expect(() => damaged.registered(made(FILE))).toThrow('an invalid number of files (2097152)');
  },
);

test('finds files by nodes since 6.13; a node without a file is damage', () => {
  const kernel = (file: bigint) =>
    madeKernel({
      structs: {
        file: { size: 64, members: { f_op: 0, private_data: 16 } },
        io_ring_ctx: { size: 128, members: { 'file_table.data.nr': [32, 4], 'file_table.data.nodes': 40 } },
        io_rsrc_node: { size: 64, members: { file_ptr: 16 } },
      },
      symbols: { io_uring_fops: 0x80 },
      words: {
        [FILE]: made(0x80),
        [FILE + 16]: made(RING),
        [RING + 32]: [2, 4],
        [RING + 40]: made(TABLE),
        [TABLE]: made(0x400),
        [TABLE + 8]: made(0x500),
        [0x410]: made(0x1000) | 1n,
        [0x510]: file,
      },
    });
  expect(new RingReader(kernel(made(0x2000))).registered(made(FILE))).toEqual([made(0x1000), made(0x2000)]);
  expect(() => new RingReader(kernel(0n)).registered(made(FILE))).toThrow(/^the io_rsrc_node at 0x\w+ has no file$/);
  expect(new RingReader(liveKernel(kernel(0n))).registered(made(FILE))).toEqual([made(0x1000)]);
});
