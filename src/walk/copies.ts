/** Memory that is taken at a time: a buffer for the few bytes of each struct would cost more than they do. */
const SLAB_BYTES = 65_536;

/** Room for copies of bytes that stay as they are: many lie in one buffer, which lives as long as they. */
export class Copies {
  /** The room that was made last: bytes of these, from `base` on. */
  bytes = new Uint8Array(0);
  /** The same bytes. */
  view = new DataView(this.bytes.buffer);
  base = 0;
  #used = 0;

  room(length: number): void {
    if (this.#used + length > this.bytes.length) {
      this.bytes = new Uint8Array(Math.max(length, SLAB_BYTES));
      this.view = new DataView(this.bytes.buffer);
      this.#used = 0;
    }
    this.base = this.#used;
    this.#used += length;
  }
}
