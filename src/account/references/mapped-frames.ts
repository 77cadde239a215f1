import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../../walk/cpus.js';
import { framesOfPages } from '../../walk/memory/page-array.js';
import type { FrameRange } from '../../walk/memory/ram.js';
import type { VmArea } from '../../walk/memory/vm-areas.js';
import { flagTest, struct } from '../../walk/pages/struct-page.js';
import type { Warnings } from '../../walk/warnings.js';
import { Areas } from '../memory/areas.js';
import { attempted } from '../memory/missed.js';

/** Consecutive frames at consecutive virtual addresses. */
interface Run {
  readonly frame: number;
  readonly address: bigint;
  count: number;
}

/** Maximum size of an area whose pages only page tables list. */
const MAX_BYTES = 2 ** 33;

/**
 * Finds the virtual address by which the kernel uses a page frame: of the image, of vmalloc areas, stacks and
 * modules, and of the array of `struct page`. All other memory is used by its direct-map address.
 */
export class MappedFrames {
  /** Disjoint runs by the kind of mapping, in ascending order; the first mapping of a frame counts. */
  readonly #lists: readonly (readonly Run[])[];
  readonly #pageSize: number;

  /**
   * @param ram ranges of RAM
   * @param warnings receives areas that cannot be read
   */
  constructor(kernel: Kernel, ram: readonly FrameRange[], warnings: Warnings) {
    this.#pageSize = kernel.facts.pageSize;
    const list = (what: string, collect: (add: Add) => void): Run[] => {
      const runs = new Runs(this.#pageSize);
      attempted(warnings, what, () => collect(runs.add.bind(runs)));
      return runs.inOrder();
    };
    const areas = (isWanted: (area: VmArea) => boolean) =>
      list('vmalloc areas', (add) => {
        for (const area of new Areas(kernel).all())
          if (isWanted(area)) attempted(warnings, 'a vmalloc area', () => eachOfArea(kernel, area, add));
      });
    this.#lists = [
      list('the kernel image', (add) => eachOfImage(kernel, add)),
      list('the array of struct pages', (add) => {
        for (const { start, end } of ram) {
          const [from, to] = [kernel.pages.pageOfFrame(start), kernel.pages.pageOfFrame(end)];
          eachMapped(kernel, { start: from, end: to }, add);
        }
      }),
      areas(({ owns }) => owns),
      // Areas that only map pages of other owners are left out; chunks of per-CPU memory list no pages.
      areas(({ owns, pages }) => !owns && pages === 0n),
    ];
  }

  /** Virtual address of the first byte of a frame; undefined: its direct-map address is used. */
  addressOf(frame: number): bigint | undefined {
    for (const runs of this.#lists) {
      let [low, high] = [0, runs.length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (runs[middle]!.frame <= frame) low = middle + 1;
        else high = middle;
      }
      const run = runs[low - 1];
      if (run !== undefined && frame < run.frame + run.count)
        return run.address + BigInt((frame - run.frame) * this.#pageSize);
    }
    return undefined;
  }
}

/** Joins frames to runs. */
class Runs {
  readonly #pageSize: number;
  readonly #runs: Run[] = [];

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  add(frame: number, address: bigint): void {
    const last = this.#runs.at(-1);
    const next = last && last.address + BigInt(last.count * this.#pageSize);
    if (last && frame === last.frame + last.count && address === next) last.count++;
    else this.#runs.push({ frame, address, count: 1 });
  }

  inOrder(): Run[] {
    return this.#runs.toSorted((a, b) => a.frame - b.frame);
  }
}

/** The kernel frees parts of its image after boot: those are no longer used by its addresses. */
function eachOfImage(kernel: Kernel, add: Add): void {
  const start = kernel.symbol('_text') ?? needSymbol(kernel, '_stext');
  const page = struct(kernel, 'page');
  const isReserved = flagTest(kernel, page, 'PG_reserved');
  eachMapped(kernel, { start, end: needSymbol(kernel, '_end') }, (frame, address) => {
    const view = kernel.read(kernel.pages.pageOfFrame(frame), page.size);
    if (isReserved(view, 0)) add(frame, address);
  });
}

type Add = (frame: number, address: bigint) => void;

/** Visits the frames that page tables map at a range of addresses. */
function eachMapped(kernel: Kernel, { start, end }: { readonly start: bigint; readonly end: bigint }, add: Add): void {
  const { pageSize } = kernel.facts;
  const size = BigInt(pageSize);
  for (let at = start - (start % size); at < end; at += size) {
    const physical = kernel.physicalOf?.(at);
    if (physical !== undefined) add(Math.floor(physical / pageSize), at);
  }
}

function eachOfArea(kernel: Kernel, { address, bytes, pages, count, owns }: VmArea, add: Add): void {
  if (!owns) {
    if (bytes > MAX_BYTES) throw damaged(`the area at ${hex(address)} claims ${bytes} bytes`);
    eachMapped(kernel, { start: address, end: address + BigInt(bytes) }, add);
    return;
  }
  let at = address;
  for (const frame of framesOfPages(kernel, 'an area', pages, count)) {
    add(frame, at);
    at += BigInt(kernel.facts.pageSize);
  }
}
