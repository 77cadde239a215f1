import type { Tally, TallyParser } from './tally.js';

/** Objects and who allocated them; then how long ago, by which processes and CPUs (slab_debugfs_show of mm/slub.c). */
const HEAD =
  /^ {0,6}(?<count>\d{1,15}) (?<caller><not-available>|\S+(?: \[[^\]]+\])?)(?: +(?:waste|age|pid|cpus|nodes)=.*)?$/;
const MOST_FRAMES = 128;

/**
 * A file of sysfs has one page, and the kernel stops writing `alloc_calls` where a symbol of greatest length (512) and 100
 * bytes more might not find room (list_locations of mm/slub.c).
 */
const CALLS_BYTES = 4096 - 512 - 100;

/**
 * `alloc_traces` of one cache in debugfs/slab (with slub_debug=U), or `alloc_calls` of older kernels in
 * /sys/kernel/slab, which has callers alone.
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

  /** `alloc_calls` that may lack its end. */
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

/** Its columns are not in their order: something else was written over it. */
function contradicts(text: string): boolean {
  return [AGES, PIDS].some((pattern) => {
    const figures = pattern.exec(text)?.slice(1).map(Number) ?? [];
    return figures.some((figure, at) => at > 0 && figure < (figures[at - 1] ?? 0));
  });
}
