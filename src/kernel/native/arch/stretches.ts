/** Stretches remembered. */
const MOST_STRETCHES = 65_536;
/** Bytes of lowest tables kept. */
const MOST_TABLE_BYTES = 4 << 20;

/**
 * What walks through page tables found, by the stretch of addresses that a lowest table maps: a
 * physical address, the table, or -1. Bounded: it begins anew when it is full.
 */
export class Stretches {
  readonly #found = new Map<number, number | DataView>();
  #tableBytes = 0;

  get(key: number): number | DataView | undefined {
    return this.#found.get(key);
  }

  /** Keeps a copy of a table: the image's view would hold on to a whole block of its cache. */
  keep(key: number, found: number | DataView): number | DataView {
    if (this.#found.size >= MOST_STRETCHES || this.#tableBytes >= MOST_TABLE_BYTES) {
      this.#found.clear();
      this.#tableBytes = 0;
    }
    let kept = found;
    if (typeof found !== 'number') {
      const { buffer, byteOffset, byteLength } = found;
      kept = new DataView(buffer.slice(byteOffset, byteOffset + byteLength));
      this.#tableBytes += byteLength;
    }
    this.#found.set(key, kept);
    return kept;
  }
}
