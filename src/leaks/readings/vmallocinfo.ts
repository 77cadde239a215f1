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

  constructor(tally: Tally) {
    this.#tally = tally;
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
    const site = this.#tally.known.idOf(name, 'caller', () => (frame ? [frame] : []));
    this.#tally.add(site, bytes, 1);
    if (!isReal) return;
    this.#tally.onBlock({
      site,
      place: start,
      bytes,
      order: null,
      time: null,
      tid: null,
      command: null,
    });
  }

  end(): void {}
}
