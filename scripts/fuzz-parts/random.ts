/** A stream of numbers that a seed and the index of a case reproduce (splitmix32 over both). */
export class Random {
  #state: number;

  constructor(seed: number, index: number) {
    this.#state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) | 0;
    this.#next();
  }

  /** 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor((this.#next() / 0x1_0000_0000) * below);
  }

  /** True once in this many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(all: readonly T[]): T {
    if (all.length === 0) throw new RangeError('nothing to pick from');
    return all[this.below(all.length)]!;
  }

  word(): bigint {
    return (BigInt(this.#next()) << 32n) | BigInt(this.#next());
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  }
}
