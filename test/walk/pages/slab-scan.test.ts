import { expect, test } from 'vitest';
import { ReadError } from '../../../src/base/errors.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../../../src/kernel/layout.js';
import { PageMap } from '../../../src/kernel/page-map.js';
import { SlabScan } from '../../../src/walk/pages/slab-scan.js';
import { Warnings } from '../../../src/walk/warnings.js';
import { partialKernel } from '../../support/made-kernel.js';

const PAGES = 0xffff_fdff_ffe0_0000n;
const MAX_PFN = 0xffff_8000_0100_0000n;
const SECTION = 2 ** 27;

/** A kernel whose struct pages are mapped for some sections of memory. */
function kernelWith(pageSize: number, stride: number, sections: readonly number[], lastFrame: number): Kernel {
  const perSection = SECTION / pageSize;
  const frameOf = (address: bigint) => Math.floor(Number(address - PAGES) / stride);
  return partialKernel({
    facts: { arch: 'arm64', pageSize },
    read(address, length) {
      const view = new DataView(new ArrayBuffer(length));
      if (address === MAX_PFN) {
        view.setBigUint64(0, BigInt(lastFrame), true);
        return view;
      }
      for (let at = 0n; at < BigInt(length); at += BigInt(stride)) {
        const frame = frameOf(address + at);
        if (!sections.includes(Math.floor(frame / perSection))) throw new ReadError('unmapped', address + at);
      }
      return view;
    },
    symbol: (name) => (name === 'max_pfn' ? MAX_PFN : undefined),
    struct: (name) => structs(stride)[name],
    enumerators: (name) => (name === 'pageflags' ? new Map([['PG_slab', 9n]]) : undefined),
    pages: new PageMap({
      pageSize,
      directMap: () => ({ address: 0n, length: 0, physical: 0 }),
      pageArray: () => ({ address: PAGES, stride }),
    }),
  });
}

const structs = (stride: number): Readonly<Record<string, StructLayout>> => ({
  page: struct('page', stride, { flags: 0, slab_cache: 8, objects: 16 }),
  kmem_cache: struct('kmem_cache', 64, { size: 0, red_left_pad: 8 }),
});

function struct(name: string, size: number, offsets: Readonly<Record<string, number>>) {
  const members = Object.keys(offsets);
  const member = (path: string): MemberLayout | undefined =>
    offsets[path] === undefined ? undefined : { offset: offsets[path], size: 8, type: '', pointer: false };
  return { name, size, members, member };
}

// With 16 KiB pages, the struct pages of a section take 512 KiB, less than the 2 MiB with 4 KiB pages.
test.each([
  [4096, 64],
  [16_384, 64],
  [65_536, 64],
  // The struct size without memory cgroups: no whole number of them fits into a chunk.
  [4096, 56],
])('scans every frame next to a hole, with pages of %i and struct pages of %i bytes', (pageSize, stride) => {
  const perSection = SECTION / pageSize;
  const last = 9 * perSection - 100;
  for (const sections of [[0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 4, 8], [2], [8]]) {
    const seen: number[] = [];
    const look = { slab() {}, page: (frame: number) => seen.push(frame), fetch() {}, missed() {}, ended() {} };
    const scan = new SlabScan(kernelWith(pageSize, stride, sections, last), new Warnings());
    for (const _ of scan.slots(new Set(), { look }));
    const expected = sections.flatMap((section) =>
      Array.from({ length: perSection }, (_, index) => section * perSection + index),
    );
    expect(seen).toEqual(expected.filter((frame) => frame < last));
  }
});
