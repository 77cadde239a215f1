import { closeSync, openSync, readSync } from 'node:fs';
import { LineCutter } from '../../../host/lines.js';
import { allocatedFrames } from '../tracefs/kinds.js';
import { META } from './program.js';

/** A held block, or the remainder of one. */
export interface HeldPiece {
  /** Number of its first frame. */
  readonly frame: number;
  /** Id of its stack. */
  readonly id: number;
  /** log2 of its number of frames: current, and as allocated. */
  readonly order: number;
  readonly allocatedOrder: number;
  readonly tid: number;
  /** Nanoseconds on bpftrace's clock, with a resolution of 17 ms. */
  readonly time: number;
}

/** Frames held by each stack at one moment. */
export interface Shown {
  /** Nanoseconds on bpftrace's clock. */
  readonly at: number;
  readonly frames: ReadonlyMap<number, number>;
  /** Number of blocks, by order, whose frees match no allocation. */
  readonly unmatched: ReadonlyMap<number, number>;
}

export type OutputState = 'starting' | 'recording' | 'ended' | 'dumping' | 'whole';

/** Names of the maps that contain counts. */
export const COUNTS = ['a', 'f', 'x', 'y', 'c', 'd', 'm', 'u'] as const;
export type CountName = (typeof COUNTS)[number];

export interface OutputBounds {
  /** Maximum number of entries of each map. */
  readonly maxKeys: number;
  /**
   * Maximum number of figures of stacks in all windows together: beyond it, every second window is dropped.
   */
  readonly maxShown: number;
}

const LARGEST = 2 ** 52;
const MAX_ORDER = 14;

/**
 * Parses the program's output line by line. Lines are untrusted: unknown forms are counted, and limits apply.
 */
export class BpftraceOutput {
  state: OutputState = 'starting';
  /** Nanoseconds on bpftrace's clock; null if not known yet. */
  begunAt: number | null = null;
  endedAt: number | null = null;
  /** One per second. */
  heartbeats = 0;
  /** Lines of unknown form or beyond limits. */
  strange = 0;
  /** Lost output events according to bpftrace. */
  lost = 0;
  windows: Shown[] = [];
  readonly pieces: HeldPiece[] = [];
  /** Frames held by each stack at the end. */
  readonly held = new Map<number, number>();
  /** Number of blocks, by order, whose frees match no allocation, at the end. */
  readonly unmatched = new Map<number, number>();
  /** Stacks by number, innermost first; empty if there was none. */
  readonly stacks = new Map<number, readonly bigint[]>();
  readonly counts = new Map<CountName, number>();
  readonly #bounds: OutputBounds;
  readonly #cutter: LineCutter;
  /** Target of the `@h` and `@o` entries that are being printed. */
  #open: { readonly at: number; readonly frames: Map<number, number>; readonly unmatched: Map<number, number> } | null =
    null;
  /** The stack that is being printed. */
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

  /** A line that the program itself prints. */
  #word(line: string): boolean {
    const [, word, digits] = /^(begun|window|shown|ended|held|alive|whole)(?: (\d{1,19}))?$/.exec(line) ?? [];
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
      // Output that bpftrace prints by itself is ignored.
      if (frames === undefined || frames.size >= this.#bounds.maxKeys) return false;
      frames.set(Number(held[1]), Number(held[2]));
      return true;
    }
    const unmatched = /^@o\[(\d{1,2})\]: (-?\d{1,16})$/.exec(line);
    if (unmatched) {
      const blocks = this.state === 'dumping' ? this.unmatched : this.#open?.unmatched;
      const order = Number(unmatched[1]);
      if (blocks === undefined || order > MAX_ORDER) return false;
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
    const fits = order <= allocatedOrder && allocatedOrder <= MAX_ORDER;
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

  /**
   * Parses a line of a stack: an address, optionally with a name, or at the end the CPU and the number of the
   * stack.
   */
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
      // Not a stack: its other lines are not expected.
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

/** Frames allocated and freed since boot, from /proc/vmstat. */
export interface PageCounts {
  readonly allocated: number;
  readonly freed: number;
}

const ROOM = 64 * 1024;

/**
 * Reads the counters of /proc/vmstat at a moment, and parses them later: allocations by the parser itself
 * must not be counted.
 */
export class PageCounters {
  readonly #file: number | null;
  readonly #snapshots: { readonly bytes: Buffer; length: number }[] = [
    { bytes: Buffer.alloc(ROOM, 1), length: 0 },
    { bytes: Buffer.alloc(ROOM, 1), length: 0 },
  ];
  #next = 0;

  constructor() {
    let file: number | null;
    try {
      file = openSync('/proc/vmstat', 'r');
      // The kernel allocates its buffer on the first read.
      readSync(file, this.#snapshots[0]!.bytes, 0, ROOM, 0);
    } catch {
      file = null;
    }
    this.#file = file;
  }

  /** Called twice: at the beginning and at the end. */
  take(): void {
    const snapshot = this.#snapshots[this.#next++];
    if (this.#file === null || snapshot === undefined) return;
    try {
      snapshot.length = readSync(this.#file, snapshot.bytes, 0, ROOM, 0);
    } catch {
      snapshot.length = 0;
    }
  }

  /** Frames between the two moments; null if unknown. */
  passed(): PageCounts | null {
    const [before, after] = this.#snapshots.map(({ bytes, length }) => pageCounts(bytes.toString('latin1', 0, length)));
    if (!before || !after) return null;
    return { allocated: after.allocated - before.allocated, freed: after.freed - before.freed };
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
  }
}

function pageCounts(text: string): PageCounts | null {
  const allocated = allocatedFrames(text);
  const freed = /^pgfree (\d{1,15})$/m.exec(text)?.[1];
  if (allocated === null || freed === undefined) return null;
  return { allocated, freed: Number(freed) };
}
