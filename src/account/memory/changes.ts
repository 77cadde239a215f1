import type { Category } from './tree.js';

/** Bytes of each category and group in one sample. */
export type CategoryBytes = ReadonlyMap<Category['category'], number>;

/** Change of a category since earlier samples, bytes; null: unknown. */
export interface CategoryChange {
  readonly category: Category['category'];
  readonly sinceFirst: number | null;
  readonly sinceLast: number | null;
}

/** One of several samples of a running machine. */
export interface MemorySample {
  /** Sample number, starting at 1. */
  readonly number: number;
  /** Time of the sample. */
  readonly at: Date;
  readonly changes: readonly CategoryChange[];
}

/** Compares each sample with the first and the previous one, and keeps only these two. */
export class MemorySamples {
  #first: CategoryBytes | undefined;
  #last: CategoryBytes | undefined;
  #number = 0;

  /** Number of samples. */
  get count(): number {
    return this.#number;
  }

  next({ memory }: { readonly memory: Category }, at: Date): MemorySample {
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
