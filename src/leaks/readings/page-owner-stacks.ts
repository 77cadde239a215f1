import type { Tally, TallyParser } from './tally.js';

const MOST_FRAMES = 128;
const COUNT = /^nr_base_pages: (?<pages>\d{1,15})$/;

/** debugfs/page_owner_stacks/show_stacks, from 6.9 on: base pages that each stack holds, all orders together. */
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

  /** A stack whose count does not come any more. */
  end(): void {
    if (this.#stack.length > 0) this.#tally.cut++;
  }
}
