const FRAME_MS = 100;

/** A line on stderr that is redrawn in place while something takes long; silent off a terminal. */
export class Progress {
  #drawn = false;
  #last = Number.NEGATIVE_INFINITY;

  /** Shows `text`, which must be plain, unless the line was redrawn a moment ago. */
  show(text: string): void {
    if (!process.stderr.isTTY) return;
    const now = performance.now();
    if (now - this.#last < FRAME_MS) return;
    this.#last = now;
    this.#drawn = true;
    process.stderr.write(`\r\x1b[K${text}`);
  }

  /** Removes the line. */
  clear(): void {
    if (this.#drawn) process.stderr.write('\r\x1b[K');
    this.#drawn = false;
  }
}
