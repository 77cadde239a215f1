// Writes a dump of a machine with much memory, which contains struct pages only: a guest's dump whose
// RAM is extended to this many GiB. Blocks of 4 MiB are free, of processes, of files, slabs, or held, like the guest's
// own pages of these kinds are.
//
//   main.js DUMP GIB ELF [ZLIB]
import { writeFileSync } from 'node:fs';
import type { NativeKernel } from '../../../../src/kernel/native/kernel.js';
import { openNative } from '../../../../src/kernel/native/open.js';
import type { PageKind } from '../../../../src/records/page-kinds.js';
import { scanFrames } from '../../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../../src/walk/memory/page-array.js';
import { KIND } from '../../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../../src/walk/memory/ram.js';
import { type BlockSpec, diskdumpExtents } from '../../../../test/support/dump/diskdump.js';
import { writeElf } from '../../../../test/support/dump/elf.js';
import { writeExtents } from '../../../../test/support/dump/extents.js';
import { GrownMemory, PAGE } from '../../../../test/support/dump/grown-memory.js';

/** Shares of ten 4 MiB blocks, as on a busy machine. */
const MIX: readonly PageKind[] = [
  'free',
  'free',
  'anonymous',
  'anonymous',
  'anonymous',
  'anonymous',
  'shmem',
  'shmem',
  'slab',
  'held',
];
const BLOCK = 1024;
const SYSTEM_RAM = 0x0100_0200n;

const [dump, gigabytes, elf, zlib] = process.argv.slice(2);
if (!dump || !gigabytes || !elf) throw new Error('which dump, how many GiB, into which file?');
const kernel = openNative({ files: [dump] });
const templates = templatesOf(kernel);
const grown = new GrownMemory(kernel);
const end = (Number(gigabytes) * 2 ** 30) / PAGE;
const { frame: first } = grown.take(0);
grown.take(end - first);
const stride = grown.size('page');
const headAt = grown.offset('page', 'compound_head');
for (let block = first; block < end; block += BLOCK) {
  const pages = templates[MIX[(block / BLOCK) % MIX.length]!]!;
  for (let at = 0; at < BLOCK; at += pages.length / stride) {
    const head = grown.pageAddress(block + at);
    for (let tail = 0; tail < pages.length / stride && at + tail < BLOCK; tail++) {
      const page = pages.slice(tail * stride, (tail + 1) * stride);
      if (tail > 0) new DataView(page.buffer).setBigUint64(headAt, head | 1n, true);
      grown.pages({ frame: block + at + tail, count: 1 }, page);
    }
  }
}
extendRam(end * PAGE);
bringOnline(end);
const loads = grown.loads();
const notes = grown.notes();
writeFileSync(elf, writeElf({ loads, notes }));
if (zlib !== undefined) {
  const memory = new Map<number, BlockSpec>();
  for (const { physical, data } of loads) {
    for (let at = 0; at < data.length; at += PAGE) {
      const page = data.subarray(at, at + PAGE);
      const zero = page.every((byte) => byte === 0);
      memory.set((Number(physical) + at) / PAGE, zero ? 'zero' : { data: page, as: 'zlib' });
    }
  }
  const info = notes.find(({ name }) => name === 'VMCOREINFO');
  const vmcoreinfo = Buffer.from(info?.data ?? []).toString('latin1');
  const blocks = [...memory.keys()].reduce((most, block) => Math.max(most, block), 0) + 1;
  writeExtents(zlib, diskdumpExtents({ blocks, memory, vmcoreinfo }));
}
kernel.close();

/** The struct pages of one page of each kind; for slabs, of the largest. */
function templatesOf(source: NativeKernel): Partial<Record<PageKind, Uint8Array>> {
  const frames = new FrameMap(ramRanges(source));
  const { kinds } = scanFrames(source, frames);
  const size = source.struct('page')?.size ?? 64;
  const found: Partial<Record<PageKind, Uint8Array>> = {};
  for (const kind of new Set(MIX)) {
    const runs = kind === 'slab' ? 8 : 1;
    const wanted = KIND[kind];
    const at = kinds.findIndex(
      (one, index) =>
        one === wanted &&
        frames.frameAt(index) % (kind === 'free' ? BLOCK : runs) === 0 &&
        isBlock(source, frames.frameAt(index), runs) &&
        (kind !== 'free' || kinds.subarray(index, index + BLOCK).every((other) => other === one)),
    );
    if (at < 0) throw new Error(`the dump has no page to copy: ${kind}`);
    const count = kind === 'free' ? BLOCK : runs;
    const page = source.pages.pageOfFrame(frames.frameAt(at));
    const bytes = new Uint8Array(count * size);
    for (let index = 0; index < count; index++) {
      const view = source.read(page + BigInt(index * size), size);
      bytes.set(new Uint8Array(view.buffer, view.byteOffset, size), index * size);
    }
    found[kind] = bytes;
  }
  return found;
}

/** Whether a frame begins a compound page with this many frames, or is a single page. */
function isBlock(source: NativeKernel, frame: number, count: number): boolean {
  const size = source.struct('page')?.size ?? 64;
  const next = source.read(source.pages.pageOfFrame(frame + 1), size);
  const head = next.getBigUint64(headOffset(source), true);
  if (count === 1) return (head & 1n) === 0n;
  const last = source.read(source.pages.pageOfFrame(frame + count - 1), size);
  const after = source.read(source.pages.pageOfFrame(frame + count), size);
  const own = source.pages.pageOfFrame(frame) | 1n;
  return (
    head === own &&
    last.getBigUint64(headOffset(source), true) === own &&
    after.getBigUint64(headOffset(source), true) !== own
  );
}

function headOffset(source: NativeKernel): number {
  return source.struct('page')?.member('compound_head')?.offset ?? 8;
}

/** Gives each section of the new frames the flags of the first entry: struct pages, and online. */
function bringOnline(to: number): void {
  const size = kernel.struct('mem_section')?.size ?? 16;
  const frames = kernel.sections?.frames ?? 32_768;
  const word = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);
  const roots = word(kernel.symbol('mem_section') ?? 0n);
  const perRoot = PAGE / size;
  const entry = word(word(roots));
  const spare = spareFrames();
  let root = 0n;
  for (let section = 0; section * frames < to; section++) {
    if (section % perRoot === 0) {
      const at = roots + BigInt((section / perRoot) * 8);
      root = word(at);
      if (root === 0n) {
        root = grown.addressOf(spare.next().value ?? 0);
        for (let byte = 0; byte < PAGE; byte += 8) grown.patch(root + BigInt(byte), 0n, 8);
        grown.patch(at, root, 8);
      }
    }
    if (section * frames < first) continue;
    grown.patch(root + BigInt((section % perRoot) * size), entry, 8);
  }
}

/** Free pages of the guest, from which nothing allocates. */
function* spareFrames(): Generator<number> {
  const map = new FrameMap(ramRanges(kernel));
  const { kinds } = scanFrames(kernel, map);
  for (let index = kinds.length - 1; index >= 0; index--) if (kinds[index] === KIND.free) yield map.frameAt(index);
}

/** Extends the last RAM in the iomem resource tree up to an address, and the last frame. */
function extendRam(to: number): void {
  const layout = kernel.struct('resource');
  const offset = (name: string) => BigInt(layout?.member(name)?.offset ?? 0);
  const word = (address: bigint) => kernel.read(address, 8).getBigUint64(0, true);
  const root = kernel.symbol('iomem_resource') ?? 0n;
  let at = word(root + offset('child'));
  while (word(at + offset('start')) < BigInt(first * PAGE)) at = word(at + offset('sibling'));
  grown.patch(at + offset('start'), BigInt(first * PAGE), 8);
  grown.patch(at + offset('end'), BigInt(to - 1), 8);
  grown.patch(at + offset('flags'), word(at + offset('flags')) | SYSTEM_RAM, 8);
  grown.patch(at + offset('sibling'), 0n, 8);
  grown.patch(at + offset('child'), 0n, 8);
}
