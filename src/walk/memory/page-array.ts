import { damaged, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { AnnouncedRead } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { Cursor } from '../cursor.js';
import { readPartOf } from '../named-read.js';
import { framesPerSection, pagesPerChunk } from '../pages/struct-page.js';
import type { FrameRange } from './ram.js';
import type { FreeLists } from './zones.js';

/** Number of pointers read at a time: one page of them. */
const BATCH = 512;

/**
 * Page frames in an array of pointers to `struct page`, in array order; NULL pointers are skipped.
 *
 * @param what name of the array in error messages
 * @throws {KernelError} `damaged` if a pointer does not point to a struct page; {@link ReadError}
 */
export function* framesOfPages(kernel: Kernel, what: string, pages: bigint, count: number): Generator<number> {
  const at = new Pointer();
  for (let first = 0; first < count; first += BATCH) {
    const many = Math.min(BATCH, count - first);
    const view = readPartOf(kernel, what, pages, pages + BigInt(first * 8), many * 8);
    // The consumer of the frames may read memory, which overwrites the view.
    const addresses = Array.from({ length: many }, (_, index) => view.getBigUint64(index * 8, true));
    for (const page of addresses) {
      if (page === 0n) continue;
      const frame = kernel.pages.frameOfPage(at.set(page));
      if (frame < 0) throw damaged(`${what} names ${hex(page)}, which is no page`);
      yield frame;
    }
  }
}

/** Receives parts of the array of `struct page`, in ascending order. */
export interface ChunkVisitor {
  /** The following frames are not adjacent to the previous ones. */
  gap(): void;
  /** Blocks that will probably not be read: they are not announced ({@link FastReads.ahead}). */
  readonly skipped?: Pick<FreeLists, 'around' | 'frames'> | undefined;
  /** Whether these frames need not be read. */
  isKnown?(firstFrame: number, index: number, count: number): boolean;
  look(view: DataView, base: number, firstFrame: number, index: number, count: number): void;
  lost(error: ReadError, index: number, count: number): void;
}

/**
 * Visits the `struct page` of every frame of RAM, many at a time. If the array has holes, two at a time: the
 * second page of a compound allocation is next to the first.
 *
 * @param stride bytes of a `struct page`
 * @param progress called with the completed part, 0 to 1
 */
export function eachChunk(
  kernel: Kernel,
  frames: FrameMap,
  stride: number,
  visitor: ChunkVisitor,
  progress: (part: number) => void = () => {},
): void {
  const pages = new Cursor(kernel, 'struct page');
  const look = (frame: number, index: number, count: number): void => {
    const { view, base } = pages.to(kernel.pages.pageOfFrame(frame)).look(0, count * stride);
    visitor.look(view, base, frame, index, count);
  };
  const attempt = (frame: number, index: number, count: number): ReadError | undefined => {
    try {
      look(frame, index, count);
      return undefined;
    } catch (error) {
      if (error instanceof ReadError) return error;
      throw error;
    }
  };
  const { pageSize } = kernel.facts;
  // A page of a dump is read where it was decompressed; several have to be joined.
  const perPage = kernel.facts.live || pageSize % (2 * stride) !== 0 ? pagesPerChunk(stride) : pageSize / stride;
  const announced = function* (): Generator<AnnouncedRead> {
    for (const { frame, count } of chunksOf(kernel, frames, stride))
      if (!visitor.skipped?.around(frame, count).length)
        yield { address: kernel.pages.pageOfFrame(frame), length: count * stride };
  };
  const wanted = frames.size - (visitor.skipped?.frames ?? 0);
  const end = kernel.fast?.ahead?.(announced(), Math.ceil((wanted * stride) / pageSize));
  try {
    for (const { frame, index, count, isFirst } of chunksOf(kernel, frames, stride)) {
      if (isFirst) visitor.gap();
      progress(index / frames.size);
      if (visitor.isKnown?.(frame, index, count)) continue;
      for (let from = 0, end = 0; from < count; from = end) {
        end = Math.min(count, from + perPage - ((frame + from) % perPage));
        if (!attempt(frame + from, index + from, end - from)) continue;
        for (let at = from; at < end; at += 2) {
          const many = Math.min(2, end - at);
          const error = attempt(frame + at, index + at, many);
          if (error) visitor.lost(error, index + at, many);
        }
      }
    }
  } finally {
    end?.();
  }
}

/** Frames whose struct pages are read together, in ascending order; `isFirst`: the first ones of a range of RAM. */
function* chunksOf(
  kernel: Kernel,
  frames: FrameMap,
  stride: number,
): Generator<{ frame: number; index: number; count: number; isFirst: boolean }> {
  const perChunk = pagesPerChunk(stride);
  const perSection = framesPerSection(kernel.facts.pageSize);
  let done = 0;
  for (const { start, end } of frames.ranges) {
    for (let frame = start; frame < end; ) {
      const toEven = frame % 2 === 0 ? perChunk : 1;
      const count = Math.min(toEven, end - frame, perSection - (frame % perSection));
      yield { frame, index: done + frame - start, count, isFirst: frame === start };
      frame += count;
    }
    done += end - start;
  }
}

/**
 * Numbers the page frames of a machine without gaps, so that facts about them fit into arrays: holes between
 * ranges of RAM may be a thousand times as large.
 */
export class FrameMap {
  /** Number of frames. */
  readonly size: number;
  readonly ranges: readonly FrameRange[];
  /** Number of frames before each range. */
  readonly #before: readonly number[];

  /** @param ranges in ascending order, none inside another */
  constructor(ranges: readonly FrameRange[]) {
    this.ranges = ranges;
    const before: number[] = [];
    let size = 0;
    for (const { start, end } of ranges) {
      before.push(size);
      size += end - start;
    }
    this.#before = before;
    this.size = size;
  }

  /** Index of a frame; -1 if it is not RAM. */
  indexOf(frame: number): number {
    let [low, high] = [0, this.ranges.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const { start, end } = this.ranges[middle]!;
      if (frame < start) high = middle - 1;
      else if (frame >= end) low = middle + 1;
      else return this.#before[middle]! + frame - start;
    }
    return -1;
  }

  /** Frame at an index. */
  frameAt(index: number): number {
    let [low, high] = [0, this.ranges.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#before[middle]! <= index) low = middle;
      else high = middle - 1;
    }
    return this.ranges[low]!.start + index - this.#before[low]!;
  }
}
