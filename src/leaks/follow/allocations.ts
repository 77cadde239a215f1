/** No allocation. */
export const NONE = -1;

/** Held allocations in typed arrays, 32 bytes each. Numbers are reused. */
export class Allocations {
  size = 0;
  #next = 0;
  /** The number that was freed last; its `held` contains the previous one. */
  #free = NONE;
  readonly #place: Float64Array;
  readonly #time: Float64Array;
  readonly #length: Uint32Array;
  readonly #held: Int32Array;
  readonly #tid: Int32Array;
  readonly #stack: Int32Array;

  /** Reserves all space at once: untouched pages use no memory. */
  constructor(readonly max: number) {
    this.#place = new Float64Array(max);
    this.#time = new Float64Array(max);
    this.#length = new Uint32Array(max);
    this.#held = new Int32Array(max);
    this.#tid = new Int32Array(max);
    this.#stack = new Int32Array(max);
  }

  /** @returns its number; -1 if there is no room */
  add(place: number, length: number, time: number, tid: number, stack: number): number {
    if (this.size >= this.max) return NONE;
    let number = this.#free;
    if (number === NONE) number = this.#next++;
    else this.#free = -2 - (this.#held[number] ?? 0);
    this.size++;
    this.#place[number] = place;
    this.#length[number] = length;
    this.#time[number] = time;
    this.#tid[number] = tid;
    this.#stack[number] = stack;
    this.#held[number] = 0;
    return number;
  }

  remove(number: number): void {
    this.size--;
    // Negative, unlike any held amount.
    this.#held[number] = -2 - this.#free;
    this.#free = number;
  }

  /** Adds to the held amount, in units of the follower. @returns the new amount */
  hold(number: number, more: number): number {
    const held = (this.#held[number] ?? 0) + more;
    this.#held[number] = held;
    return held;
  }

  held(number: number): number {
    return this.#held[number] ?? 0;
  }

  place(number: number): number {
    return this.#place[number] ?? 0;
  }

  length(number: number): number {
    return this.#length[number] ?? 0;
  }

  time(number: number): number {
    return this.#time[number] ?? 0;
  }

  tid(number: number): number {
    return this.#tid[number] ?? 0;
  }

  stack(number: number): number {
    return this.#stack[number] ?? 0;
  }

  /** Visits allocations by number, so that the order is reproducible. A visited allocation may be removed. */
  each(visit: (number: number) => void): void {
    for (let number = 0; number < this.#next; number++) if ((this.#held[number] ?? NONE) >= 0) visit(number);
  }
}

/** Marks an empty slot: neither a frame number nor an address. */
const EMPTY = -1;

const FIRST_SLOTS = 1024;

/** Maximum share of full slots: beyond it linear probing becomes slow. */
const MAX_FULL = 0.7;

/**
 * Numbers by place (up to 2^53), in typed arrays: 12 bytes a slot, where a Map takes 50 or more. Open
 * addressing with linear probing, and removal without tombstones.
 */
export class PlaceTable {
  size = 0;
  #places: Float64Array;
  #values: Uint32Array;
  #shift: number;
  /**
   * Random for each table: visiting one table in order while filling another would crowd its beginning, and
   * crafted numbers could crowd any part.
   */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);

  constructor() {
    this.#places = new Float64Array(FIRST_SLOTS).fill(EMPTY);
    this.#values = new Uint32Array(FIRST_SLOTS);
    this.#shift = 32 - Math.log2(FIRST_SLOTS);
  }

  /** -1 if not found. */
  get(place: number): number {
    const slot = this.#slotOf(place);
    return this.#places[slot] === place ? (this.#values[slot] ?? EMPTY) : EMPTY;
  }

  /** @param value 0 … 2^32 - 1 */
  set(place: number, value: number): void {
    let slot = this.#slotOf(place);
    if (this.#places[slot] !== place) {
      if (this.size + 1 > this.#places.length * MAX_FULL) {
        this.#grow();
        slot = this.#slotOf(place);
      }
      this.#places[slot] = place;
      this.size++;
    }
    this.#values[slot] = value;
  }

  delete(place: number): void {
    const places = this.#places;
    const values = this.#values;
    const last = places.length - 1;
    let hole = this.#slotOf(place);
    if (places[hole] !== place) return;
    this.size--;
    // Later entries of the same probe sequence move up.
    for (let slot = (hole + 1) & last; places[slot] !== EMPTY; slot = (slot + 1) & last) {
      const moved = places[slot] ?? EMPTY;
      if (((slot - this.#homeOf(moved)) & last) < ((slot - hole) & last)) continue;
      places[hole] = moved;
      values[hole] = values[slot] ?? 0;
      hole = slot;
    }
    places[hole] = EMPTY;
  }

  /** Visits entries in no particular order. The table must not change meanwhile. */
  each(visit: (place: number, value: number) => void): void {
    for (let slot = 0; slot < this.#places.length; slot++) {
      const place = this.#places[slot] ?? EMPTY;
      if (place !== EMPTY) visit(place, this.#values[slot] ?? 0);
    }
  }

  /** Slot of a place, or the slot where it would be inserted. */
  #slotOf(place: number): number {
    const places = this.#places;
    const last = places.length - 1;
    let slot = this.#homeOf(place);
    while (places[slot] !== place && places[slot] !== EMPTY) slot = (slot + 1) & last;
    return slot;
  }

  #homeOf(place: number): number {
    const high = Math.imul(Math.floor(place / 2 ** 32) ^ this.#seed, 0x85eb_ca6b);
    const mixed = Math.imul((place | 0) ^ high, 0xcc9e_2d51);
    return Math.imul(mixed ^ (mixed >>> 15), 0x9e37_79b1) >>> this.#shift;
  }

  #grow(): void {
    const [places, values] = [this.#places, this.#values];
    this.#places = new Float64Array(places.length * 2).fill(EMPTY);
    this.#values = new Uint32Array(places.length * 2);
    this.#shift--;
    for (let from = 0; from < places.length; from++) {
      const place = places[from] ?? EMPTY;
      if (place === EMPTY) continue;
      const slot = this.#slotOf(place);
      this.#places[slot] = place;
      this.#values[slot] = values[from] ?? 0;
    }
  }
}
