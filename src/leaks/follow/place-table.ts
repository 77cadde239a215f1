/** No number of a frame, and no address. */
const EMPTY = -1;

const FIRST_SLOTS = 1024;

/** Full slots, of all. Linear probing becomes slow beyond. */
const MOST_FULL = 0.7;

/**
 * Numbers by place (up to 2^53), in typed arrays: 12 bytes a slot, where a Map takes 50 or more. Open addressing,
 * linear probing; what is removed leaves no mark.
 */
export class PlaceTable {
  size = 0;
  #places: Float64Array;
  #values: Uint32Array;
  #shift: number;
  /**
   * Its own for each table: what one visits in its order would else crowd at the beginning of another that
   * grows, and whoever makes numbers up could crowd them anywhere.
   */
  readonly #seed = Math.floor(Math.random() * 2 ** 32);

  constructor() {
    this.#places = new Float64Array(FIRST_SLOTS).fill(EMPTY);
    this.#values = new Uint32Array(FIRST_SLOTS);
    this.#shift = 32 - Math.log2(FIRST_SLOTS);
  }

  /** -1: there is none. */
  get(place: number): number {
    const slot = this.#slotOf(place);
    return this.#places[slot] === place ? (this.#values[slot] ?? EMPTY) : EMPTY;
  }

  /** @param value 0 … 2^32 - 1 */
  set(place: number, value: number): void {
    let slot = this.#slotOf(place);
    if (this.#places[slot] !== place) {
      if (this.size + 1 > this.#places.length * MOST_FULL) {
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
    // Whatever came to lie behind it by probing moves up.
    for (let slot = (hole + 1) & last; places[slot] !== EMPTY; slot = (slot + 1) & last) {
      const moved = places[slot] ?? EMPTY;
      if (((slot - this.#homeOf(moved)) & last) < ((slot - hole) & last)) continue;
      places[hole] = moved;
      values[hole] = values[slot] ?? 0;
      hole = slot;
    }
    places[hole] = EMPTY;
  }

  /** In no order. Nothing may be changed meanwhile. */
  each(visit: (place: number, value: number) => void): void {
    for (let slot = 0; slot < this.#places.length; slot++) {
      const place = this.#places[slot] ?? EMPTY;
      if (place !== EMPTY) visit(place, this.#values[slot] ?? 0);
    }
  }

  /** Where a place is, or would be put. */
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
