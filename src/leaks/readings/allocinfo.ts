import { isHostError } from '../../base/errors.js';
import type { ReadingSource } from './reading-source.js';
import type { Tally, TallyParser } from './tally.js';

/** Bytes, calls, and a line of source (allocinfo_show of lib/alloc_tag.c, codetag_to_text of lib/codetag.c). */
const LINE =
  /^ *(?<bytes>-?\d{1,18}) +(?<calls>-?\d{1,18}) (?<file>\S{1,512}?):(?<number>\d{1,9})(?: (?:module:|\[)(?<module>[^\] ]{1,64})\]?)? func:(?<func>\S{1,512})(?<rest> .*)?$/;
const HEADER = /^allocinfo - version: (?<version>\d+)\.\d+$/;
/** Known versions of the format. */
const VERSIONS = new Set(['1', '2']);

/** Pages of slabs: their objects are counted at their own sites. */
const SLAB_PAGES = /(^|\/)mm\/slub\.c$/;

/** /proc/allocinfo: allocation profiling, since 6.10. */
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
    // Some of its allocations are not counted for lack of memory (version 2).
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

/** Whether allocations are counted (allocation profiling, since 6.10). */
export const PROFILING = '/proc/sys/vm/mem_profiling';

/** Null: unknown. */
export function isSwitchOn(source: Pick<ReadingSource, 'readText'>, path: string): boolean | null {
  try {
    return source.readText(path).trim() === '1';
  } catch (error) {
    if (!isHostError(error)) throw error;
    return null;
  }
}
