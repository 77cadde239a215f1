import type { SiteFrame } from '../recording.js';
import type { KernelArea } from './kernel-areas.js';
import { parseSymbolFrame } from './symbol-frame.js';
import type { Tally, TallyParser } from './tally.js';

/** Of areas that own pages; those that map what is somebody else's have no `pages=` (s_show of mm/vmalloc.c). */
const AREA =
  /^0x(?<from>[0-9a-f]{1,16})-0x(?<to>[0-9a-f]{1,16}) +(?<size>\d{1,15})(?: (?<rest>.*))?$/;
const OWN_PAGES = /^(?<caller>.*?) ?pages=(?<pages>\d{1,12})(?: |$)/;
/** Without kernel.kptr_restrict the kernel prints numbers that are no addresses. */
const LEAST_ADDRESS = 0xff00_0000_0000_0000n;

/** /proc/vmallocinfo: areas of vmalloc, and who asked for them. */
export class VmallocinfoParser implements TallyParser {
  readonly #tally: Tally;
  readonly #areas: (() => readonly KernelArea[] | null) | undefined;
  #isHidden = false;

  /** @param areas the kernel's own list, read where the text hides addresses; null: it cannot be read now */
  constructor(tally: Tally, areas?: () => readonly KernelArea[] | null) {
    this.#tally = tally;
    this.#areas = areas;
  }

  line(text: string): void {
    if (text === '') return;
    const area = AREA.exec(text)?.groups;
    const { from = '', to = '', size, rest = '' } = area ?? {};
    const [start, end] = [BigInt(`0x${from || 0}`), BigInt(`0x${to || 0}`)];
    const isReal = start >= LEAST_ADDRESS && end >= LEAST_ADDRESS;
    if (!area || (isReal && end - start !== BigInt(size ?? 0))) {
      this.#tally.strange++;
      return;
    }
    const found = OWN_PAGES.exec(rest)?.groups;
    if (!found) return;
    const { caller = '', pages } = found;
    const bytes = Number(pages) * this.#tally.pageSize;
    // An area has room for its pages, and mostly for one more, which is left empty.
    if (bytes > Number(size)) {
      this.#tally.strange++;
      return;
    }
    // Behind the function stand other words: `ioremap`, `phys=`.
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
    for (const { address, bytes, caller } of areas ?? [])
      this.#block(this.#siteOf(caller, ''), address, bytes);
  }

  #block(site: string, place: bigint, bytes: number): void {
    const untold = { order: null, time: null, tid: null, command: null };
    this.#tally.onBlock({ site, place, bytes, ...untold });
  }

  #siteOf(frame: SiteFrame | null, text: string): string {
    const key = frame?.symbol ? `${frame.symbol}+${frame.offset} ${frame.module ?? ''}` : text;
    return this.#tally.known.idOf(key, 'caller', () => (frame ? [frame] : []));
  }
}

/** Whether the beginning of /proc/vmallocinfo has numbers that stand for addresses. */
export function hidesAddresses(first: string): boolean {
  const from = AREA.exec(first.slice(0, Math.max(0, first.indexOf('\n'))))?.groups?.from;
  return from !== undefined && BigInt(`0x${from}`) < LEAST_ADDRESS;
}
