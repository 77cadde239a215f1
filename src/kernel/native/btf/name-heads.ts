import { CHUNK, type LazyBytes } from '../lazy-bytes.js';

/** Bytes of a name that are compared at once. */
const HEAD = 4;

/**
 * Finds names that stay where they are, in one section of strings, by their first four bytes: reading
 * those of 40,000 names takes a millisecond, searching them 10 µs, and few names are asked for.
 * A hash of whole names took thirty times as long to make.
 */
export class NameHeads {
  readonly #strings: Uint8Array;
  readonly #nameAt: Int32Array;
  readonly #lazy: LazyBytes | undefined;
  readonly #heads: Uint32Array;

  /**
   * @param strings names that end in NUL
   * @param nameAt where in `strings` the name of each entry begins
   * @param lazy the strings, where they are not all there yet
   */
  constructor(strings: Uint8Array, nameAt: Int32Array, lazy?: LazyBytes) {
    this.#strings = strings;
    this.#nameAt = nameAt;
    this.#lazy = lazy;
    lazy?.needEach(nameAt);
    this.#heads = new Uint32Array(nameAt.length);
    for (let entry = 0; entry < nameAt.length; entry++) {
      this.#heads[entry] = headAt(strings, nameAt[entry]!, lazy);
    }
  }

  /** Numbers of all entries of that name, in order. */
  find(name: string): number[] {
    const bytes = Buffer.from(`${name}\0`, 'latin1');
    const found: number[] = [];
    if (name === '' || name.includes('\0')) return found;
    const head = headAt(bytes, 0);
    const heads = this.#heads;
    // The search is V8's own: a loop of ours is run through a few times only, and never optimized.
    for (let entry = heads.indexOf(head); entry >= 0; entry = heads.indexOf(head, entry + 1)) {
      if (startsAt(this.#strings, this.#nameAt[entry]!, bytes, this.#lazy)) found.push(entry);
    }
    return found;
  }
}

/**
 * Whether `bytes` stand at a place of the strings, which are not fetched any farther than they do:
 * behind a name may lie what the dump does not have.
 */
function startsAt(strings: Uint8Array, at: number, bytes: Uint8Array, lazy?: LazyBytes): boolean {
  for (let index = 0; index < bytes.length; index++) {
    const place = at + index;
    if (index === 0 || place % CHUNK === 0) lazy?.need(place, place + 1);
    if (strings[place] !== bytes[index]) return false;
  }
  return true;
}

/** The first bytes of a name as one number, with zeros where it is shorter. */
function headAt(strings: Uint8Array, at: number, lazy?: LazyBytes): number {
  let head = 0;
  for (let index = 0; index < HEAD; index++) {
    const place = at + index;
    if (index > 0 && place % CHUNK === 0) lazy?.need(place, place + 1);
    // Behind the section's end, undefined: zero as well.
    const byte = strings[place];
    if (!byte) break;
    head |= byte << (8 * index);
  }
  return head >>> 0;
}
