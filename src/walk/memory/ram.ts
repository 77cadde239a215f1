import { damaged, ReadError, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel, MemorySections } from '../../kernel/kernel.js';
import { cpuMask, needSymbol } from '../cpus.js';
import { findOrNot, pointerPartOf, readPartOf } from '../named-read.js';
import { framesPerSection } from '../pages/struct-page.js';
import { StructReader } from '../struct-reader.js';
import { zones } from './zones.js';

/** Range of page frame numbers; `end` is exclusive. */
export interface FrameRange {
  readonly start: number;
  readonly end: number;
}

/** IORESOURCE_MEM and IORESOURCE_SYSRAM, which together are IORESOURCE_SYSTEM_RAM (ioport.h). */
const SYSTEM_RAM = 0x0100_0200;

/** Maximum number of resources: /proc/iomem of the largest machines has a few thousand lines. */
const MAX_RESOURCES = 2 ** 17;

/** Maximum number of memblock regions: its arrays begin with 128 and double. */
const MAX_REGIONS = 2 ** 17;

/** Physical addresses have 52 bits. */
const MAX_ADDRESS = 2 ** 52;

/**
 * Page frames of RAM, in ascending order. `present` of a zone is its online part ({@link onlineRanges}).
 * Firmware memory, which has `struct page`s too, is excluded.
 *
 * Architectures that keep memblock (arm64) use it, because they count unmapped memory as present. Others use
 * the resource tree of /proc/iomem. If a dump lacks that tree, memblock at boot is used, provided that it has
 * as many pages as the zones.
 *
 * @param note receives the reason if memblock was used
 */
export function ramRanges(kernel: Kernel, note: (message: string) => void = () => {}): FrameRange[] {
  const kept = keptMemblock(kernel);
  if (kept !== undefined) return framesOf(kernel, memblockRegions(kernel, kept));
  try {
    return framesOf(kernel, systemRam(kernel));
  } catch (error) {
    const other = error instanceof ReadError ? bootMemblock(kernel) : undefined;
    if (other === undefined) throw error;
    const { message } = error as ReadError;
    note(`RAM ranges come from memblock instead of the iomem resource tree: ${message}`);
    return other;
  }
}

/** RAM according to memblock at boot; undefined if its memory is not intact or the zones disagree. */
function bootMemblock(kernel: Kernel): FrameRange[] | undefined {
  const [at, start, end] = ['memblock', '__init_begin', '__init_end'].map((name) => kernel.symbol(name));
  if (at === undefined || start === undefined || end === undefined) return undefined;
  if (at >= start && at < end) return undefined;
  return findOrNot(() => {
    const ranges = framesOf(kernel, memblockRegions(kernel, at));
    const frames = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
    const present = zones(kernel).reduce((sum, zone) => sum + zone.present, 0);
    return frames === present ? ranges : undefined;
  });
}

function framesOf(kernel: Kernel, bytes: readonly (readonly [number, number])[]): FrameRange[] {
  const { pageSize } = kernel.facts;
  const ranges: FrameRange[] = [];
  for (const [from, to] of bytes.toSorted((a, b) => a[0] - b[0])) {
    const start = Math.ceil(from / pageSize);
    const end = Math.floor(to / pageSize);
    const last = ranges.at(-1);
    if (end <= start) continue;
    if (last && start < last.end) throw damaged(`page frame ${start} is RAM twice`);
    if (last?.end === start) ranges[ranges.length - 1] = { start: last.start, end };
    else ranges.push({ start, end });
  }
  if (ranges.length === 0) throw damaged('nothing is said to be RAM');
  return ranges;
}

/**
 * Address of `memblock`, if the architecture keeps it (CONFIG_ARCH_KEEP_MEMBLOCK). Elsewhere the variable may
 * still exist after its arrays were freed.
 */
function keptMemblock(kernel: Kernel): bigint | undefined {
  return kernel.facts.arch === 'arm64' ? kernel.symbol('memblock') : undefined;
}

/** Start and end in bytes of each memory region in memblock (mm/memblock.c). */
function memblockRegions(kernel: Kernel, memblock: bigint): [number, number][] {
  const whole = new StructReader(kernel, 'memblock', ['memory.cnt', 'memory.max', 'memory.regions']);
  const region = new StructReader(kernel, 'memblock_region', ['base', 'size']);
  const view = whole.read(memblock);
  const [count, most] = [view.number('memory.cnt'), view.number('memory.max')];
  if (count > most || count > MAX_REGIONS) {
    throw damaged(`memblock has ${count} regions, and room for ${most}`);
  }
  const first = view.pointer('memory.regions');
  return Array.from({ length: count }, (_, index) => {
    const entry = region.read(region.element(first, index));
    return checked(entry.number('base'), entry.number('base') + entry.number('size'));
  });
}

/** Start and end in bytes of each "System RAM" of `iomem_resource` (kernel/resource.c). */
function systemRam(kernel: Kernel): [number, number][] {
  const reader = new StructReader(kernel, 'resource', ['start', 'end', 'flags', 'parent', 'sibling', 'child'] as const);
  const ranges: [number, number][] = [];
  let looked = 0;
  const visit = (parent: bigint, first: bigint): void => {
    let before = -1;
    for (let at = first; at !== 0n; ) {
      if (++looked > MAX_RESOURCES) {
        throw damaged('iomem resource tree does not terminate (loop?)');
      }
      const view = reader.read(at);
      const [start, end] = [view.number('start'), view.number('end')];
      if (view.pointer('parent') !== parent || start <= before) {
        throw damaged(`the memory resource at ${hex(at)} is not where its neighbours say`);
      }
      if ((view.number('flags') & SYSTEM_RAM) === SYSTEM_RAM) ranges.push(checked(start, end + 1));
      else visit(at, view.pointer('child'));
      before = end;
      at = view.pointer('sibling');
    }
  };
  const root = needSymbol(kernel, 'iomem_resource');
  const child = BigInt(reader.offset('child'));
  visit(root, readPartOf(kernel, 'iomem_resource', root, root + child, 8).getBigUint64(0, true));
  return ranges;
}

function checked(from: number, to: number): [number, number] {
  if (from <= to && to <= MAX_ADDRESS) return [from, to];
  throw damaged(`RAM is said to lie from ${hex(from)} to ${hex(to)}`);
}

/**
 * Removes sections that the kernel does not use: offline hot-plugged memory is RAM in the resource tree, but
 * in no zone.
 *
 * @param ranges in ascending order
 * @param note receives the reason if the state of a section is unknown, which is then kept
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
  // A kernel that does not record the online state has no section online.
  return some ? online : [...ranges];
}

/** Parts of ranges, each within one section, and whether it is online; null: unknown. */
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
const MAX_BYTES = 2 ** 33;

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
  if (bytes > MAX_BYTES) throw damaged(`an area at ${hex(address)} claims ${bytes} bytes`);
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
const MAX_UNIT_BYTES = 2 ** 30;

/**
 * Units of the first per-CPU chunk, which is allocated at boot: static per-CPU variables of the kernel image,
 * then dynamic allocations (pcpu_setup_first_chunk in mm/percpu.c). Other chunks are vmalloc areas.
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
  if (!(bytes > 0 && bytes <= MAX_UNIT_BYTES)) {
    throw damaged(`a unit of per-CPU memory has ${bytes} bytes`);
  }
  const offsets = pointer('pcpu_unit_offsets');
  return cpuMask(kernel, '__cpu_possible_mask').map((cpu) => ({
    address: base + pointerPartOf(kernel, 'pcpu_unit_offsets', offsets, offsets + BigInt(8 * cpu)),
    bytes,
  }));
}
