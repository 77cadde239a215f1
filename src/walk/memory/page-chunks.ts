import { ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Cursor } from '../cursor.js';
import { framesPerSection, pagesPerChunk } from '../pages/chunk-sizes.js';
import type { FrameMap } from './frame-map.js';

/** What is done with a part of the array of `struct page`; frames lie in order, their places in the map too. */
export interface ChunkVisitor {
  /** Frames follow that are no neighbours of those before. */
  gap(): void;
  look(view: DataView, base: number, firstFrame: number, index: number, count: number): void;
  lost(error: ReadError, index: number, count: number): void;
}

/**
 * Looks at the `struct page` of every frame of RAM, many at a time. Where the array has holes, two at a
 * time: the second page of a compound allocation lies with the first.
 *
 * @param stride bytes of a `struct page`
 * @param progress told now and then which part is done, 0 to 1
 */
export function eachChunk(
  kernel: Kernel,
  frames: FrameMap,
  stride: number,
  visitor: ChunkVisitor,
  progress: (part: number) => void = () => {},
): void {
  const perChunk = pagesPerChunk(stride);
  const perSection = framesPerSection(kernel.facts.pageSize);
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
  let done = 0;
  for (const { start, end } of frames.ranges) {
    visitor.gap();
    for (let frame = start; frame < end; ) {
      const toEven = frame % 2 === 0 ? perChunk : 1;
      const count = Math.min(toEven, end - frame, perSection - (frame % perSection));
      const index = done + frame - start;
      progress(index / frames.size);
      if (attempt(frame, index, count)) {
        for (let at = 0; at < count; at += 2) {
          const many = Math.min(2, count - at);
          const error = attempt(frame + at, index + at, many);
          if (error) visitor.lost(error, index + at, many);
        }
      }
      frame += count;
    }
    done += end - start;
  }
}
