/** Bytes allocated at once: a separate buffer for each small struct would cost more than its contents. */
const SLAB_BYTES = 65_536;

/** Buffer for copies of constant bytes: many share one buffer, which lives as long as they do. */
export class Copies {
  /** Buffer of the latest copy, which begins at `base`. */
  bytes = new Uint8Array(0);
  /** View of the same buffer. */
  view = new DataView(this.bytes.buffer);
  base = 0;
  #used = 0;

  allocate(length: number): void {
    if (this.#used + length > this.bytes.length) {
      this.bytes = new Uint8Array(Math.max(length, SLAB_BYTES));
      this.view = new DataView(this.bytes.buffer);
      this.#used = 0;
    }
    this.base = this.#used;
    this.#used += length;
  }
}
