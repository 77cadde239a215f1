import type { Tally, TallyParser } from './tally.js';

const MOST_FRAMES = 128;
/** The buddy allocator returns no larger order. */
const MOST_ORDER = 14;

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
      if (open.stack.length < MOST_FRAMES) open.stack.push(text);
      return;
    }
    const head = text.startsWith('Page allocated') ? HEAD.exec(text)?.groups : undefined;
    if (head && Number(head.order) <= MOST_ORDER) {
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
      if (this.#stack.length < MOST_FRAMES) this.#stack.push(text);
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
