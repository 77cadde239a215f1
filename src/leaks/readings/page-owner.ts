import { hostOrNull } from '../../base/errors.js';
import type { ReadingSource } from './reading-source.js';
import type { Tally, TallyParser } from './tally.js';

const MAX_FRAMES = 128;
/** The buddy allocator returns no larger order. */
const MAX_ORDER = 14;

/** print_page_owner of mm/page_owner.c: `tgid` and the command since 5.18, `ts` since 5.11. */
const HEAD =
  /^Page allocated via order (?<order>\d{1,2}), mask 0x[0-9a-f]+\(.*?\)(?:, pid (?<pid>-?\d{1,10}))?(?:, tgid -?\d{1,10} \((?<command>.*?)\))?(?:, ts (?<ts>\d{1,20}) ns)?(?:, free_ts \d{1,20} ns)?$/;
/** Hexadecimal since about 5.16. */
const PLACE = /^PFN (?<pfn>0x[0-9a-f]{1,16}|\d{1,15}) type /;
/** Lines between the place and the stack, or after the stack. */
const OTHER =
  /^(Page has been migrated, last migrate reason: |Slab cache page|(Charged|Was charged|Online memcg|Offline memcg|.*memcg ))/;

interface Entry {
  readonly order: number;
  readonly tid: number | null;
  readonly command: string | null;
  readonly time: number | null;
  place: bigint | null;
  readonly stack: string[];
}

/** /sys/kernel/debug/page_owner (page_owner=on): each held block, with its stack. */
export class PageOwnerParser implements TallyParser {
  readonly #tally: Tally;
  #open: Entry | undefined;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  line(text: string): void {
    if (text === '') {
      this.end();
      return;
    }
    const open = this.#open;
    if (text.startsWith(' ') && open) {
      if (open.stack.length < MAX_FRAMES) open.stack.push(text);
      return;
    }
    const head = text.startsWith('Page allocated') ? HEAD.exec(text)?.groups : undefined;
    if (head && Number(head.order) <= MAX_ORDER) {
      this.end();
      this.#open = {
        order: Number(head.order),
        tid: head.pid === undefined ? null : Number(head.pid),
        command: head.command ?? null,
        time: head.ts === undefined ? null : Number(head.ts),
        place: null,
        stack: [],
      };
      return;
    }
    const pfn = open && PLACE.exec(text)?.groups?.pfn;
    if (open && pfn !== undefined) open.place = BigInt(pfn);
    else if (!open || !OTHER.test(text)) this.#tally.strange++;
  }

  end(): void {
    const open = this.#open;
    this.#open = undefined;
    if (!open) return;
    const { order, tid, command, time, place, stack } = open;
    // A block begins at a multiple of its size, and the kernel prints only its first page.
    if (place !== null && place % 2n ** BigInt(order) !== 0n) {
      this.#tally.strange++;
      return;
    }
    // The text is cut between two lines of this block.
    if (place === null) {
      this.#tally.cut++;
      return;
    }
    if (stack.length === 0) this.#tally.withoutStack++;
    const site = this.#tally.known.idOfStack(stack);
    const bytes = 2 ** order * this.#tally.pageSize;
    this.#tally.add(site, bytes, 1);
    this.#tally.onBlock({ site, place, bytes, order, time, tid, command });
  }
}

const COUNT = /^nr_base_pages: (?<pages>\d{1,15})$/;

/**
 * debugfs/page_owner_stacks/show_stacks, since 6.9: number of base pages that each stack holds, over all
 * orders.
 */
export class PageOwnerStacksParser implements TallyParser {
  readonly #tally: Tally;
  #stack: string[] = [];

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  line(text: string): void {
    if (text === '') return;
    if (text.startsWith(' ')) {
      if (this.#stack.length < MAX_FRAMES) this.#stack.push(text);
      return;
    }
    const pages = COUNT.exec(text)?.groups?.pages;
    const stack = this.#stack;
    this.#stack = [];
    if (pages === undefined) {
      this.#tally.strange++;
      return;
    }
    if (stack.length === 0) this.#tally.withoutStack += Number(pages);
    const site = this.#tally.known.idOfStack(stack);
    this.#tally.add(site, Number(pages) * this.#tally.pageSize, null);
  }

  /** Counts a last stack without its count as truncated. */
  end(): void {
    if (this.#stack.length > 0) this.#tally.cut++;
  }
}

const TIMES = /^(?<times>\d{1,10}) times, (?<pages>\d{1,12}) pages/;

/**
 * Output of page_owner_sort (tools/mm), in the forms of 2.6.37 to 7.2: equal blocks as one, with their number, the pages
 * of all, and the lines of one of them.
 */
export class PageOwnerSortParser implements TallyParser {
  readonly #tally: Tally;
  #open: { readonly times: number; readonly pages: number; readonly stack: string[] } | undefined;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  line(text: string): void {
    const { times, pages } = TIMES.exec(text)?.groups ?? {};
    if (pages !== undefined) {
      this.end();
      this.#open = { times: Number(times), pages: Number(pages), stack: [] };
    } else if (text.startsWith(' ') && this.#open) {
      if (this.#open.stack.length < MAX_FRAMES) this.#open.stack.push(text);
    } else if (text !== '' && !HEAD.test(text) && !PLACE.test(text) && !OTHER.test(text)) this.#tally.strange++;
  }

  end(): void {
    if (!this.#open) return;
    const { times, pages, stack } = this.#open;
    this.#open = undefined;
    if (stack.length === 0) this.#tally.withoutStack += times;
    this.#tally.add(this.#tally.known.idOfStack(stack), pages * this.#tally.pageSize, times);
  }
}

/** Number of objects and allocation site, then ages, pids and CPUs (slab_debugfs_show of mm/slub.c). */
const TRACE_HEAD =
  /^ {0,6}(?<count>\d{1,15}) (?<caller><not-available>|\S+(?: \[[^\]]+\])?)(?: +(?:waste|age|pid|cpus|nodes)=.*)?$/;

/**
 * A sysfs file is limited to one page. The kernel stops writing `alloc_calls` when a symbol of maximum length
 * (512) plus 100 bytes might not fit (list_locations of mm/slub.c).
 */
const CALLS_BYTES = 4096 - 512 - 100;

/**
 * `alloc_traces` of one cache in debugfs/slab (with slub_debug=U), or `alloc_calls` of older kernels in
 * /sys/kernel/slab, which contains only callers.
 */
export class SlabTracesParser implements TallyParser {
  readonly #tally: Tally;
  readonly #objectSize: number;
  #open: { readonly count: number; readonly caller: string; readonly lines: string[] } | undefined;

  #hasStacks = false;
  #bytes = 0;

  /** @param objectSize bytes */
  constructor(tally: Tally, objectSize: number) {
    this.#tally = tally;
    this.#objectSize = objectSize;
  }

  /** Whether the end of `alloc_calls` may be missing. */
  get isCut(): boolean {
    return !this.#hasStacks && this.#bytes > CALLS_BYTES;
  }

  line(text: string): void {
    this.#bytes += text.length + 1;
    if (text.startsWith('        ') && this.#open) {
      this.#hasStacks = true;
      if (this.#open.lines.length < MAX_FRAMES) this.#open.lines.push(text.trim());
      return;
    }
    const groups = TRACE_HEAD.exec(text)?.groups;
    if (!groups || contradicts(text)) {
      if (text !== '' && text !== 'No data') this.#tally.strange++;
      return;
    }
    this.end();
    this.#open = { count: Number(groups.count), caller: groups.caller ?? '', lines: [] };
  }

  end(): void {
    const open = this.#open;
    this.#open = undefined;
    if (!open) return;
    const { count, caller, lines } = open;
    const isKnown = caller !== '<not-available>';
    if (!isKnown) this.#tally.withoutStack += count;
    const [stack, kind] = lines.length > 0 ? [lines, 'stack' as const] : [[caller], 'caller' as const];
    const site = this.#tally.known.idOfStack(isKnown ? stack : [], kind);
    this.#tally.add(site, count * this.#objectSize, count);
  }
}

/** `age=LEAST/MEAN/MOST pid=FIRST-LAST`. */
const AGES = / age=(\d{1,15})\/(\d{1,15})\/(\d{1,15})(?: |$)/;
const PIDS = / pid=(\d{1,10})-(\d{1,10})(?: |$)/;

/** Its columns are in an impossible order: the record was overwritten. */
function contradicts(text: string): boolean {
  return [AGES, PIDS].some((pattern) => {
    const figures = pattern.exec(text)?.slice(1).map(Number) ?? [];
    return figures.some((figure, at) => at > 0 && figure < (figures[at - 1] ?? 0));
  });
}

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
    const groups = LINE.exec(text)?.groups;
    if (!groups) {
      this.#tally.strange++;
      return;
    }
    const { bytes, calls, file = '', number = '', module = null, func = '', rest } = groups;
    // Some of its allocations are not counted for lack of memory (version 2).
    if (rest?.includes('accurate:no')) this.#tally.inaccurate++;
    if (SLAB_PAGES.test(file)) return;
    if (bytes === '0' && calls === '0') return;
    const line = `${file}:${number}`;
    const frame = { symbol: func, offset: null, module, line, guess: false };
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
  return hostOrNull(() => source.readText(path).trim() === '1');
}
