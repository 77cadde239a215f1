import type { SiteFrame } from '../recording.js';
import { isEntry } from '../site-frames.js';

/** A kernel calls its allocators from some ten thousand places; more are not told apart. */
const MOST_FRAMES = 0xffff;
/** Lines that say the same in other words (addresses, modules' build ids) are several. */
const MOST_LINES = 131_072;
const MOST_CHARACTERS = 8 * 2 ** 20;

/** What a line is that is no function of the kernel's. */
export const NO_FRAME = -1;
/** A function beyond the bounds. */
export const NO_ROOM = -2;

/**
 * Numbers functions on stacks that come as text: each is kept once, however many stacks it is on. A stack is then a
 * few numbers, and no string of a file stays.
 */
export class KnownFrames {
  readonly #frames: SiteFrame[] = [];
  readonly #isEntry: boolean[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #byLine = new Map<string, number>();
  #characters = 0;

  /** @param read is asked when the line is met for the first time */
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

  /** Whether what stands behind it on a stack was interrupted there. */
  isEntry(number: number): boolean {
    return this.#isEntry[number] ?? false;
  }

  #numbered(frame: SiteFrame, text: string): number {
    const { symbol, offset, module } = frame;
    // What has no name is told apart by its address.
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

/** A copy: V8 keeps a part of a string as a view of all of it. */
function whole(text: string): string {
  return Buffer.from(text).toString();
}

/** Numbers of frames as a key of a Map: two bytes each. */
export function keyOfFrames(numbers: readonly number[]): string {
  return String.fromCharCode(...numbers);
}
