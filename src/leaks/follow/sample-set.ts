import type { Sample } from '../recording.js';

/**
 * Which page frames (or addresses) are followed: those whose number has given bits. Numbers that differ only
 * below the lowest of these bits make one chunk, which is in the sample as a whole or not at all.
 */
export class SampleSet {
  /** log2 of a chunk's length; 0 where all is followed. */
  readonly chunkOrder: number;
  readonly chunkLength: number;
  readonly #mask: number;
  readonly #residue: number;

  /** @throws {RangeError} a residue that the mask cannot give, or a mask of more than 32 bits' breadth */
  constructor(readonly sample: Sample) {
    const { oneIn, mask, residue } = sample;
    const chunkOrder = mask === 0n ? 0 : lowestBit(mask);
    const bits = mask >> BigInt(chunkOrder);
    if (bits >= 1n << 32n || (residue & ~mask) !== 0n || 2 ** bitsOf(Number(bits)) !== oneIn)
      throw new RangeError(`one in ${oneIn} is no sample by 0x${mask.toString(16)}`);
    this.chunkOrder = chunkOrder;
    this.chunkLength = 2 ** chunkOrder;
    this.#mask = Number(bits);
    this.#residue = Number(residue >> BigInt(chunkOrder));
  }

  get oneIn(): number {
    return this.sample.oneIn;
  }

  chunkOf(place: number): number {
    return Math.floor(place / this.chunkLength);
  }

  hasChunk(chunk: number): boolean {
    return (chunk & this.#mask) >>> 0 === this.#residue;
  }

  has(place: number): boolean {
    return this.hasChunk(this.chunkOf(place));
  }

  /** How many of a block's frames are followed. Its start is a multiple of its length. */
  framesOf(start: number, order: number): number {
    const above = order - this.chunkOrder;
    if (above <= 0) return this.has(start) ? 2 ** order : 0;
    const free = above >= 32 ? 0xffff_ffff : 2 ** above - 1;
    const fixed = (this.#mask & ~free) >>> 0;
    if ((this.chunkOf(start) & fixed) >>> 0 !== (this.#residue & fixed) >>> 0) return 0;
    return 2 ** (order - bitsOf((this.#mask & free) >>> 0));
  }

  /** One block of an order in so many has a frame that is followed. */
  oneInBlocks(order: number): number {
    const above = Math.max(0, order - this.chunkOrder);
    return above >= 32 ? 1 : 2 ** bitsOf(this.#mask >>> above);
  }

  /** Whether all that `other` follows is followed here too. */
  includes({ sample: other }: SampleSet): boolean {
    const { mask, residue } = this.sample;
    return (other.mask & mask) === mask && (other.residue & mask) === residue;
  }
}

function lowestBit(mask: bigint): number {
  let bit = 0;
  while (((mask >> BigInt(bit)) & 1n) === 0n) bit++;
  return bit;
}

function bitsOf(mask: number): number {
  let bits = 0;
  for (let rest = mask >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) bits++;
  return bits;
}
