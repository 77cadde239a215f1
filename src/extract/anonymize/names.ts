/**
 * Made-up names of the same length for real ones: the same for the same, other ones for others as
 * long as the length allows (36 names of one character). Numbered in the order of first use.
 */
export class Names {
  readonly #letter: string;
  readonly #made = new Map<string, Uint8Array>();
  readonly #counts = new Map<number, number>();

  /** @param letter what names begin with where there is room */
  constructor(letter: string) {
    this.#letter = letter;
  }

  /** @param name bytes without NUL; slashes stay where they are, since they are no name */
  of(name: Uint8Array): Uint8Array {
    const key = Buffer.from(name).toString('latin1');
    let made = this.#made.get(key);
    if (made === undefined) {
      made = this.#make(key);
      this.#made.set(key, made);
    }
    return made;
  }

  #make(name: string): Uint8Array {
    const slash = name.startsWith('/') ? '/' : '';
    const room = name.length - slash.length;
    if (room <= 0) return Buffer.from(name, 'latin1');
    const count = this.#counts.get(room) ?? 0;
    this.#counts.set(room, count + 1);
    const number = (count % 36 ** Math.min(room, 8)).toString(36);
    const made = room > number.length ? this.#letter + number.padStart(room - 1, '0') : number;
    return Buffer.from(slash + made, 'latin1');
  }
}
