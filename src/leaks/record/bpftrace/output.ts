import { LineCutter } from '../../../host/ss/lines.js';
import { META } from './program.js';

/** A block, or what is left of one, that is held. */
export interface HeldPiece {
  /** Number of its first frame. */
  readonly frame: number;
  /** Of its stack. */
  readonly id: number;
  /** log2 of its frames: now, and as it was allocated. */
  readonly order: number;
  readonly allocatedOrder: number;
  readonly tid: number;
  /** Nanoseconds on bpftrace's clock, to 17 ms. */
  readonly time: number;
}

/** Frames that stacks held at one moment. */
export interface Shown {
  /** Nanoseconds on bpftrace's clock. */
  readonly at: number;
  readonly frames: ReadonlyMap<number, number>;
  /** Blocks by order whose frees match no allocation. */
  readonly unmatched: ReadonlyMap<number, number>;
}

export type OutputState = 'starting' | 'recording' | 'ended' | 'dumping' | 'whole';

/** Counts by the name of their map. */
export const COUNTS = ['a', 'f', 'x', 'y', 'c', 'd', 'm', 'u'] as const;
export type CountName = (typeof COUNTS)[number];

export interface OutputBounds {
  /** Entries of each map. */
  readonly maxKeys: number;
  /** Figures of stacks that are kept of all windows together: beyond, every second window is given up. */
  readonly maxShown: number;
}

const LARGEST = 2 ** 52;
const MOST_ORDER = 14;

/**
 * Understands what the program prints, line by line. Lines are hostile, as those of any program: what has no known
 * form is counted, bounds are kept.
 */
export class BpftraceOutput {
  state: OutputState = 'starting';
  /** Nanoseconds on bpftrace's clock; null: not told yet. */
  begunAt: number | null = null;
  endedAt: number | null = null;
  /** Each second one. */
  heartbeats = 0;
  /** Lines of no known form, and what is beyond bounds. */
  strange = 0;
  /** Events of its own output that bpftrace says it lost. */
  lost = 0;
  windows: Shown[] = [];
  readonly pieces: HeldPiece[] = [];
  /** Frames that stacks hold at the end. */
  readonly held = new Map<number, number>();
  /** Blocks by order whose frees match no allocation, at the end. */
  readonly unmatched = new Map<number, number>();
  /** Stacks by number, innermost first; empty: there was none. */
  readonly stacks = new Map<number, readonly bigint[]>();
  readonly counts = new Map<CountName, number>();
  readonly #bounds: OutputBounds;
  readonly #cutter: LineCutter;
  /** Where `@h` and `@o` go that are printed now. */
  #open: {
    readonly at: number;
    readonly frames: Map<number, number>;
    readonly unmatched: Map<number, number>;
  } | null = null;
  /** The stack that is printed now. */
  #stack: bigint[] | null = null;
  #shown = 0;

  constructor(bounds: OutputBounds) {
    this.#bounds = bounds;
    this.#cutter = new LineCutter((bytes, from, to) => {
      if (this.state !== 'whole') this.#line(bytes.toString('latin1', from, to));
    });
  }

  push(piece: Buffer): void {
    this.#cutter.push(piece);
  }

  #line(line: string): void {
    if (this.#stack !== null) {
      this.#stackLine(this.#stack, line);
      return;
    }
    if (line === '' || this.#word(line) || this.#entry(line)) return;
    const lost = /^Lost (\d{1,15}) events?$/.exec(line)?.[1];
    if (lost !== undefined) this.lost += Number(lost);
    else if (!line.startsWith('Attach')) this.strange++;
  }

  /** What the program says itself. */
  #word(line: string): boolean {
    const [, word, digits] =
      /^(begun|window|shown|ended|held|alive|whole)(?: (\d{1,19}))?$/.exec(line) ?? [];
    if (word === undefined) return false;
    const at = Number(digits ?? Number.NaN);
    if (word === 'alive') this.heartbeats++;
    else if (word === 'begun' && this.state === 'starting' && at >= 0) {
      this.begunAt = at;
      this.state = 'recording';
    } else if (word === 'window' && this.state === 'recording' && at >= 0)
      this.#open = { at, frames: new Map(), unmatched: new Map() };
    else if (word === 'shown' && this.#open !== null) this.#endWindow(this.#open);
    else if (word === 'ended' && this.state === 'recording' && at >= 0) {
      this.endedAt = at;
      this.state = 'ended';
    } else if (word === 'held' && this.state === 'ended') this.state = 'dumping';
    else if (word === 'whole' && this.state === 'dumping') this.state = 'whole';
    else this.strange++;
    return true;
  }

  #entry(line: string): boolean {
    if (line === '@i[') {
      this.#stack = [];
      return true;
    }
    const block = /^@b\[(\d{1,16})\]: \((\d{1,16}), (-?\d{1,20})\)$/.exec(line);
    if (block) return this.#piece(Number(block[1]), Number(block[2]), BigInt(block[3] ?? 0));
    const held = /^@h\[(\d{1,16})\]: (-?\d{1,16})$/.exec(line);
    if (held) {
      const frames = this.state === 'dumping' ? this.held : this.#open?.frames;
      // What bpftrace prints by itself when nobody asked is none of ours.
      if (frames === undefined || frames.size >= this.#bounds.maxKeys) return false;
      frames.set(Number(held[1]), Number(held[2]));
      return true;
    }
    const unmatched = /^@o\[(\d{1,2})\]: (-?\d{1,16})$/.exec(line);
    if (unmatched) {
      const blocks = this.state === 'dumping' ? this.unmatched : this.#open?.unmatched;
      const order = Number(unmatched[1]);
      if (blocks === undefined || order > MOST_ORDER) return false;
      blocks.set(order, Number(unmatched[2]));
      return true;
    }
    const [, name, count] = /^@([afxycdmu]): (\d{1,16})$/.exec(line) ?? [];
    if (count === undefined) return false;
    this.counts.set(name as CountName, Number(count));
    return true;
  }

  #piece(frame: number, id: number, printed: bigint): boolean {
    const meta = BigInt.asUintN(64, printed);
    const low = Number(meta & ((1n << BigInt(META.timeShift)) - 1n));
    const [order, allocatedOrder] = [low & 15, (low >> META.orderBits) & 15];
    const fits = order <= allocatedOrder && allocatedOrder <= MOST_ORDER;
    const isAligned = frame <= LARGEST && frame % 2 ** order === 0;
    const isExpected = this.state === 'dumping' && this.pieces.length < this.#bounds.maxKeys;
    if (!fits || !isAligned || !isExpected || id < 1) return false;
    this.pieces.push({
      frame,
      id,
      order,
      allocatedOrder,
      tid: low >>> META.tidShift,
      time: Number((meta >> BigInt(META.timeShift)) << BigInt(META.timeUnit)),
    });
    return true;
  }

  /** An address in each line, with a name behind it or not; then the CPU, and the number of the stack. */
  #stackLine(stack: bigint[], line: string): void {
    const [, address] = /^\s*(?:0x)?([0-9a-f]{8,16})(?: .*)?$/.exec(line) ?? [];
    if (address !== undefined && stack.length < 256) {
      stack.push(BigInt(`0x${address}`));
      return;
    }
    const [, id] = /^\s*, \d{1,5}\]: (\d{1,16})$/.exec(line) ?? [];
    if (id !== undefined) {
      this.#stack = null;
      if (this.stacks.size < this.#bounds.maxKeys) this.stacks.set(Number(id), stack);
      else this.strange++;
    } else if (line.trim() !== '') {
      // No form of a stack: the rest is not waited for.
      this.#stack = null;
      this.strange++;
    }
  }

  #endWindow(shown: Shown): void {
    this.#open = null;
    this.#shown += shown.frames.size;
    this.windows.push(shown);
    if (this.#shown <= this.#bounds.maxShown) return;
    this.windows = this.windows.filter((_, at) => at % 2 === 1);
    this.#shown = this.windows.reduce((sum, { frames }) => sum + frames.size, 0);
  }
}
