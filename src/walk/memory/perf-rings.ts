import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { Pointer } from '../../kernel/pointer.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { fileTest } from '../tasks/file-kind.js';
import type { EachFile } from './open-files.js';

/** Pages of one ring; perf_event_mlock_kb does not bind root, an array of pointers to them does. */
const MOST_PAGES = 2 ** 22;

/** Pointers that are read at a time: a page of them. */
const BATCH = 512;

/**
 * Frames of the rings that perf events write to (`struct perf_buffer` in kernel/events/internal.h): the
 * page that whoever reads shares with the kernel, data, and those of the hardware (AUX).
 *
 * @param each goes through files; those that are no perf events are passed over
 * @throws {KernelError} `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function* perfRingFrames(kernel: Kernel, each: EachFile): Generator<number> {
  // A kernel without perf.
  if (!kernel.struct('perf_event')?.member('rb')) return;
  // Before 5.6 `ring_buffer`, a name that ftrace's has too.
  const name = kernel.struct('perf_buffer') ? 'perf_buffer' : 'ring_buffer{data_pages}';
  const isEvent = fileTest(kernel, 'perf_fops', '[perf_event]');
  const file = new StructReader(kernel, 'file', ['private_data']);
  const event = new StructReader(kernel, 'perf_event', ['rb']);
  const ring = new StructReader(kernel, name, [
    ...['nr_pages', 'user_page', 'aux_nr_pages', 'aux_pages'],
  ] as const);
  const data = new StructReader(kernel, name, ['data_pages']).offset('data_pages');
  // Where the ring is one area of vmalloc's address space: that has its pages (CONFIG_PERF_USE_VMALLOC).
  const mapped = kernel.struct(name)?.member('page_order') !== undefined;
  const seen = new Set<bigint>([0n]);
  yield* each(function* (address) {
    if (!isEvent(address)) return;
    const at = event.read(file.read(address).pointer('private_data')).pointer('rb');
    // Events may share one.
    if (seen.has(at)) return;
    const view = ring.read(at);
    const [own, count] = [view.pointer('user_page'), view.number('nr_pages')];
    const [auxiliary, auxiliaries] = [view.pointer('aux_pages'), view.number('aux_nr_pages')];
    if (!mapped) {
      yield frameOf(kernel, own);
      yield* framesAt(kernel, at + BigInt(data), count);
    }
    if (auxiliary !== 0n) yield* framesAt(kernel, auxiliary, auxiliaries);
    seen.add(at);
  });
}

/** The frames behind an array of addresses of pages. */
function* framesAt(kernel: Kernel, array: bigint, count: number): Generator<number> {
  // perf_mmap takes powers of two alone.
  if (count !== 0 && !(count > 0 && count <= MOST_PAGES && Number.isInteger(Math.log2(count)))) {
    throw new KernelError('damaged', `the perf ring at ${hex(array)} claims ${count} pages`);
  }
  for (let first = 0; first < count; first += BATCH) {
    const many = Math.min(BATCH, count - first);
    const view = readPartOf(kernel, 'a perf ring', array, array + BigInt(8 * first), 8 * many);
    const pages = Array.from({ length: many }, (_, index) => view.getBigUint64(8 * index, true));
    for (const page of pages) yield frameOf(kernel, page);
  }
}

function frameOf(kernel: Kernel, page: bigint): number {
  const frame = kernel.pages.frameOf(new Pointer().set(page));
  if (frame >= 0) return frame;
  throw new KernelError('damaged', `a perf ring names ${hex(page)}, which is no memory`);
}
