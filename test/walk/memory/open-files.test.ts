import { describe, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { PageMap } from '../../../src/kernel/page-map.js';
import { dmaBuffers, PipeReader } from '../../../src/walk/memory/open-files.js';
import { made, madeKernel, madePage } from '../../support/made-kernel.js';

const BASE = 0xffff_8880_0000_0000n;
const MEMMAP = 0xffff_ea00_0000_0000n;
const HEAP = 0xffff_ffff_8200_0000n;
const UDMABUF = HEAP + 0x100n;
const DRIVER = HEAP + 0x200n;
const LIST = BASE;
const SECOND = 0x400;

type Members = Readonly<Record<string, readonly [offset: number, size: number]>>;
const STRUCTS: Readonly<Record<string, { readonly size: number; readonly members: Members }>> = {
  dma_buf: { size: 120, members: { size: [0, 8], ops: [32, 8], list_node: [96, 16], priv: [112, 8] } },
  system_heap_buffer: { size: 96, members: { len: [56, 8], 'sg_table.sgl': [64, 8], 'sg_table.orig_nents': [76, 4] } },
  scatterlist: { size: 32, members: { page_link: [0, 8], offset: [8, 4], length: [12, 4] } },
};

const NO_FILES = function* () {};

type Patch = readonly [at: number, value: bigint, bytes: 4 | 8];

/** The second of two buffers: 64 KiB and, in a second table, one page. */
const AT = {
  node: 0x100 + 96,
  nodeSecond: SECOND + 96,
  operations: SECOND + 32,
  size: SECOND,
  length: 0x500 + 56,
  count: 0x500 + 76,
  link: 0x600,
  bytes: 0x60c,
  offset: 0x608,
  last: 0x700,
} as const;

function machine(patches: readonly Patch[] = []): Kernel {
  const view = new DataView(new ArrayBuffer(0x1000));
  const put = ([at, value, bytes]: Patch) =>
    bytes === 8 ? view.setBigUint64(at, value, true) : view.setUint32(at, Number(value), true);
  const page = (frame: number) => MEMMAP + BigInt(64 * frame);
  const ring = [LIST, BASE + BigInt(AT.node), BASE + BigInt(AT.nodeSecond)];
  ring.forEach((node, index) => {
    put([Number(node - BASE), ring[(index + 1) % 3]!, 8]);
    put([Number(node - BASE) + 8, ring[(index + 2) % 3]!, 8]);
  });
  // A buffer over the pages of a memfd, which own them.
  for (const entry of [
    [0x100, 8192n, 8],
    [0x120, UDMABUF, 8],
  ] as const)
    put(entry);
  for (const entry of [
    [AT.size, 69_632n, 8],
    [AT.operations, HEAP, 8],
    [SECOND + 112, BASE + 0x500n, 8],
    [AT.length, 69_632n, 8],
    [0x500 + 64, BASE + BigInt(AT.link), 8],
    [AT.count, 2n, 4],
    [AT.link, page(32), 8],
    [AT.bytes, 65_536n, 4],
    // Chained to the next table.
    [0x620, (BASE + BigInt(AT.last)) | 1n, 8],
    [AT.last, page(7) | 2n, 8],
    [AT.last + 12, 4096n, 4],
  ] as const)
    put(entry);
  patches.forEach(put);
  const struct = (name: string) => {
    const { size, members } = STRUCTS[name] ?? { size: 0, members: {} };
    const member = (path: string) => {
      const [offset, bytes] = members[path] ?? [];
      return offset === undefined ? undefined : { offset, size: bytes };
    };
    return size === 0 ? undefined : { name, size, members: Object.keys(members), member };
  };
  const symbols = new Map([
    ['dmabuf_list', LIST],
    ['system_heap_buf_ops', HEAP],
    ['udmabuf_ops', UDMABUF],
  ]);
  return {
    facts: { pageSize: 4096 },
    symbol: (name: string) => symbols.get(name),
    struct,
    read: (address: bigint, length: number) => new DataView(view.buffer, Number(address - BASE), length),
    pages: new PageMap({
      pageSize: 4096,
      directMap: () => ({ address: BASE, length: 2 ** 20, physical: 0 }),
      pageArray: () => ({ address: MEMMAP, stride: 64 }),
    }),
  } as unknown as Kernel;
}

test('returns blocks of the heap buffers from all tables, and none of a memfd', () => {
  expect([...dmaBuffers(machine(), NO_FILES)]).toEqual([
    { frame: 32, order: 4 },
    { frame: 7, order: 0 },
  ]);
});

test('reports buffers of an unknown driver with their size', () => {
  const found: unknown[] = [];
  expect(() => {
    for (const block of dmaBuffers(machine([[0x120, DRIVER, 8]]), NO_FILES)) found.push(block);
  }).toThrow('1 dma-buf buffers of 8192 bytes are of drivers that are not known');
  expect(found).toHaveLength(2);
});

describe('one wrong word makes the answer incomplete', () => {
  test.each<[string, Patch, string]>([
    ['the list', [AT.nodeSecond + 8, LIST, 8], 'is inconsistent'],
    ['the size', [AT.size, 4096n, 8], 'says 4096 elsewhere'],
    ['the length', [AT.length, 4096n, 8], 'has 4096 bytes'],
    ['too few entries', [AT.count, 1n, 4], 'that is none'],
    ['no entries', [AT.count, 0n, 4], 'claims 0 pieces'],
    ['too many entries', [AT.count, 2n ** 31n, 4], 'claims 2147483648 pieces'],
    ['a page that does not exist', [AT.link, MEMMAP - 64n, 8], 'that is none'],
    ['a length that is no block', [AT.bytes, 61_440n, 4], 'that is none'],
    ['a shorter entry', [AT.bytes, 32_768n, 4], 'pieces of 36864 bytes'],
    ['an offset', [AT.offset, 8n, 4], 'that is none'],
    ['an end marker before the end', [AT.link, (MEMMAP + 2048n) | 2n, 8], 'that is none'],
    ['no end marker at the end', [AT.last, MEMMAP + 448n, 8], 'that is none'],
    ['another driver', [AT.operations, DRIVER, 8], 'of drivers that are not known'],
  ])('%s', (_, patch, message) => {
    expect(() => [...dmaBuffers(machine([patch]), NO_FILES)]).toThrow(message);
  });
});

/** A pipe at 0 with four slots at 0x100, of which the last and the first are in use, and a spare page. */
function framesOf(nrbufs = 2, curbuf = 3, buffers = 4): number[] {
  const kernel = madeKernel({
    structs: {
      // The layout of 4.18.
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

test('reads a pipe before 5.5, which counts slots in use from the first one on', () => {
  expect(framesOf()).toEqual([7, 5, 9]);
  expect(framesOf(0)).toEqual([9]);
  expect(framesOf(4)).toEqual([7, 5, 6, 9]);
});

test.each([
  [5, 0, 4],
  [1, 4, 4],
  [1, 0, 3],
  [0, 0, 0],
])('reports %i slots in use from %i on of %i slots as damage', (nrbufs, curbuf, buffers) => {
  expect(() => framesOf(nrbufs, curbuf, buffers)).toThrow(expect.objectContaining({ code: 'damaged' }));
});
