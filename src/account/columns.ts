import { grown } from '../walk/pages/frame-index.js';

/** In place of a count: infinitely many, or more than fits. */
export const MOST_COUNTED = 0xffff_ffff;

/** The column with room for more rows, as many as {@link grown} says. */
export function longer(column: Uint32Array): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(grown(column.length));
  more.set(column);
  return more;
}

/** A table, which several have in common until one of them changes it. */
export class SharedTable<Table extends { copy(): Table }> {
  #table: Table;
  /** Somebody else may have the table too. */
  #common = true;

  /** @param table stays as it is */
  constructor(table: Table) {
    this.#table = table;
  }

  /** To read. */
  get table(): Table {
    return this.#table;
  }

  /** To change. */
  own(): Table {
    if (this.#common) {
      this.#table = this.#table.copy();
      this.#common = false;
    }
    return this.#table;
  }

  /** Takes another's table in place of this one. */
  take(other: SharedTable<Table>): void {
    this.#table = other.#table;
    this.#common = true;
    other.#common = true;
  }
}
