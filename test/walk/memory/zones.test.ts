import { expect, test } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { batchedPages, cpuLists, zones } from '../../../src/walk/memory/zones.js';
import { made, madeKernel, madePage } from '../../support/made-kernel.js';
import { errorOf } from '../../support/native-errors.js';

const [ZONE, PAGESET] = [0x100, 0x800];
/** The `struct page` of a frame is outside the first 64 KiB, so that its list node is read where the array is. */
const FRAME = 7;

/** A node with one zone, whose watermarks and per-CPU free lists have the names of an older kernel. */
function kernelWith({
  marks = 'watermark',
  high = 30n,
  counted = 0,
  orders = 2,
}: {
  readonly marks?: 'watermark' | '_watermark' | 'none';
  readonly high?: bigint;
  readonly counted?: number;
  readonly orders?: number | null;
} = {}) {
  const list = (at: number) => ({ [at]: made(at), [at + 8]: made(at) });
  const kernel = madeKernel({
    structs: {
      zone: {
        size: 256,
        members: {
          ...(marks === 'none' ? {} : { [marks]: [0, 24, 3] as const }),
          pageset: 72,
          zone_start_pfn: 80,
          managed_pages: 88,
          spanned_pages: 96,
          present_pages: 104,
          free_area: orders === null ? [128, 48] : [128, 48, orders],
        },
      },
      free_area: { size: 24, members: { nr_free: 16 } },
      pglist_data: { size: 0x300, members: { node_zones: [0, 256, 1], node_id: [0x200, 4] } },
      per_cpu_pageset: { size: 96, members: { 'pcp.count': [0, 4], 'pcp.lists': [16, 48, 3] } },
      page: { size: 64, members: { lru: [8, 16] } },
      cpumask: { size: 8, members: { bits: 0 } },
    },
    symbols: { contig_page_data: ZONE, __cpu_possible_mask: 0x20, nr_cpu_ids: 0x28, __per_cpu_offset: 0x30 },
    words: {
      [0x20]: 1n,
      [0x28]: [1, 4],
      [0x30]: 0n,
      [ZONE]: 10n,
      [ZONE + 8]: 20n,
      [ZONE + 16]: high,
      [ZONE + 72]: made(PAGESET),
      [ZONE + 80]: 4096n,
      [ZONE + 88]: 900n,
      [ZONE + 96]: 1024n,
      [ZONE + 104]: 1000n,
      [ZONE + 128 + 16]: 5n,
      [ZONE + 152 + 16]: 3n,
      [PAGESET]: [counted, 4],
      ...list(PAGESET + 16),
      ...list(PAGESET + 48),
      // The list of the second migrate type contains one page.
      [PAGESET + 32]: madePage(FRAME) + 8n,
      [PAGESET + 40]: madePage(FRAME) + 8n,
    },
  });
  const node = new DataView(new ArrayBuffer(16));
  for (const at of [0, 8]) node.setBigUint64(at, made(PAGESET + 32), true);
  const read = (address: bigint, length: number): DataView =>
    address === madePage(FRAME) + 8n && length <= 16
      ? new DataView(node.buffer, 0, length)
      : kernel.read(address, length);
  return { ...kernel, read };
}

test.each(['watermark', '_watermark'] as const)(
  'reads the watermarks of a zone from %s (before 5.0, since)',
  (marks) => {
    expect(zones(kernelWith({ marks }))).toEqual([
      {
        address: made(ZONE),
        node: made(ZONE),
        nodeId: 0,
        name: '0',
        start: 4096,
        spanned: 1024,
        present: 1000,
        managed: 900,
        freeBlocks: [5, 3],
        watermarks: { min: 10, low: 20, high: 30 },
      },
    ]);
  },
);

test('reports watermarks under neither name as unknown, and unordered ones as damage', () => {
  expect(zones(kernelWith({ marks: 'none' }))[0]?.watermarks).toBeNull();
  const error = errorOf(() => zones(kernelWith({ high: 15n })));
  expect(error).toBeInstanceOf(KernelError);
  expect(String(error)).toContain('watermarks of 10, 20 and 15 pages');
});

test('does not take an array of unknown length for a zone without free lists', () => {
  expect(errorOf(() => zones(kernelWith({ orders: null })))).toMatchObject({ code: 'unsupported-layout' });
});

test('finds per-CPU free lists in zone.pageset before 5.14', () => {
  expect([...cpuLists(kernelWith({ counted: 1 }))]).toEqual([{ frame: FRAME, order: 0 }]);
  for (const counted of [0, 2])
    expect(errorOf(() => [...cpuLists(kernelWith({ counted }))])).toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(`CPU 0 counts ${counted} free pages in its lists`),
    });
});

/** Two CPUs, whose per-CPU areas are 0x1000 apart, each with batches at 0x800 and 0x900. */
function batched(symbols: Readonly<Record<string, number>>): readonly bigint[] | undefined {
  const pages = batchedPages(
    madeKernel({
      structs: {
        cpumask: { size: 8, members: {} },
        pagevec: { size: 128, members: { nr: [0, 1], pages: [8, 120, 15] } },
      },
      symbols: { __cpu_possible_mask: 0, nr_cpu_ids: 8, __per_cpu_offset: 16, ...symbols },
      words: {
        0: 3n,
        8: [2, 4],
        16: 0n,
        24: 0x1000n,
        [0x800]: [1, 1],
        [0x808]: 11n,
        [0x810]: 12n,
        [0x1800]: [2, 1],
        [0x1808]: 21n,
        [0x1810]: 22n,
        [0x1900]: [1, 1],
        [0x1908]: 31n,
      },
    }),
  );
  return pages && [...pages];
}

test('reads each batch from its own variable before 5.8', () => {
  expect(batched({ lru_add_pvec: 0x800, activate_page_pvecs: 0x900 })).toEqual([11n, 21n, 22n, 31n]);
});

test('returns undefined for a kernel that names no batches', () => {
  expect(batched({})).toBeUndefined();
});
