import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { PageReader } from '../pages/pages.js';
import { StructReader } from '../struct-reader.js';
import { ringTest } from '../tasks/io-uring.js';
import type { EachFile } from './open-files.js';
import { framesOfPages } from './page-array.js';
import type { ListedBlock } from './zones.js';

/**
 * Maximum number of pages: a ring has at most 65,536 entries (IORING_MAX_CQ_ENTRIES), but a region may have
 * any size.
 */
const MAX_PAGES = 2 ** 20;

/** Regions since 6.13, each with its pages (`struct io_mapped_region` in include/linux/io_uring_types.h). */
const REGIONS = [
  { pages: 'ring_region.pages', count: 'ring_region.nr_pages' },
  { pages: 'sq_region.pages', count: 'sq_region.nr_pages' },
  { pages: 'param_region.pages', count: 'param_region.nr_pages' },
  { pages: 'zcrx_region.pages', count: 'zcrx_region.nr_pages' },
] as const;

/** Parts before 6.13: the address of each, and its number of pages if they are not contiguous (6.5). */
const PARTS = [
  { address: 'rings', pages: 'ring_pages', count: 'n_ring_pages' },
  { address: 'sq_sqes', pages: 'sqe_pages', count: 'n_sqe_pages' },
] as const;

/**
 * Memory of io_uring's rings and submission entries, as allocated. If a process provided its own memory, the
 * result is pages of its address space.
 *
 * @param each iterates over files; files that are not io_uring instances are skipped
 */
export function* uringBlocks(kernel: Kernel, eachFile: EachFile): Generator<ListedBlock> {
  // This kernel has no io_uring.
  if (!kernel.struct('io_ring_ctx')) return;
  const isRing = ringTest(kernel);
  const file = new StructReader(kernel, 'file', ['private_data']);
  let finder: ((ring: bigint) => Generator<number>) | undefined;
  let pages: PageReader | undefined;
  yield* eachFile(function* (address) {
    if (!isRing(address)) return;
    finder ??= framesFinder(kernel);
    pages ??= new PageReader(kernel);
    // The ring may use less than a complete large page.
    let until = -1;
    for (const frame of finder(file.read(address).pointer('private_data'))) {
      if (frame < until) continue;
      const block = pages.block(kernel.pages.pageOfFrame(frame));
      const order = (block.kind === 'page' ? block.order : undefined) ?? 0;
      until = order === 0 ? -1 : block.frame + 2 ** order;
      yield { frame: order === 0 ? frame : block.frame, order };
    }
  });
}

/**
 * Returns a reader of the frames of a `struct io_ring_ctx`: all of them, or the first of each contiguous
 * part.
 */
function framesFinder(kernel: Kernel): (ring: bigint) => Generator<number> {
  const layout = kernel.struct('io_ring_ctx');
  const checked = (ring: bigint, count: number): number => {
    if (count <= MAX_PAGES) return count;
    throw damaged(`the ring at ${hex(ring)} claims ${count} pages`);
  };
  /** Frames in an array of pages, none of which may be missing. */
  const named = (ring: bigint, array: bigint, count: number): number[] => {
    const frames = array === 0n ? [] : [...framesOfPages(kernel, 'the pages of a ring', array, count)];
    if (frames.length === count) return frames;
    throw damaged(`the ring at ${hex(ring)} has ${count} pages, and ${frames.length} are named`);
  };
  const regions = REGIONS.filter(({ pages }) => layout?.member(pages)).map((names) => ({
    ...names,
    reader: new StructReader(kernel, 'io_ring_ctx', [names.pages, names.count]),
  }));
  if (regions.length > 0) {
    return function* (ring) {
      for (const { pages, count, reader } of regions) {
        const view = reader.read(ring);
        const [array, many] = [view.pointer(pages), view.number(count)];
        yield* named(ring, array, checked(ring, many));
      }
    };
  }
  const at = new Pointer();
  return function* (ring) {
    for (const { address, pages, count } of PARTS) {
      if (layout?.member(count)) {
        const view = new StructReader(kernel, 'io_ring_ctx', [pages, count]).read(ring);
        const [array, many] = [view.pointer(pages), view.number(count)];
        if (many > 0) {
          yield* named(ring, array, checked(ring, many));
          continue;
        }
      }
      const start = new StructReader(kernel, 'io_ring_ctx', [address]).read(ring).pointer(address);
      if (start === 0n) continue;
      const frame = kernel.pages.frameOf(at.set(start));
      if (frame < 0) throw damaged(`a ring lies at ${hex(start)}, which is no memory`);
      yield frame;
    }
  };
}
