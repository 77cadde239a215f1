import { type CopyFacts, type CopyOrder, MOST_MARKS } from './copy-facts.js';

const HEAD = /^ {0,6}\d{1,15} \S.* age=(?:\d{1,15}\/\d{1,15}\/)?(\d{1,15})(?: |$)/;

/** Ticks that it may take to look at all objects of a cache. */
const SCAN_TICKS = 2;

/** Stacks that must agree: that their ages do to a tick is no chance. */
const LEAST_AGREED = 3;

/**
 * The oldest object of all must be older than the time between two copies by this: what a service allocated that was
 * started again meanwhile is younger.
 */
const LEAST_OLD = 3;

/**
 * Traces of SLUB: how old the oldest object of each stack is, in ticks of the kernel's clock (250 a second mostly). Where
 * that object is held still, it is older in the later copy by the time between the two, which is one for all stacks.
 */
export class SlabAges implements CopyFacts {
  readonly #oldest = new Map<string, number>();
  #age: number | undefined;
  #stack = '';

  line(text: string): void {
    if (text.startsWith('        ') && this.#age !== undefined) {
      if (this.#stack.length < 8192) this.#stack += `${text}\n`;
      return;
    }
    this.#close();
    const age = HEAD.exec(text)?.[1];
    if (age === undefined) return;
    this.#age = Number(age);
    this.#stack = `${text.trimStart().split(' ')[1]}\n`;
  }

  #close(): void {
    const [stack, age] = [this.#stack, this.#age];
    this.#age = undefined;
    if (age === undefined) return;
    if (this.#oldest.size >= MOST_MARKS && !this.#oldest.has(stack)) return;
    this.#oldest.set(stack, Math.max(age, this.#oldest.get(stack) ?? 0));
  }

  after(earlier: SlabAges): CopyOrder {
    this.#close();
    earlier.#close();
    const older = [...this.#oldest].flatMap(([stack, age]) => {
      const before = earlier.#oldest.get(stack);
      return before === undefined ? [] : [age - before];
    });
    const between = agreed(older.toSorted((a, b) => a - b));
    if (between === null) return 'untold';
    const [first, second] = [oldestOf(earlier.#oldest), oldestOf(this.#oldest)];
    const isSame = Math.abs(second - first - between) <= spread(between);
    if (!isSame || Math.min(first, second) < LEAST_OLD * Math.abs(between)) return 'untold';
    return between > 0 ? 'later' : 'earlier';
  }
}

function oldestOf(ages: ReadonlyMap<string, number>): number {
  let oldest = 0;
  for (const age of ages.values()) oldest = Math.max(oldest, age);
  return oldest;
}

/** Ticks by which what is one may differ. */
function spread(ticks: number): number {
  return SCAN_TICKS + Math.abs(ticks) / 100;
}

/**
 * How much older most objects are, ticks; null: there is nothing that most agree upon.
 *
 * @param older sorted
 */
function agreed(older: readonly number[]): number | null {
  const middle = older[Math.floor(older.length / 2)];
  if (middle === undefined) return null;
  const about = spread(middle);
  const agree = older.filter((ticks) => Math.abs(ticks - middle) <= about).length;
  const isOne = Math.abs(middle) > 2 * about && agree >= LEAST_AGREED && agree > older.length / 2;
  return isOne ? middle : null;
}
