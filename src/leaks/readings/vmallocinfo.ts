import type { Kernel } from '../../kernel/kernel.js';
import type { SiteFrame } from '../../records/allocation-sites.js';
import { settledAreas } from '../../walk/memory/vm-areas.js';
import { parseSymbolFrame, type Tally, type TallyParser } from './tally.js';

/** Areas that own pages; those that map other pages have no `pages=` (s_show of mm/vmalloc.c). */
const AREA = /^0x(?<from>[0-9a-f]{1,16})-0x(?<to>[0-9a-f]{1,16}) +(?<size>\d{1,15})(?: (?<rest>.*))?$/;
const OWN_PAGES = /^(?<caller>.*?) ?pages=(?<pages>\d{1,12})(?: |$)/;
/**
 * Lowest kernel address. Without kernel.kptr_restrict the kernel prints hashed values instead of addresses.
 */
const MIN_ADDRESS = 0xff00_0000_0000_0000n;

/** /proc/vmallocinfo: vmalloc areas and their callers. */
export class VmallocinfoParser implements TallyParser {
  readonly #tally: Tally;
  readonly #areas: (() => readonly KernelArea[] | null) | undefined;
  #isHidden = false;

  /** @param areas the kernel's own list, read if the text hides addresses; null: it cannot be read now */
  constructor(tally: Tally, areas?: () => readonly KernelArea[] | null) {
    this.#tally = tally;
    this.#areas = areas;
  }

  line(text: string): void {
    if (text === '') return;
    const area = AREA.exec(text)?.groups;
    const { from = '', to = '', size, rest = '' } = area ?? {};
    const [start, end] = [BigInt(`0x${from || 0}`), BigInt(`0x${to || 0}`)];
    const isReal = start >= MIN_ADDRESS && end >= MIN_ADDRESS;
    if (!area || (isReal && end - start !== BigInt(size ?? 0))) {
      this.#tally.strange++;
      return;
    }
    const groups = OWN_PAGES.exec(rest)?.groups;
    if (!groups) return;
    const { caller = '', pages } = groups;
    const bytes = Number(pages) * this.#tally.pageSize;
    // An area has room for its pages, and usually for one more, which stays empty.
    if (bytes > Number(size)) {
      this.#tally.strange++;
      return;
    }
    // Other words may follow the function: `ioremap`, `phys=`.
    const name = /^\S+(?: \[[^\] ]+\])?/.exec(caller)?.[0] ?? '';
    const frame = parseSymbolFrame(name);
    if (!frame) this.#tally.withoutStack++;
    const site = this.#siteOf(frame, name);
    this.#tally.add(site, bytes, 1);
    if (isReal) this.#block(site, start, bytes);
    else this.#isHidden = true;
  }

  end(): void {
    if (!this.#isHidden || this.#areas === undefined) return;
    const areas = this.#areas();
    if (areas === null) this.#tally.blocksUnknown = true;
    for (const { address, bytes, caller } of areas ?? []) this.#block(this.#siteOf(caller, ''), address, bytes);
  }

  #block(site: string, place: bigint, bytes: number): void {
    const unknown = { order: null, time: null, tid: null, command: null };
    this.#tally.onBlock({ site, place, bytes, ...unknown });
  }

  #siteOf(frame: SiteFrame | null, text: string): string {
    const key = frame?.symbol ? `${frame.symbol}+${frame.offset} ${frame.module ?? ''}` : text;
    return this.#tally.known.idOf(key, 'caller', () => (frame ? [frame] : []));
  }
}

/** Whether the beginning of /proc/vmallocinfo has hashed numbers instead of addresses. */
export function hidesAddresses(first: string): boolean {
  const from = AREA.exec(first.slice(0, Math.max(0, first.indexOf('\n'))))?.groups?.from;
  return from !== undefined && BigInt(`0x${from}`) < MIN_ADDRESS;
}

/** A vmalloc area that owns pages, from the kernel's own list. */
export interface KernelArea {
  readonly address: bigint;
  /** Size of its pages. */
  readonly bytes: number;
  /** Function that allocated the area. */
  readonly caller: SiteFrame;
}

/**
 * Reads the vmap areas of the running kernel, whose addresses /proc/vmallocinfo hides.
 *
 * @throws {KernelError}, {@link ReadError}: the list changed too fast, or cannot be read
 */
export function kernelAreas(kernel: Kernel): readonly KernelArea[] {
  const { pageSize } = kernel.facts;
  return [...settledAreas(kernel)].flatMap(({ address, count, caller }) => {
    if (count === 0) return [];
    const symbol = kernel.symbolAt?.(caller);
    const frame = symbol
      ? { symbol: symbol.name, offset: symbol.offset, module: symbol.module ?? null, line: null, guess: false }
      : { symbol: null, offset: null, module: null, line: null, guess: false };
    return [{ address, bytes: count * pageSize, caller: frame }];
  });
}
