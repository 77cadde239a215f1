import { isEntry, type SiteFrame } from '../../records/allocation-sites.js';

/** Maximum number of distinct call sites; a kernel has some ten thousand. */
const MOST_FRAMES = 0xffff;
/**
 * Maximum number of distinct lines. One function may have several: addresses and build ids of modules differ.
 */
const MOST_LINES = 131_072;
const MOST_CHARACTERS = 8 * 2 ** 20;

/** A line that is no kernel function. */
export const NO_FRAME = -1;
/** A function beyond the limit. */
export const NO_ROOM = -2;

/**
 * Numbers functions of stacks in text: each is stored once, however many stacks contain it. A stack is then a
 * few numbers, and no string of the file is kept.
 */
export class KnownFrames {
  readonly #frames: SiteFrame[] = [];
  readonly #isEntry: boolean[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #byLine = new Map<string, number>();
  #characters = 0;

  /** @param read called for the first occurrence of the line */
  numberOf(line: string, read: (line: string) => SiteFrame | null): number {
    const known = this.#byLine.get(line);
    if (known !== undefined) return known;
    const frame = read(line);
    if (frame === null) return NO_FRAME;
    const number = this.#numbered(frame, line);
    if (number === NO_ROOM || this.#byLine.size >= MOST_LINES) return number;
    if (this.#takeRoom(line.length)) this.#byLine.set(whole(line), number);
    return number;
  }

  frame(number: number): SiteFrame {
    const frame = this.#frames[number];
    if (!frame) throw new TypeError(`there is no frame ${number}`);
    return frame;
  }

  /** Whether the functions below it on a stack were interrupted there. */
  isEntry(number: number): boolean {
    return this.#isEntry[number] ?? false;
  }

  #numbered(frame: SiteFrame, text: string): number {
    const { symbol, offset, module } = frame;
    // Functions without a name are identified by address.
    const key = symbol === null ? text.trim() : `${symbol}+${offset} ${module}`;
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    if (this.#frames.length >= MOST_FRAMES || !this.#takeRoom(2 * key.length)) return NO_ROOM;
    const number = this.#frames.length;
    this.#frames.push({
      ...frame,
      symbol: symbol === null ? null : whole(symbol),
      module: module === null ? null : whole(module),
    });
    this.#isEntry.push(isEntry(frame));
    this.#byKey.set(whole(key), number);
    return number;
  }

  #takeRoom(characters: number): boolean {
    if (this.#characters + characters > MOST_CHARACTERS) return false;
    this.#characters += characters;
    return true;
  }
}

/** Copies a string: V8 keeps a substring as a view of the complete string. */
function whole(text: string): string {
  return Buffer.from(text).toString();
}

/** Encodes frame numbers as a Map key, two bytes each. */
export function keyOfFrames(numbers: readonly number[]): string {
  return String.fromCharCode(...numbers);
}
