import { type Finding, found } from '../finding.js';
import { evidenceOf, type LogLine } from './lines.js';

/** net/core/page_pool.c, every minute until all pages are back; ids since 6.7. */
const STALLED =
  /^page_pool_release_retry(?:\(\))?:? stalled pool shutdown:? (?:id (?<id>\d+), )?(?<pages>-?\d+) inflight (?<seconds>\d+) sec/;

/** Maximum number of pools in an untrusted log. */
const MAX_POOLS = 1000;

interface Stalled {
  /** A negative count is an error of the driver's accounting, and no amount. */
  readonly pages: number;
  readonly seconds: number;
  readonly line: LogLine;
}

/** Page pools of network drivers that were shut down while their pages are in use: the newest line of each counts. */
export class PagePoolReader {
  readonly #pageSize: number;
  readonly #pools = new Map<string, Stalled>();
  #before: number | undefined;

  constructor(pageSize: number) {
    this.#pageSize = pageSize;
  }

  take(line: LogLine): void {
    const { id = '', pages, seconds } = STALLED.exec(line.text)?.groups ?? {};
    if (pages === undefined || (!this.#pools.has(id) && this.#pools.size >= MAX_POOLS)) return;
    this.#before ??= Number(pages);
    this.#pools.set(id, { pages: Number(pages), seconds: Number(seconds), line });
  }

  end(): Finding | undefined {
    const pools = [...this.#pools.values()];
    const [newest] = pools.toSorted((a, b) => b.line.seq - a.line.seq);
    if (newest === undefined) return undefined;
    const counted = pools.filter(({ pages }) => pages > 0);
    const pages = counted.length === 0 ? null : counted.reduce((sum, pool) => sum + pool.pages, 0);
    const figures = {
      // Without ids, lines of several pools cannot be told apart.
      pools: this.#pools.has('') ? null : pools.length,
      pages,
      leastBytes: pages === null ? null : pages * this.#pageSize,
      firstPages: pools.length === 1 ? (this.#before ?? null) : null,
      seconds: Math.max(...pools.map((pool) => pool.seconds)),
    };
    this.#pools.clear();
    this.#before = undefined;
    return found('page-pool-stalled', 'warning', figures, undefined, { evidence: [evidenceOf(newest.line)] });
  }
}
