import type { Tally, TallyParser } from './tally.js';

/** Number of objects and allocation site, then ages, pids and CPUs (slab_debugfs_show of mm/slub.c). */
const HEAD =
  /^ {0,6}(?<count>\d{1,15}) (?<caller><not-available>|\S+(?: \[[^\]]+\])?)(?: +(?:waste|age|pid|cpus|nodes)=.*)?$/;
const MOST_FRAMES = 128;

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
      if (this.#open.lines.length < MOST_FRAMES) this.#open.lines.push(text.trim());
      return;
    }
    const found = HEAD.exec(text)?.groups;
    if (!found || contradicts(text)) {
      if (text !== '' && text !== 'No data') this.#tally.strange++;
      return;
    }
    this.end();
    this.#open = { count: Number(found.count), caller: found.caller ?? '', lines: [] };
  }

  end(): void {
    const open = this.#open;
    this.#open = undefined;
    if (!open) return;
    const { count, caller, lines } = open;
    const isKnown = caller !== '<not-available>';
    if (!isKnown) this.#tally.withoutStack += count;
    const [stack, kind] =
      lines.length > 0 ? [lines, 'stack' as const] : [[caller], 'caller' as const];
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
