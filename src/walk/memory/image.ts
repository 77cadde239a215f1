import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../machine/cpus.js';
import type { FrameMap } from './frame-map.js';
import { framesBehind } from './mapped.js';

/**
 * Frames of the kernel image, from its code to its variables; those of what only the boot needed may
 * have been given out again since.
 *
 * @throws as framesBehind; {@link KernelError} `no-symbols`
 */
export function imageFrames(kernel: Kernel): Generator<number> {
  const start = kernel.symbol('_text') ?? needSymbol(kernel, '_stext');
  const end = needSymbol(kernel, '_end');
  return framesBehind(kernel, { address: start, bytes: Number(end - start) });
}

/** As in slab-scan: the array of `struct page` is there or not for a section as a whole. */
const SECTION_BYTES = 2 ** 27;

/**
 * Frames that hold the array of `struct page` itself.
 *
 * @throws as framesBehind
 */
export function* memmapFrames(kernel: Kernel, frames: FrameMap): Generator<number> {
  const { pageSize } = kernel.facts;
  const perSection = SECTION_BYTES / pageSize;
  let done = 0;
  for (const { start, end } of frames.ranges) {
    const from = Math.max(done, start - (start % perSection));
    const to = Math.ceil(end / perSection) * perSection;
    if (to <= from) continue;
    const address = kernel.pages.pageOfFrame(from);
    yield* framesBehind(kernel, { address, bytes: Number(kernel.pages.pageOfFrame(to) - address) });
    done = to;
  }
}
