import type { Category } from './category.js';

/** Bytes of each category, groups too, at one look. */
export type CategoryBytes = ReadonlyMap<Category['category'], number>;

/** What a category has more (less: negative) than at another look, in bytes; null: there was none before. */
export interface CategoryChange {
  readonly category: Category['category'];
  readonly sinceFirst: number | null;
  readonly sinceLast: number | null;
}

/** One of several looks at a running machine. */
export interface Look {
  /** From 1 on. */
  readonly number: number;
  /** When it was done. */
  readonly at: Date;
  readonly changes: readonly CategoryChange[];
}

/** Compares each look with the first and with the one before; keeps no more than these two. */
export class Looks {
  #first: CategoryBytes | undefined;
  #last: CategoryBytes | undefined;
  #number = 0;

  /** How many there were. */
  get count(): number {
    return this.#number;
  }

  next({ memory }: { readonly memory: Category }, at: Date): Look {
    const bytes = new Map(
      categoriesOf(memory).map((category) => [category.category, category.bytes]),
    );
    const since = (other: CategoryBytes | undefined, category: Category['category']) => {
      const before = other?.get(category);
      return before === undefined ? null : (bytes.get(category) ?? 0) - before;
    };
    const changes = [...bytes.keys()].map((category) => ({
      category,
      sinceFirst: since(this.#first, category),
      sinceLast: since(this.#last, category),
    }));
    this.#first ??= bytes;
    this.#last = bytes;
    return { number: ++this.#number, at, changes };
  }
}

function categoriesOf(category: Category): Category[] {
  return [category, ...category.children.flatMap(categoriesOf)];
}
