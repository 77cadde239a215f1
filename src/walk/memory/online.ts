import { ReadError } from '../../base/errors/kernel.js';
import type { Kernel, MemorySections } from '../../kernel/kernel.js';
import type { FrameRange } from './ram.js';

/**
 * The ranges without sections that the kernel does not use: memory that was plugged in and not taken, or
 * given back, is RAM to the tree of resources, and no zone has it.
 *
 * @param ranges in order
 * @param note told that it is not known of some section, which is then kept, and why
 */
export function onlineRanges(
  kernel: Kernel,
  ranges: readonly FrameRange[],
  note: (message: string) => void,
): FrameRange[] {
  const { sections } = kernel;
  if (!sections) return [...ranges];
  const online: FrameRange[] = [];
  let some = false;
  for (const { start, end, isOnline } of bySection(sections, ranges, note)) {
    some ||= isOnline === true;
    const last = online.at(-1);
    if (isOnline === false) continue;
    if (last?.end === start) online[online.length - 1] = { start: last.start, end };
    else online.push({ start, end });
  }
  // A kernel that does not note it has no section online.
  return some ? online : [...ranges];
}

/** Parts of ranges, each within one section, and whether that is online; null: not known. */
function* bySection(
  sections: MemorySections,
  ranges: readonly FrameRange[],
  note: (message: string) => void,
): Generator<FrameRange & { readonly isOnline: boolean | null }> {
  let missed = false;
  const isOnline = (frame: number): boolean | null => {
    try {
      return sections.isOnline(frame);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      if (!missed) note(`which memory the kernel uses is not known of all: ${error.message}`);
      missed = true;
      return null;
    }
  };
  for (const range of ranges) {
    for (let start = range.start; start < range.end; ) {
      const end = Math.min(range.end, (Math.floor(start / sections.frames) + 1) * sections.frames);
      yield { start, end, isOnline: isOnline(start) };
      start = end;
    }
  }
}
