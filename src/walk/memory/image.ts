import { damaged, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol } from '../cpus.js';
import { pointerPartOf } from '../named-read.js';
import { framesPerSection } from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';
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

/** Maximum size of a range: BPF arenas have 4 GiB plus guards at both ends, per-CPU chunks less. */
const MOST_BYTES = 2 ** 33;

/**
 * The page frames behind a range of kernel addresses, page by page, by the kernel's page tables; unmapped
 * pages have none.
 *
 * @throws {KernelError} `unsupported-layout` if the engine walks no page tables, `damaged` if there are too
 * many; {@link ReadError}
 */
export function* mappedFrames(kernel: Kernel, { address, bytes }: AddressRange): Generator<number> {
  const { pageSize } = kernel.facts;
  if (!kernel.physicalOf) throw unsupportedLayout('this engine does not walk page tables');
  if (bytes > MOST_BYTES) throw damaged(`an area at ${hex(address)} claims ${bytes} bytes`);
  const size = BigInt(pageSize);
  const end = address + BigInt(bytes);
  for (let at = address - (address % size); at < end; at += size) {
    const physical = kernel.physicalOf(at);
    if (physical !== undefined) yield Math.floor(physical / pageSize);
  }
}

/** A range of kernel addresses. */
export interface AddressRange {
  readonly address: bigint;
  readonly bytes: number;
}

/** Maximum size of a unit: typically some tens of KiB to a few MiB. */
const MOST_UNIT_BYTES = 2 ** 30;

/**
 * Units of the first per-CPU chunk, which is allocated at boot: static per-CPU variables of the kernel image,
 * then dynamic allocations (pcpu_setup_first_chunk in mm/percpu.c). Other chunks are vmalloc areas.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function firstPerCpuChunk(kernel: Kernel): AddressRange[] {
  const chunk = new StructReader(kernel, 'pcpu_chunk', ['base_addr', 'nr_pages']);
  const pointer = (name: string): bigint => {
    const at = needSymbol(kernel, name);
    return pointerPartOf(kernel, name, at, at);
  };
  const base = pointer('pcpu_base_addr');
  const first = chunk.read(pointer('pcpu_first_chunk'));
  const end = first.pointer('base_addr') + BigInt(first.number('nr_pages') * kernel.facts.pageSize);
  const bytes = Number(end - base);
  if (!(bytes > 0 && bytes <= MOST_UNIT_BYTES)) {
    throw damaged(`a unit of per-CPU memory has ${bytes} bytes`);
  }
  const offsets = pointer('pcpu_unit_offsets');
  return cpuMask(kernel, '__cpu_possible_mask').map((cpu) => ({
    address: base + pointerPartOf(kernel, 'pcpu_unit_offsets', offsets, offsets + BigInt(8 * cpu)),
    bytes,
  }));
}
