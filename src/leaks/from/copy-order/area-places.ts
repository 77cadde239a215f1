import { type CopyFacts, type CopyOrder, LEAST_MARKS, MOST_MARKS } from './copy-facts.js';

const AREA = /^(0x[0-9a-f]{1,16}-0x[0-9a-f]{1,16}) +(\d{1,15}) (\S+)/;

/**
 * /proc/vmallocinfo: many areas are held as long as the kernel runs. Their addresses, and the numbers that stand for
 * addresses, are others after each start. Which of two copies is the later one, nothing tells.
 */
export class AreaPlaces implements CopyFacts {
  readonly #areas = new Set<string>();

  line(text: string): void {
    const [, place = '', size, caller] = AREA.exec(text) ?? [];
    // kernel.kptr_restrict=2 prints zeros.
    if (/^[0x-]*$/.test(place) || this.#areas.size >= MOST_MARKS) return;
    this.#areas.add(`${place} ${size} ${caller}`);
  }

  after(earlier: AreaPlaces): CopyOrder {
    const least = Math.min(this.#areas.size, earlier.#areas.size);
    const common = [...this.#areas].filter((area) => earlier.#areas.has(area)).length;
    return least >= LEAST_MARKS && common < least / 10 ? 'unrelated' : 'untold';
  }
}
