import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { zones } from './zones.js';

/** Page frames, by number: `end` is behind the last. */
export interface FrameRange {
  readonly start: number;
  readonly end: number;
}

/** IORESOURCE_MEM and IORESOURCE_SYSRAM, which together are IORESOURCE_SYSTEM_RAM (ioport.h). */
const SYSTEM_RAM = 0x0100_0200;

/** /proc/iomem of the largest machines has a few thousand lines. */
const MOST_RESOURCES = 2 ** 17;

/** Of memblock, whose arrays begin with 128 regions and double. */
const MOST_REGIONS = 2 ** 17;

/** Physical addresses have 52 bits. */
const MOST_ADDRESS = 2 ** 52;

/**
 * The page frames that are RAM, in order; what a zone counts as present is what of it is online
 * (online.ts). Firmware's memory, which has `struct page`s too, is not among them.
 *
 * An architecture that keeps memblock (arm64) tells by that, since it counts what it may not map as
 * present; others by the tree that /proc/iomem shows. Where a dump lacks that, what memblock was is taken
 * if it has as many pages as the zones.
 *
 * @param note told that memblock was taken, and why
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function ramRanges(
  kernel: Kernel,
  note: (message: string) => void = () => {},
): FrameRange[] {
  const kept = keptMemblock(kernel);
  if (kept !== undefined) return framesOf(kernel, memblockRegions(kernel, kept));
  try {
    return framesOf(kernel, systemRam(kernel));
  } catch (error) {
    const other = error instanceof ReadError ? formerMemblock(kernel) : undefined;
    if (other === undefined) throw error;
    const { message } = error as ReadError;
    note(`RAM ranges come from memblock instead of the iomem resource tree: ${message}`);
    return other;
  }
}

/** What memblock was while the machine booted, if nobody has its memory now and zones say the same. */
function formerMemblock(kernel: Kernel): FrameRange[] | undefined {
  const [at, start, end] = ['memblock', '__init_begin', '__init_end'].map((name) =>
    kernel.symbol(name),
  );
  if (at === undefined || start === undefined || end === undefined) return undefined;
  if (at >= start && at < end) return undefined;
  try {
    const ranges = framesOf(kernel, memblockRegions(kernel, at));
    const frames = ranges.reduce((sum, range) => sum + range.end - range.start, 0);
    const present = zones(kernel).reduce((sum, zone) => sum + zone.present, 0);
    return frames === present ? ranges : undefined;
  } catch (error) {
    if (error instanceof ReadError || error instanceof KernelError) return undefined;
    throw error;
  }
}

function framesOf(kernel: Kernel, bytes: readonly (readonly [number, number])[]): FrameRange[] {
  const { pageSize } = kernel.facts;
  const ranges: FrameRange[] = [];
  for (const [from, to] of bytes.toSorted((a, b) => a[0] - b[0])) {
    const start = Math.ceil(from / pageSize);
    const end = Math.floor(to / pageSize);
    const last = ranges.at(-1);
    if (end <= start) continue;
    if (last && start < last.end) {
      throw new KernelError('damaged', `page frame ${start} is RAM twice`);
    }
    if (last?.end === start) ranges[ranges.length - 1] = { start: last.start, end };
    else ranges.push({ start, end });
  }
  if (ranges.length === 0) throw new KernelError('damaged', 'nothing is said to be RAM');
  return ranges;
}

/**
 * Where `memblock` lies, if the architecture keeps it (CONFIG_ARCH_KEEP_MEMBLOCK). Elsewhere the variable
 * may still be there when its arrays have been given away.
 */
function keptMemblock(kernel: Kernel): bigint | undefined {
  return kernel.facts.arch === 'arm64' ? kernel.symbol('memblock') : undefined;
}

/** Bytes from and to, of all memory that memblock knows (mm/memblock.c). */
function memblockRegions(kernel: Kernel, memblock: bigint): [number, number][] {
  const whole = new StructReader(kernel, 'memblock', [
    'memory.cnt',
    'memory.max',
    'memory.regions',
  ]);
  const region = new StructReader(kernel, 'memblock_region', ['base', 'size']);
  const view = whole.read(memblock);
  const [count, most] = [view.number('memory.cnt'), view.number('memory.max')];
  if (count > most || count > MOST_REGIONS) {
    throw new KernelError('damaged', `memblock has ${count} regions, and room for ${most}`);
  }
  const first = view.pointer('memory.regions');
  return Array.from({ length: count }, (_, index) => {
    const one = region.read(first + BigInt(index * region.size));
    return checked(one.number('base'), one.number('base') + one.number('size'));
  });
}

/** Bytes from and to, of what `iomem_resource` has as "System RAM" (kernel/resource.c). */
function systemRam(kernel: Kernel): [number, number][] {
  const reader = new StructReader(kernel, 'resource', [
    ...['start', 'end', 'flags', 'parent', 'sibling', 'child'],
  ] as const);
  const found: [number, number][] = [];
  let looked = 0;
  const visit = (parent: bigint, first: bigint): void => {
    let before = -1;
    for (let at = first; at !== 0n; ) {
      if (++looked > MOST_RESOURCES) {
        throw new KernelError('damaged', 'iomem resource tree does not terminate (loop?)');
      }
      const one = reader.read(at);
      const [start, end] = [one.number('start'), one.number('end')];
      if (one.pointer('parent') !== parent || start <= before) {
        const message = `the memory resource at ${hex(at)} is not where its neighbours say`;
        throw new KernelError('damaged', message);
      }
      if ((one.number('flags') & SYSTEM_RAM) === SYSTEM_RAM) found.push(checked(start, end + 1));
      else visit(at, one.pointer('child'));
      before = end;
      at = one.pointer('sibling');
    }
  };
  const root = needSymbol(kernel, 'iomem_resource');
  const child = BigInt(reader.offset('child'));
  visit(root, readPartOf(kernel, 'iomem_resource', root, root + child, 8).getBigUint64(0, true));
  return found;
}

function checked(from: number, to: number): [number, number] {
  if (from <= to && to <= MOST_ADDRESS) return [from, to];
  const message = `RAM is said to lie from ${hex(from)} to ${hex(to)}`;
  throw new KernelError('damaged', message);
}
