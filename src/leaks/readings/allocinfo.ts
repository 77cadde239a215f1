import type { Tally, TallyParser } from './tally.js';

/** Bytes, calls, and a line of source (allocinfo_show of lib/alloc_tag.c, codetag_to_text of lib/codetag.c). */
const LINE =
  /^ *(?<bytes>-?\d{1,18}) +(?<calls>-?\d{1,18}) (?<file>\S{1,512}?):(?<number>\d{1,9})(?: (?:module:|\[)(?<module>[^\] ]{1,64})\]?)? func:(?<func>\S{1,512})(?<rest> .*)?$/;
const HEADER = /^allocinfo - version: (?<version>\d+)\.\d+$/;
/** Those whose form is known. */
const VERSIONS = new Set(['1', '2']);

/** Slabs' pages: what lies on them is counted where it is allocated. */
const SLAB_PAGES = /(^|\/)mm\/slub\.c$/;

/** /proc/allocinfo: allocation profiling, from 6.10 on. */
export class AllocinfoParser implements TallyParser {
  readonly #tally: Tally;
  #hasHeader = false;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  line(text: string): void {
    const version = HEADER.exec(text)?.groups?.version;
    if (version !== undefined) {
      this.#hasHeader = true;
      if (!VERSIONS.has(version)) this.#tally.cut++;
      return;
    }
    if (text === '' || text.startsWith('#')) return;
    const found = LINE.exec(text)?.groups;
    if (!found) {
      this.#tally.strange++;
      return;
    }
    const { bytes, calls, file = '', number = '', module = null, func = '', rest } = found;
    // For want of memory some of its allocations are not counted (version 2).
    if (rest?.includes('accurate:no')) this.#tally.inaccurate++;
    if (SLAB_PAGES.test(file)) return;
    if (bytes === '0' && calls === '0') return;
    const line = `${file}:${number}`;
    const frame = { symbol: func, offset: null, module, line };
    const key = `${line} ${module ?? ''} ${func}`;
    const site = this.#tally.known.idOf(key, 'line', () => [frame]);
    this.#tally.add(site, Number(bytes), Number(calls));
  }

  end(): void {
    if (!this.#hasHeader) this.#tally.cut++;
  }
}
