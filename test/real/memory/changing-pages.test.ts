import { afterAll, expect, test } from 'vitest';
import type { Kernel } from '../../../src/kernel/kernel.js';
import { openNative } from '../../../src/kernel/native/open.js';
import { scanFrames } from '../../../src/walk/memory/frame-scan.js';
import { FrameMap } from '../../../src/walk/memory/page-array.js';
import { KIND } from '../../../src/walk/memory/page-kinds.js';
import { ramRanges } from '../../../src/walk/memory/ram.js';
import { memberOf, orderOffset, struct } from '../../../src/walk/pages/struct-page.js';
import { labDump } from '../../support/lab.js';

// A free block is allocated and freed again while a running kernel's struct pages are read, chunk
// by chunk, through a cache like that of /proc/kcore: a chunk that was read stays unchanged until
// it is dropped.
const kernel = openNative({ files: [labDump('6.1').elf] });
afterAll(() => kernel.close());

const frames = new FrameMap(ramRanges(kernel));
const { kinds } = scanFrames(kernel, frames);
const page = struct(kernel, 'page');
const ORDER = 9;
const PAGES = 2 ** ORDER;
const PART = BigInt(2 ** 14);
const at = (path: string) => memberOf(page, path).offset;

const block = freeBlock();
const start = kernel.pages.pageOfFrame(block);
const end = start + BigInt(PAGES * page.size);

/** First frame of a free block larger than one chunk of the array of struct pages. */
function freeBlock(): number {
  for (let index = 0; index < frames.size; index++) {
    const frame = frames.frameAt(index);
    if (frame % PAGES !== 0 || kinds[index] !== KIND.free) continue;
    const order = kernel.read(kernel.pages.pageOfFrame(frame) + BigInt(at('private')), 8);
    if (order.getBigUint64(0, true) >= ORDER) return frame;
  }
  throw new Error(`no free block of order ${ORDER}`);
}

/** Struct pages of the block at one moment. */
type Moment = Uint8Array<ArrayBuffer>;

function made(fill: (view: DataView) => void): Moment {
  const read = kernel.read(start, PAGES * page.size);
  const bytes = new Uint8Array(read.byteLength);
  bytes.set(new Uint8Array(read.buffer, read.byteOffset, read.byteLength));
  fill(new DataView(bytes.buffer));
  return bytes;
}

const UNTYPED = 0xffff_ffff;

const free = made(() => {});

/** A block from alloc_pages with __GFP_COMP. */
const compound = made((view) => {
  const head = 1n << (kernel.enumerators('pageflags')?.get('PG_head') ?? 0n);
  view.setBigUint64(at('flags'), view.getBigUint64(at('flags'), true) | head, true);
  view.setUint32(at('page_type'), UNTYPED, true);
  view.setUint32(at('_refcount'), 1, true);
  view.setBigUint64(at('private'), 0n, true);
  view.setUint8(orderOffset(kernel, page), ORDER);
  for (let tail = 1; tail < PAGES; tail++) view.setBigUint64(tail * page.size + at('compound_head'), start + 1n, true);
});

/** Each page on its own, with a reference. */
const single = made((view) => {
  view.setUint32(at('page_type'), UNTYPED, true);
  for (let each = 0; each < PAGES; each++) view.setUint32(each * page.size + at('_refcount'), 1, true);
});

/** A running kernel whose block is in another state at each new read of a chunk. */
function live(momentOf: (read: number) => Moment): { kernel: Kernel; reads: () => number } {
  const cached = new Map<bigint, Moment>();
  let reads = 0;
  let noted: Set<bigint> | undefined;
  const momentAt = (address: bigint): Moment => {
    const part = address / PART;
    noted?.add(part);
    const known = cached.get(part) ?? momentOf(reads++);
    cached.set(part, known);
    return known;
  };
  const read = (address: bigint, length: number): DataView => {
    const view = kernel.read(address, length);
    if (address + BigInt(length) <= start || address >= end) return view;
    const bytes = new Uint8Array(length);
    bytes.set(new Uint8Array(view.buffer, view.byteOffset, length));
    for (let each = 0; each < length; each++) {
      const place = address + BigInt(each);
      if (place >= start && place < end) bytes[each] = momentAt(place)[Number(place - start)]!;
    }
    return new DataView(bytes.buffer);
  };
  const changed: Readonly<Record<PropertyKey, unknown>> = {
    read,
    fast: undefined,
    facts: { ...kernel.facts, live: true },
    noteReads: () => {
      noted = new Set();
      const own = noted;
      return () => {
        for (const part of own) cached.delete(part);
        noted = undefined;
      };
    },
  };
  return {
    kernel: new Proxy(kernel, {
      get(target, name) {
        if (name in changed) return changed[name];
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
    reads: () => reads,
  };
}

/** Kinds of the frames of the block in order, with run lengths. */
function kindsOf(of: readonly Moment[], after: Moment) {
  const running = live((read) => of[read] ?? after);
  const scan = scanFrames(running.kernel, frames);
  const first = frames.indexOf(block);
  const runs: [kind: number, frames: number][] = [];
  for (const kind of scan.kinds.subarray(first, first + PAGES)) {
    const last = runs.at(-1);
    if (last?.[0] === kind) last[1]++;
    else runs.push([kind, 1]);
  }
  return { runs, torn: scan.torn, why: scan.whyTorn, reads: running.reads() };
}

const HALF = PAGES / 2;
const [FREE, HELD] = [KIND.free, KIND.held];

test('an unchanged block has one kind', () => {
  expect(kindsOf([], free)).toMatchObject({ runs: [[FREE, PAGES]], torn: 0, reads: 2 });
  expect(kindsOf([], compound)).toMatchObject({ runs: [[HELD, PAGES]], torn: 0, reads: 2 });
});

test('a compound page allocated after its head was read', () => {
  const found = kindsOf([single, compound], compound);
  expect(found).toMatchObject({ torn: 0, runs: [[HELD, PAGES]] });
  const fromFree = kindsOf([free, compound], compound);
  expect(fromFree).toMatchObject({
    torn: 0,
    runs: [
      [FREE, HALF],
      [HELD, HALF],
    ],
  });
});

test('a compound page that was freed before its head was read again', () => {
  expect(kindsOf([single, compound], free)).toMatchObject({
    torn: 0,
    runs: [
      [HELD, HALF],
      [FREE, HALF],
    ],
  });
});

test('a compound page freed after its head was read', () => {
  expect(kindsOf([compound, free], free)).toMatchObject({
    torn: 0,
    runs: [
      [HELD, HALF],
      [FREE, HALF],
    ],
  });
  expect(kindsOf([compound, single], single)).toMatchObject({ torn: 0, runs: [[HELD, PAGES]] });
});

test('a block that changes a few times between reads', () => {
  expect(kindsOf([single, compound, compound, free, free, compound], compound)).toMatchObject({
    torn: 0,
    runs: [[HELD, PAGES]],
  });
});

test('a block that is inconsistent in every read is torn, and the scan ends', () => {
  // The chunk with the head never matches the other chunk.
  const running = live(() => compound);
  const halves = new Proxy(running.kernel, {
    get(target, name) {
      if (name === 'read')
        return (address: bigint, length: number) =>
          address < start + BigInt(HALF * page.size)
            ? kernel.read(address, length)
            : running.kernel.read(address, length);
      return Reflect.get(target, name, target) as unknown;
    },
  });
  const { torn, whyTorn } = scanFrames(halves, frames);
  expect(torn).toBe(HALF);
  expect(whyTorn).toBe(`page frame ${block + HALF} is a tail within a free block`);
});
