import { AddressIndex } from './address-index.js';
import { longer, MOST_COUNTED } from './columns.js';

/**
 * Shared infos that several clones have in common, by their addresses, with what hangs in each, as rows
 * of the tables of pages and slots: in columns of typed arrays, 36 bytes an info and 8 for each thing
 * that hangs in it, since there may be millions.
 */
export class CloneCounts {
  #index = new AddressIndex();
  /** How many clones there are of each, and how many of them were found. */
  #clones = new Uint32Array(0);
  #found = new Uint32Array(0);
  #frags = new Uint32Array(0);
  #pages = new RowLists();
  #slots = new RowLists();

  get size(): number {
    return this.#index.size;
  }

  /** Counts a clone found; true if it is the first of its shared info. @throws as AddressIndex.add */
  meet(sharedInfo: bigint, clones: number): boolean {
    const known = this.#index.size;
    const row = this.#index.add(sharedInfo);
    if (row === known) this.#set(row, clones, 0, 0);
    this.#found[row] = this.#found[row]! + 1;
    return row === known;
  }

  /** A reference to a page hangs in a shared info that was met. */
  addPage(sharedInfo: bigint, page: number): void {
    const row = this.#index.find(sharedInfo);
    if (row >= 0) this.#pages.push(row, page);
  }

  /** A reference to a slot does. */
  addSlot(sharedInfo: bigint, slot: number): void {
    const row = this.#index.find(sharedInfo);
    if (row >= 0) this.#slots.push(row, slot);
  }

  setFrags(sharedInfo: bigint, frags: number): void {
    const row = this.#index.find(sharedInfo);
    if (row >= 0) this.#frags[row] = frags;
  }

  /**
   * Counts another table's too; what hangs in the infos that both have is the same. Gives how many
   * frags those have.
   *
   * @param pageRows for each row of its pages the row here
   * @param slotRows for each row of its slots
   * @throws as {@link meet}
   */
  add(other: CloneCounts, pageRows: Uint32Array, slotRows: Uint32Array): number {
    let both = 0;
    for (let from = 0; from < other.size; from++) {
      const known = this.#index.size;
      const row = this.#index.addFrom(other.#index, from);
      const [found, frags] = [other.#found[from]!, other.#frags[from]!];
      if (row < known) {
        this.#found[row] = this.#found[row]! + found;
        both += Math.min(this.#frags[row]!, frags);
        continue;
      }
      this.#set(row, other.#clones[from]!, found, frags);
      for (const page of other.#pages.of(from)) this.#pages.push(row, pageRows[page]!);
      for (const slot of other.#slots.of(from)) this.#slots.push(row, slotRows[slot]!);
    }
    return both;
  }

  /**
   * Adds the references that hang in the infos of which all clones were found: a clone elsewhere keeps
   * the shared info, and so everything in it.
   *
   * @param pages counts by the rows of pages
   * @param slots counts by the rows of slots
   */
  countWhole(pages: Uint32Array, slots: Uint32Array): void {
    for (let row = 0; row < this.size; row++) {
      if (this.#found[row]! < this.#clones[row]!) continue;
      for (const page of this.#pages.of(row)) pages[page] = pages[page]! + 1;
      for (const slot of this.#slots.of(row)) slots[slot] = slots[slot]! + 1;
    }
  }

  copy(): CloneCounts {
    const copy = new CloneCounts();
    copy.#index = this.#index.copy();
    copy.#clones = this.#clones.slice();
    copy.#found = this.#found.slice();
    copy.#frags = this.#frags.slice();
    copy.#pages = this.#pages.copy();
    copy.#slots = this.#slots.copy();
    return copy;
  }

  #set(row: number, clones: number, found: number, frags: number): void {
    if (row >= this.#clones.length) {
      this.#clones = longer(this.#clones);
      this.#found = longer(this.#found);
      this.#frags = longer(this.#frags);
    }
    this.#clones[row] = Math.min(clones, MOST_COUNTED);
    this.#found[row] = found;
    this.#frags[row] = frags;
  }
}

/** Lists of rows, each of an owner that is a row too: links in columns, newest first. */
class RowLists {
  /** By owner its newest link, plus 1; 0: none. */
  #newest = new Uint32Array(0);
  #rows = new Uint32Array(0);
  /** By link the one before of the same owner, plus 1. */
  #before = new Uint32Array(0);
  #links = 0;

  push(owner: number, row: number): void {
    while (owner >= this.#newest.length) this.#newest = longer(this.#newest);
    if (this.#links === this.#rows.length) {
      this.#rows = longer(this.#rows);
      this.#before = longer(this.#before);
    }
    const link = this.#links++;
    this.#rows[link] = row;
    this.#before[link] = this.#newest[owner]!;
    this.#newest[owner] = link + 1;
  }

  *of(owner: number): Generator<number> {
    for (let link = this.#newest[owner] ?? 0; link > 0; link = this.#before[link - 1]!) {
      yield this.#rows[link - 1]!;
    }
  }

  copy(): RowLists {
    const copy = new RowLists();
    copy.#newest = this.#newest.slice();
    copy.#rows = this.#rows.slice();
    copy.#before = this.#before.slice();
    copy.#links = this.#links;
    return copy;
  }
}
