import type { Points } from './points.js';
import { Samples } from './samples.js';

/** Seconds of a day: the rhythm of what people do. */
export const DAY = 86_400;

/** Each is a whole part of the next, and up to a day of a day: pieces of two days lie at the same hours. */
const WIDTHS = [1, 5, 15, 60, 300, 900, 3600, 7200, 14_400, 28_800, DAY];

/** Of an hour each: eight days. */
const MOST_PIECES = 192;

/**
 * Samples of one figure over days, in bounded memory however many come: means of pieces of time that begin at the
 * same hours of each day. When there is no room the pieces are made wider, so that all of the time is kept.
 */
export class DaySeries extends Samples {
  /** Pieces that have samples, in the order of time: its number, how many samples, sums of both. */
  readonly #pieces: { at: number; samples: number; time: number; value: number }[] = [];
  #width = 1;

  /** Seconds that a piece has. */
  get width(): number {
    return this.#width;
  }

  protected keep(time: number, value: number): void {
    const at = Math.floor(time / this.#width);
    const open = this.#pieces.at(-1);
    if (open?.at === at) {
      open.samples++;
      open.time += time;
      open.value += value;
      return;
    }
    this.#pieces.push({ at, samples: 1, time, value });
    while (this.#pieces.length > MOST_PIECES) this.#widen();
  }

  /**
   * Means of pieces that are whole parts of a day, at least so wide; the last is of what has come of it.
   *
   * @param least seconds, a part of a day or several days
   */
  points(least = 0): Points {
    let width = this.#width;
    while (width < least) width = nextWidth(width);
    const pieces = joined(this.#pieces, width / this.#width);
    return {
      times: Float64Array.from(pieces, ({ time, samples }) => time / samples),
      values: Float64Array.from(pieces, ({ value, samples }) => value / samples),
    };
  }

  #widen(): void {
    const wider = nextWidth(this.#width);
    const pieces = joined(this.#pieces, wider / this.#width);
    this.#pieces.splice(0, this.#pieces.length, ...pieces);
    this.#width = wider;
  }
}

type Piece = { at: number; samples: number; time: number; value: number };

function joined(pieces: readonly Readonly<Piece>[], factor: number): Piece[] {
  const found: Piece[] = [];
  for (const { at, ...sums } of pieces) {
    const number = Math.floor(at / factor);
    const open = found.at(-1);
    if (open?.at === number) {
      open.samples += sums.samples;
      open.time += sums.time;
      open.value += sums.value;
    } else found.push({ at: number, ...sums });
  }
  return found;
}

function nextWidth(width: number): number {
  return WIDTHS.find((one) => one > width) ?? 2 * width;
}
