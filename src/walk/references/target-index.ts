import { damaged, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { HALF, highHalf, lowHalf } from '../../kernel/pointer.js';
import { struct } from '../pages/struct-page.js';
import type { TargetIndex } from './piece-scan.js';

/** Bytes of page frames that pointers are searched to. */
export interface FrameTarget {
  /** Physical address. */
  readonly start: number;
  readonly length: number;
  /** It consists of complete pages: a pointer to one of their `struct page`s refers to it. */
  readonly complete: boolean;
}

/** The same of memory that is known by virtual address: symbols, vmalloc areas. */
export interface VirtualTarget {
  readonly address: bigint;
  readonly length: number;
}

/** Maximum number of targets, and of page frames with targets: 256 MiB of arrays. */
const MAX_TARGETS = 2 ** 22;
const MAX_FRAMES = 2 ** 25;

/** Collects targets, and numbers them in the order of {@link TargetIndex}. */
export class Targets {
  #starts = new Float64Array(16);
  #ends = new Float64Array(16);
  #complete = new Uint8Array(16);
  #count = 0;
  readonly #others: VirtualTarget[] = [];
  readonly #most: number;

  /** @param most maximum number of targets */
  constructor(most = MAX_TARGETS) {
    this.#most = most;
  }

  get size(): number {
    return this.#count + this.#others.length;
  }

  /** @throws {WalkError} `too-many-targets` */
  add({ start, length, complete }: FrameTarget): void {
    this.#refuseMore();
    if (this.#count === this.#starts.length) {
      const double = 2 * this.#count;
      this.#starts = widened(new Float64Array(double), this.#starts);
      this.#ends = widened(new Float64Array(double), this.#ends);
      this.#complete = widened(new Uint8Array(double), this.#complete);
    }
    this.#starts[this.#count] = start;
    this.#ends[this.#count] = start + length;
    this.#complete[this.#count++] = complete ? 1 : 0;
  }

  addVirtual(target: VirtualTarget): void {
    this.#refuseMore();
    this.#others.push(target);
  }

  #refuseMore(): void {
    if (this.size < this.#most) return;
    throw tooMany(`more than ${this.#most} targets`);
  }

  /**
   * Returns the index, and the target of each number. Equal targets are one.
   *
   * @throws {WalkError} `overlapping-targets`, `too-many-targets`
   */
  index(kernel: Kernel): IndexedTargets {
    const { pageSize } = kernel.facts;
    const { starts, ends, complete } = this.#inOrder();
    const others = this.#othersInOrder();
    const count = starts.length;
    const base = count === 0 ? 0 : Math.floor(starts[0]! / pageSize);
    const span = count === 0 ? 0 : Math.ceil(ends[count - 1]! / pageSize) - base;
    const frames = shared(Int32Array, Math.ceil(span / 32));
    let targeted = 0;
    eachFrame(starts, ends, pageSize, (frame) => {
      const at = frame - base;
      frames[Math.floor(at / 32)]! |= 1 << (at & 31);
      targeted++;
    });
    const ranks = shared(Uint32Array, frames.length);
    const first = shared(Uint32Array, targeted + 1);
    let set = 0;
    for (let word = 0; word < frames.length; word++) {
      ranks[word] = set;
      for (let bits = frames[word]!; bits !== 0; bits &= bits - 1) set++;
    }
    let ordinal = 0;
    eachFrame(starts, ends, pageSize, (_, target) => {
      first[ordinal++] = target;
    });
    first[ordinal] = count;
    const direct = count === 0 ? undefined : kernel.pages.addressOfFrame(base);
    if (count > 0 && direct === undefined) throw damaged(`page frame ${base} is not in the direct map`);
    const array = count === 0 ? 0n : kernel.pages.pageOfFrame(base);
    const size = struct(kernel, 'page').size;
    for (let target = 0; target < count; target++) {
      starts[target]! -= base * pageSize;
      ends[target]! -= base * pageSize;
    }
    const bases = [
      ...(direct === undefined ? [] : [direct, array]),
      ...others.slice(0, 1).map(({ address }) => address),
    ];
    const index: TargetIndex = {
      pageSize,
      directHigh: signedHigh(direct ?? 0n),
      directLow: lowHalf(direct ?? 0n),
      directLength: span * pageSize,
      arrayHigh: signedHigh(array),
      arrayLow: lowHalf(array),
      arrayLength: span * size,
      stride: size,
      least: Math.min(0, ...bases.map(signedHigh)),
      frames,
      ranks,
      first: first.subarray(0, ordinal + 1),
      starts,
      ends,
      complete,
      otherHigh: filled(Int32Array, others, ({ address }) => signedHigh(address)),
      otherLow: filled(Uint32Array, others, ({ address }) => lowHalf(address)),
      otherLength: filled(Float64Array, others, ({ length }) => length),
      otherWord: filled(
        Float64Array,
        others,
        ({ address }) => signedHigh(address) * HALF + lowHalf(address) - (lowHalf(address) % 8),
      ),
    };
    return new IndexedTargets(index, base * pageSize, others);
  }

  /** Targets in frames, in ascending order, each once. */
  #inOrder(): Pick<TargetIndex, 'starts' | 'ends' | 'complete'> {
    const order = Array.from({ length: this.#count }, (_, index) => index);
    const isSorted = order.every((at) => at === 0 || this.#starts[at]! >= this.#starts[at - 1]!);
    if (!isSorted) order.sort((a, b) => this.#starts[a]! - this.#starts[b]!);
    const kept: number[] = [];
    for (const at of order) {
      const last = kept.at(-1);
      if (last !== undefined && this.#starts[at]! < this.#ends[last]!) {
        const same = this.#starts[at] === this.#starts[last] && this.#ends[at] === this.#ends[last];
        if (!same) throw overlapping(BigInt(this.#starts[last]!), BigInt(this.#starts[at]!));
        continue;
      }
      kept.push(at);
    }
    return {
      starts: filled(Float64Array, kept, (at) => this.#starts[at]!),
      ends: filled(Float64Array, kept, (at) => this.#ends[at]!),
      complete: filled(Uint8Array, kept, (at) => this.#complete[at]!),
    };
  }

  #othersInOrder(): VirtualTarget[] {
    const order = this.#others.toSorted((a, b) => (a.address < b.address ? -1 : 1));
    const kept: VirtualTarget[] = [];
    for (const other of order) {
      const last = kept.at(-1);
      if (last && other.address < last.address + BigInt(last.length)) {
        const same = other.address === last.address && other.length === last.length;
        if (!same) throw overlapping(last.address, other.address);
        continue;
      }
      kept.push(other);
    }
    return kept;
  }
}

/** Targets by their number in an index. */
export class IndexedTargets {
  readonly index: TargetIndex;
  /** Number of targets. */
  readonly size: number;
  readonly #base: number;
  readonly #others: readonly VirtualTarget[];

  constructor(index: TargetIndex, base: number, others: readonly VirtualTarget[]) {
    this.index = index;
    this.#base = base;
    this.#others = others;
    this.size = index.starts.length + others.length;
  }

  /** A target in frames: its physical address and length; or by virtual address. */
  at(number: number): FrameTarget | VirtualTarget {
    const { starts, ends, complete } = this.index;
    if (number >= starts.length) return this.#others[number - starts.length]!;
    const start = starts[number]!;
    return { start: this.#base + start, length: ends[number]! - start, complete: complete[number] === 1 };
  }

  /** Address of a target, in the direct map if it is in frames. */
  addressOf(kernel: Kernel, number: number): bigint {
    const target = this.at(number);
    if ('address' in target) return target.address;
    const { pageSize } = kernel.facts;
    const frame = Math.floor(target.start / pageSize);
    return (kernel.pages.addressOfFrame(frame) ?? 0n) + BigInt(target.start % pageSize);
  }

  /** The target in frames that contains a physical address; -1: none. */
  numberAt(physical: number): number {
    const { starts, ends } = this.index;
    const at = physical - this.#base;
    let [low, high] = [0, starts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= at) low = middle + 1;
      else high = middle;
    }
    return low > 0 && at < ends[low - 1]! ? low - 1 : -1;
  }

  /** Whether a target in frames contains a physical address. */
  holds(number: number, physical: number): boolean {
    const { starts, ends } = this.index;
    if (number >= starts.length) return false;
    const at = physical - this.#base;
    return at >= starts[number]! && at < ends[number]!;
  }
}

/** Visits each frame that has targets once, in order, with the first of them. */
function eachFrame(
  starts: Float64Array,
  ends: Float64Array,
  pageSize: number,
  visit: (frame: number, target: number) => void,
): void {
  let next = 0;
  let visited = 0;
  for (let target = 0; target < starts.length; target++) {
    const last = Math.ceil(ends[target]! / pageSize);
    for (let frame = Math.max(next, Math.floor(starts[target]! / pageSize)); frame < last; frame++) {
      if (++visited > MAX_FRAMES) throw tooMany(`targets in more than ${MAX_FRAMES} page frames`);
      visit(frame, target);
    }
    next = Math.max(next, last);
  }
}

function signedHigh(address: bigint): number {
  return highHalf(address) | 0;
}

type Numbers = Int32Array | Uint32Array | Float64Array | Uint8Array;
type Kind<T extends Numbers> = { new (buffer: SharedArrayBuffer): T; readonly BYTES_PER_ELEMENT: number };

function shared<T extends Numbers>(kind: Kind<T>, length: number): T {
  return new kind(new SharedArrayBuffer(length * kind.BYTES_PER_ELEMENT));
}

function filled<T extends Numbers, Item>(kind: Kind<T>, items: readonly Item[], value: (item: Item) => number): T {
  const array = shared(kind, items.length);
  items.forEach((item, index) => {
    array[index] = value(item);
  });
  return array;
}

function widened<T extends Float64Array | Uint8Array>(to: T, from: T): T {
  to.set(from);
  return to;
}

function tooMany(what: string): WalkError {
  return new WalkError('too-many-targets', `refs: ${what}`);
}

function overlapping(address: bigint, other: bigint): WalkError {
  const message = `targets at ${hex(address)} and ${hex(other)} overlap: search for them separately`;
  return new WalkError('overlapping-targets', message);
}
