/** Limits on decompression: a few kilobytes may expand to terabytes. */
export interface UnpackLimit {
  /** Decompressed bytes. */
  readonly bytes: number;
  readonly seconds: number;
}

/** No snapshot or sosreport is larger. */
export const CAPTURE_LIMIT: UnpackLimit = { bytes: 8 * 2 ** 30, seconds: 300 };

/** Passes pieces on until the limit is reached. */
export class LimitedStream {
  /** The limit that was reached; null: none. */
  exceeded: string | null = null;
  readonly #limit: UnpackLimit;
  readonly #end: number;
  #bytes = 0;

  constructor(limit: UnpackLimit) {
    this.#limit = limit;
    this.#end = performance.now() + limit.seconds * 1000;
  }

  async *of(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const piece of pieces) {
      yield piece;
      this.#bytes += piece.length;
      if (this.#bytes >= this.#limit.bytes)
        this.exceeded = `${(this.#limit.bytes / 2 ** 30).toFixed(1)} GiB were unpacked`;
      else if (performance.now() >= this.#end) this.exceeded = `${this.#limit.seconds} seconds`;
      if (this.exceeded !== null) return;
    }
  }
}
