import { AddressIndex } from '../walk/pages/frame-index.js';
import { longer, MAX_COUNTED } from './counts.js';

/**
 * Shared infos of several clones, by address, with the pages and slots that they reference: typed arrays, 32
 * bytes an info and 8 a reference, since there may be millions.
 */
export class CloneCounts {
  #index = new AddressIndex();
  /** Number of clones of each info, and the number found. */
  #clones = new Uint32Array(0);
  #found = new Uint32Array(0);
  #frags = new Uint32Array(0);
  #pages = new Links();
  #slots = new Links();

  get size(): number {
    return this.#index.size;
  }

  /**
   * Counts a clone; returns true if it is the first one found of its shared info. @throws as AddressIndex.add
   */
  countClone(sharedInfo: bigint, clones: number): boolean {
    const known = this.#index.size;
    const row = this.#index.add(sharedInfo);
    if (row === known) this.#set(row, clones, 0, 0);
    else this.#atLeast(row, clones);
    this.#found[row] = this.#found[row]! + 1;
    return row === known;
  }

  /** Records that a known shared info references a page. */
  addPage(sharedInfo: bigint, page: number): void {
    const row = this.#index.find(sharedInfo);
    if (row >= 0) this.#pages.push(row, page);
  }

  /** Records that a known shared info references a slot. */
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
   * @throws as {@link countClone}
   */
  add(other: CloneCounts, pageRows: Uint32Array, slotRows: Uint32Array): number {
    let both = 0;
    const added = new Int32Array(other.size).fill(-1);
    for (let from = 0; from < other.size; from++) {
      const known = this.#index.size;
      const row = this.#index.addFrom(other.#index, from);
      const [found, frags] = [other.#found[from]!, other.#frags[from]!];
      if (row < known) {
        this.#found[row] = this.#found[row]! + found;
        this.#atLeast(row, other.#clones[from]!);
        both += Math.min(this.#frags[row]!, frags);
      } else {
        this.#set(row, other.#clones[from]!, found, frags);
        added[from] = row;
      }
    }
    this.#pages.add(other.#pages, added, pageRows);
    this.#slots.add(other.#slots, added, slotRows);
    return both;
  }

  /**
   * Adds the references of infos of which all clones were found: another clone keeps the shared info, and
   * everything in it.
   *
   * @param pages counts by the rows of pages
   * @param slots counts by the rows of slots
   */
  countWhole(pages: Uint32Array, slots: Uint32Array): void {
    const isWhole = (row: number) => this.#found[row]! >= this.#clones[row]!;
    this.#pages.countOf(isWhole, pages);
    this.#slots.countOf(isWhole, slots);
  }

  /** Adds the references of all infos: each holds its own, whether or not its clones were found. */
  countAll(pages: Uint32Array, slots: Uint32Array): void {
    const all = () => true;
    this.#pages.countOf(all, pages);
    this.#slots.countOf(all, slots);
  }

  /** Address of a shared info. */
  address(row: number): bigint {
    return this.#index.address(row);
  }

  /** Number of clones of a shared info; an skb with several users counts once for each. */
  clones(row: number): number {
    return this.#clones[row]!;
  }

  /** Number of its clones that were found. */
  found(row: number): number {
    return this.#found[row]!;
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

  /** Two clones may show different user counts. */
  #atLeast(row: number, clones: number): void {
    this.#clones[row] = Math.max(this.#clones[row]!, Math.min(clones, MAX_COUNTED));
  }

  #set(row: number, clones: number, found: number, frags: number): void {
    if (row >= this.#clones.length) {
      this.#clones = longer(this.#clones);
      this.#found = longer(this.#found);
      this.#frags = longer(this.#frags);
    }
    this.#clones[row] = Math.min(clones, MAX_COUNTED);
    this.#found[row] = found;
    this.#frags[row] = frags;
  }
}

/** Contents of infos: pairs of an info's row and the row of a page or slot. */
class Links {
  #infos = new Uint32Array(0);
  #things = new Uint32Array(0);
  #count = 0;

  push(info: number, thing: number): void {
    if (this.#count === this.#infos.length) {
      this.#infos = longer(this.#infos);
      this.#things = longer(this.#things);
    }
    this.#infos[this.#count] = info;
    this.#things[this.#count] = thing;
    this.#count++;
  }

  /**
   * @param infoRows row here for each row of the other's infos; -1: not added
   * @param thingRows row here for each row of their contents
   */
  add(other: Links, infoRows: Int32Array, thingRows: Uint32Array): void {
    for (let link = 0; link < other.#count; link++) {
      const info = infoRows[other.#infos[link]!]!;
      if (info >= 0) this.push(info, thingRows[other.#things[link]!]!);
    }
  }

  /** Counts each thing once for every reference from a selected info. */
  countOf(isCounted: (info: number) => boolean, counts: Uint32Array): void {
    for (let link = 0; link < this.#count; link++) {
      if (!isCounted(this.#infos[link]!)) continue;
      const thing = this.#things[link]!;
      counts[thing] = counts[thing]! + 1;
    }
  }

  copy(): Links {
    const copy = new Links();
    copy.#infos = this.#infos.slice();
    copy.#things = this.#things.slice();
    copy.#count = this.#count;
    return copy;
  }
}
