import type { KernelSymbols } from '../host/proc/kallsyms.js';
import { ownFrames, type Site, type SiteFrame } from '../records/allocation-sites.js';

/**
 * Names stacks of addresses. Stacks that differ only beyond the interrupted function are one site, so that
 * they are estimated together.
 */
export class StackSites {
  readonly sites = new Map<string, Site>();
  readonly #byStack = new Map<number, string>();
  readonly #byKey = new Map<string, string>();
  readonly #frames = new Map<bigint, SiteFrame>();
  readonly #stacks: StackTable;
  readonly #symbols: KernelSymbols | null;

  /** @param symbols null: addresses remain without names */
  constructor(stacks: StackTable, symbols: KernelSymbols | null) {
    this.#stacks = stacks;
    this.#symbols = symbols;
  }

  /** The site of a stack, by its number. */
  readonly of = (stack: number): string => {
    const known = this.#byStack.get(stack);
    if (known !== undefined) return known;
    const all = this.#stacks.addresses(stack).map((address) => this.#frame(address));
    const frames = ownFrames(all);
    // Functions without a name may be the same or not.
    const isNamed = frames.length > 0 && frames.every(({ symbol }) => symbol !== null);
    const key = isNamed ? frames.map(keyOf).join(';') : '';
    const id = this.#byKey.get(key) ?? idOf(stack);
    if (isNamed) this.#byKey.set(key, id);
    this.#byStack.set(stack, id);
    if (!this.sites.has(id)) this.sites.set(id, { id, kind: 'stack', frames });
    return id;
  };

  /** A return address is behind the call. */
  #frame(address: bigint): SiteFrame {
    const known = this.#frames.get(address);
    if (known) return known;
    const symbol = this.#symbols?.at(address - 1n) ?? null;
    const frame = symbol
      ? { symbol: symbol.name, offset: symbol.offset + 1, module: symbol.module, line: null, guess: false }
      : { symbol: null, offset: null, module: null, line: null, guess: false };
    this.#frames.set(address, frame);
    return frame;
  }
}

function keyOf({ symbol, offset, module }: SiteFrame): string {
  return `${module ?? ''}!${symbol}+${offset}`;
}

function idOf(stack: number): string {
  if (stack === NO_STACK) return 'no-stack';
  return stack === OTHER_STACK ? 'other-stacks' : `stack-${stack}`;
}

/**
 * Receives allocations and frees in the order in which they happened, over all CPUs. Implementations must not
 * allocate per event: there may be 100,000 per second.
 */
export interface AllocationSink {
  /**
   * @param place number of the first frame, or the lower 52 bits of an object's address
   * @param length frames, or bytes
   * @param time nanoseconds on the trace's clock
   * @param stack number in `StackTable`; -1: none
   */
  allocated(place: number, length: number, time: number, tid: number, stack: number): void;
  /**
   * A page pool took a page. If its allocation was reported before, that one counts; for bulk allocations
   * some kernels report only this. Pages only.
   */
  pooled?(frame: number, time: number, tid: number, stack: number): void;
  /**
   * @param length frames, or bytes; 0: not reported (an object is freed completely)
   * @param tid thread that freed it; 0 or absent: an interrupt, or not reported
   */
  freed(place: number, length: number, time: number, tid?: number): void;
  /**
   * Allocated by a thread that is not followed: the place was free before, and its free will match no
   * allocation.
   */
  skipped?(place: number, length: number, time: number): void;
  /** Number of events lost on a CPU before this moment; null: unknown. */
  lost(count: number | null, time: number): void;
}

/** Stacks beyond the limit. */
export const OTHER_STACK = 0;
/** Allocations without a stack. */
export const NO_STACK = -1;

const FRAME_BYTES = 8;

/**
 * Numbers stacks of kernel addresses, from 1 on: each different stack is stored once. Beyond the limits all
 * others are {@link OTHER_STACK}.
 */
export class StackTable {
  /** Number of times a stack found no room. */
  others = 0;
  readonly #maxStacks: number;
  readonly #maxFrames: number;
  /** Low and high halves of addresses, one stack after another. */
  #words = new Uint32Array(4096);
  #used = 0;
  /** End of the words of stack n at index n; its start is the end of the previous one. */
  readonly #ends: number[] = [0];
  readonly #hashes: number[] = [0];
  /** Open addressing: numbers of stacks, 0 for an empty slot. */
  readonly #slots: Int32Array;

  /** @param maxFrames limit for all stacks together */
  constructor({ maxStacks = 16_384, maxFrames = 1_000_000 } = {}) {
    this.#maxStacks = maxStacks;
    this.#maxFrames = maxFrames;
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(maxStacks * 2 + 2)));
  }

  /** Number of different stacks. */
  get size(): number {
    return this.#ends.length - 1;
  }

  /**
   * Returns the number of a stack in the kernel's format: 64-bit addresses, little-endian, innermost first.
   */
  number(bytes: DataView, offset: number, count: number): number {
    let hash = 0x811c_9dc5;
    for (let word = 0; word < count * 2; word++)
      hash = Math.imul(hash ^ bytes.getUint32(offset + word * 4, true), 0x0100_0193);
    const last = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & last;
    for (let known = this.#slots[slot] ?? 0; known !== 0; known = this.#slots[slot] ?? 0) {
      if (this.#hashes[known] === hash && this.#equals(known, bytes, offset, count)) return known;
      slot = (slot + 1) & last;
    }
    if (this.size >= this.#maxStacks || this.#used / 2 + count > this.#maxFrames) {
      this.others++;
      return OTHER_STACK;
    }
    this.#keep(bytes, offset, count);
    this.#hashes.push(hash);
    this.#slots[slot] = this.size;
    return this.size;
  }

  /** Same as `number`, for an array of addresses. */
  numberOf(addresses: readonly bigint[]): number {
    const view = new DataView(new ArrayBuffer(addresses.length * FRAME_BYTES));
    addresses.forEach((address, at) => {
      view.setBigUint64(at * FRAME_BYTES, address, true);
    });
    return this.number(view, 0, addresses.length);
  }

  /** Innermost first; empty for an invalid number. */
  addresses(stack: number): bigint[] {
    if (stack <= OTHER_STACK || stack > this.size) return [];
    const list: bigint[] = [];
    for (let at = this.#ends[stack - 1] ?? 0; at < (this.#ends[stack] ?? 0); at += 2)
      list.push((BigInt(this.#words[at + 1] ?? 0) << 32n) | BigInt(this.#words[at] ?? 0));
    return list;
  }

  #equals(stack: number, bytes: DataView, offset: number, count: number): boolean {
    const start = this.#ends[stack - 1] ?? 0;
    if ((this.#ends[stack] ?? 0) - start !== count * 2) return false;
    for (let word = 0; word < count * 2; word++)
      if (this.#words[start + word] !== bytes.getUint32(offset + word * 4, true)) return false;
    return true;
  }

  #keep(bytes: DataView, offset: number, count: number): void {
    while (this.#used + count * 2 > this.#words.length) {
      const words = this.#words;
      this.#words = new Uint32Array(words.length * 2);
      this.#words.set(words);
    }
    for (let word = 0; word < count * 2; word++) this.#words[this.#used++] = bytes.getUint32(offset + word * 4, true);
    this.#ends.push(this.#used);
  }
}
