import { parseSymbolFrame } from './symbol-frame.js';
import type { Tally, TallyParser } from './tally.js';

/** Of areas that own pages; those that map what is somebody else's have no `pages=` (s_show of mm/vmalloc.c). */
const AREA =
  /^0x(?<from>[0-9a-f]{1,16})-0x[0-9a-f]{1,16} +\d{1,15} (?<caller>.*?) ?pages=(?<pages>\d{1,12})(?: |$)/;
const ANY_AREA = /^0x[0-9a-f]{1,16}-0x[0-9a-f]{1,16} +\d{1,15}/;
/** Without kernel.kptr_restrict the kernel prints numbers that are no addresses. */
const LEAST_ADDRESS = 0xff00_0000_0000_0000n;

/** /proc/vmallocinfo: areas of vmalloc, and who asked for them. */
export class VmallocinfoParser implements TallyParser {
  readonly #tally: Tally;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  line(text: string): void {
    const found = AREA.exec(text)?.groups;
    if (!found) {
      if (text !== '' && !ANY_AREA.test(text)) this.#tally.strange++;
      return;
    }
    const { from = '', caller = '', pages } = found;
    // Behind the function stand other words: `ioremap`, `phys=`.
    const name = /^\S+(?: \[[^\] ]+\])?/.exec(caller)?.[0] ?? '';
    const frame = parseSymbolFrame(name);
    if (!frame) this.#tally.withoutStack++;
    const site = this.#tally.known.idOf(name, 'caller', () => (frame ? [frame] : []));
    const bytes = Number(pages) * this.#tally.pageSize;
    this.#tally.add(site, bytes, 1);
    const place = BigInt(`0x${from}`);
    if (place < LEAST_ADDRESS) return;
    this.#tally.onBlock({ site, place, bytes, order: null, time: null, tid: null, command: null });
  }

  end(): void {}
}
