/** How much of a packed file is unpacked at most: a few kilobytes may stand for terabytes. */
export interface UnpackLimit {
  /** Unpacked. */
  readonly bytes: number;
  readonly seconds: number;
}

/** No snapshot and no sosreport has more. */
export const CAPTURE_LIMIT: UnpackLimit = { bytes: 8 * 2 ** 30, seconds: 300 };

/** Hands pieces on until the limit is met. */
export class LimitedPieces {
  /** What was met; null: nothing. */
  met: string | null = null;
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
        this.met = `${(this.#limit.bytes / 2 ** 30).toFixed(1)} GiB were unpacked`;
      else if (performance.now() >= this.#end) this.met = `${this.#limit.seconds} seconds`;
      if (this.met !== null) return;
    }
  }
}
