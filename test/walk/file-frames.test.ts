import { expect, test } from 'vitest';
import { FileFrames } from '../../src/walk/memory/file-frames.js';
import { KIND } from '../../src/walk/memory/page-kinds.js';
import { fixtureKernel } from '../support/opened-kernel.js';

const { kernel } = fixtureKernel('6.1');
const page = kernel.struct('page');
const at = (member: string) => page?.member(member)?.offset ?? Number.NaN;

/** A `struct page` that belongs to a file. */
function pageOf(mapping: bigint, ...flags: readonly string[]): DataView {
  const view = new DataView(new ArrayBuffer(page?.size ?? 0));
  view.setBigUint64(at('mapping'), mapping, true);
  const bits = flags.map((flag) => kernel.enumerators('pageflags')?.get(flag) ?? Number.NaN);
  const word = bits.reduce<bigint>((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  view.setBigUint64(at('flags'), word, true);
  return view;
}

function counted(...blocks: readonly (readonly [DataView, kind: 'file' | 'shmem', number])[]) {
  const frames = new FileFrames(kernel);
  for (const [view, kind, many] of blocks) {
    frames.begin(view, 0, KIND[kind]);
    for (let frame = 0; frame < many; frame++) frames.count();
  }
  return frames;
}

const [ONE, OTHER] = [0xffff_8881_0000_1000n, 0xffff_8882_0000_1000n];

test('counts all frames of a file together, wherever they are', () => {
  const frames = counted(
    [pageOf(ONE), 'file', 1],
    [pageOf(OTHER), 'shmem', 4],
    [pageOf(ONE, 'PG_dirty'), 'file', 2],
    [pageOf(ONE, 'PG_dirty', 'PG_writeback'), 'file', 3],
  );
  expect(frames.frames).toBe(10);
  expect([...frames.largest()]).toEqual([
    { mapping: ONE, cache: 6, shared: 0, dirty: 5, writeback: 3 },
    { mapping: OTHER, cache: 0, shared: 4, dirty: 0, writeback: 0 },
  ]);
  expect([...frames.largest('shared')].map(({ mapping }) => mapping)).toEqual([OTHER]);
});

test('removes frames that prove to belong to a ring', () => {
  const frames = counted([pageOf(ONE, 'PG_dirty'), 'file', 2]);
  expect(frames.remove(pageOf(OTHER), 0, KIND.file)).toBe(false);
  expect(frames.remove(pageOf(ONE, 'PG_dirty'), 0, KIND.file)).toBe(true);
  expect([...frames.largest()]).toEqual([{ mapping: ONE, cache: 1, shared: 0, dirty: 1, writeback: 0 }]);
});

test('returns files of equal size in the order of the scan', () => {
  const mappings = Array.from({ length: 100 }, (_, index) => ONE + BigInt(index) * 0x400n);
  const frames = counted(...mappings.map((mapping) => [pageOf(mapping), 'file', 1] as const));
  expect([...frames.largest()].map(({ mapping }) => mapping)).toEqual(mappings);
});
