import { type CopyFacts, type CopyOrder, LEAST_MARKS, MOST_MARKS } from './copy-facts.js';

const HEAD = /^Page allocated via order \d.*, ts (\d{1,20}) ns(?:, free_ts \d{1,20} ns)?$/;

/**
 * page_owner, from 5.11 on: when each block was allocated. Something is allocated at any time, so that the newest block
 * tells when a copy was made. What was there when the earlier copy was made, and is there still, was in that: almost
 * none of it is where the two are of two starts of a kernel. (Blocks that move keep their times, and while
 * a copy is made blocks come and go.)
 */
export class PageOwnerTimes implements CopyFacts {
  /** Nanoseconds since the kernel began, of the first blocks. */
  readonly #times: number[] = [];
  #newest = -1;

  line(text: string): void {
    const time = text.startsWith('Page allocated') ? HEAD.exec(text)?.[1] : undefined;
    if (time === undefined) return;
    this.#newest = Math.max(this.#newest, Number(time));
    if (this.#times.length < MOST_MARKS) this.#times.push(Number(time));
  }

  after(earlier: PageOwnerTimes): CopyOrder {
    if (earlier.#newest < 0 || this.#newest < 0) return 'untold';
    if (this.#newest <= earlier.#newest) return 'earlier';
    const known = new Set(earlier.#times);
    // Frames come in their order: of the first ones those of the earlier copy are kept too.
    const first = this.#times.slice(0, MOST_MARKS / 4);
    const old = first.filter((time) => time > 0 && time < earlier.#newest / 2);
    const met = old.filter((time) => known.has(time)).length;
    return old.length >= LEAST_MARKS && met < old.length / 4 ? 'unrelated' : 'later';
  }
}
