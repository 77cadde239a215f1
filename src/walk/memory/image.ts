import { damaged } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { framesPerSection } from '../pages/chunk-sizes.js';
import { StructReader } from '../struct-reader.js';
import { mappedFrames } from './mapped.js';
import type { FrameRange } from './ram.js';

/**
 * Frames of the kernel image, from its code to its variables; init memory may have been reused since boot.
 *
 * @throws as mappedFrames; {@link KernelError} `no-symbols`
 */
export function imageFrames(kernel: Kernel): Generator<number> {
  const start = kernel.symbol('_text') ?? needSymbol(kernel, '_stext');
  const end = needSymbol(kernel, '_end');
  return mappedFrames(kernel, { address: start, bytes: Number(end - start) });
}

/**
 * Frames reserved for the kernel that writes the dump (crashkernel=, `crashk_res` and `crashk_low_res`). They
 * are in one range of RAM, however large.
 *
 * @throws {KernelError} `damaged`; {@link ReadError}
 */
export function* crashKernelFrames(kernel: Kernel, ram: readonly FrameRange[]): Generator<number> {
  const { pageSize } = kernel.facts;
  const reader = new StructReader(kernel, 'resource', ['start', 'end']);
  for (const name of ['crashk_res', 'crashk_low_res']) {
    const at = kernel.symbol(name);
    if (at === undefined) continue;
    const view = reader.read(at);
    const [start, end] = [view.number('start'), view.number('end')];
    if (end === 0) continue;
    const [first, last] = [Math.floor(start / pageSize), Math.floor(end / pageSize)];
    if (end < start || !ram.some((range) => range.start <= first && last < range.end))
      throw damaged(`${name} reaches from ${hex(start)} to ${hex(end)}, which is not RAM`);
    for (let frame = first; frame <= last; frame++) yield frame;
  }
}

/**
 * Frames that hold the array of `struct page` itself.
 *
 * @throws as mappedFrames
 */
export function* memmapFrames(kernel: Kernel, ram: readonly FrameRange[]): Generator<number> {
  const perSection = framesPerSection(kernel.facts.pageSize);
  let done = 0;
  for (const { start, end } of ram) {
    const from = Math.max(done, start - (start % perSection));
    const to = Math.ceil(end / perSection) * perSection;
    if (to <= from) continue;
    // Section by section: on a large machine the whole array exceeds the maximum size of an area.
    for (let first = from; first < to; first += perSection) {
      const address = kernel.pages.pageOfFrame(first);
      const bytes = Number(kernel.pages.pageOfFrame(first + perSection) - address);
      yield* mappedFrames(kernel, { address, bytes });
    }
    done = to;
  }
}
