import type { Frame, Sample } from '../perf/sample.js';
import { allocatingFrame, reachesStart } from './allocator.js';
import { type MappingKind, mappingKind } from './mapping-kind.js';

/** Faults and what they brought. */
export interface FaultSum {
  /** Page faults: recorded ones times the period. */
  faults: number;
  /** The pages that were there afterwards, bytes. */
  bytes: number;
}

/** One stack, or one function, and what new memory it brought. */
export interface StackSum {
  /** The innermost first. */
  readonly frames: readonly Frame[];
  readonly anonymous: FaultSum;
  readonly shared: FaultSum;
  readonly hugetlb: FaultSum;
}

/** What calls asked for of address space. */
export interface SpaceSum {
  readonly frames: readonly Frame[];
  calls: number;
  bytes: number;
}

/** Which sums are made of stacks by themselves. */
const NEW_KINDS = ['anonymous', 'shared', 'hugetlb'] as const satisfies readonly MappingKind[];
type NewKind = (typeof NEW_KINDS)[number];

/** More stacks than these are added up as one of no frames: each takes about 1 KiB. */
const MOST_STACKS = 50_000;

/** Adds samples up by stack. Memory grows with the number of different stacks, not with that of samples. */
export class StackSums {
  readonly stacks = new Map<string, StackSum>();
  readonly space = { mmap: new Map<string, SpaceSum>(), brk: new Map<string, SpaceSum>() };
  readonly kinds: Readonly<Record<MappingKind, FaultSum>> = {
    anonymous: none(),
    shared: none(),
    hugetlb: none(),
    file: none(),
    unknown: none(),
  };
  /** Recorded, of this process. */
  samples = 0;
  /** By the kernel's two counters. */
  minor = 0;
  major = 0;
  /** Anonymous pages that were read back from swap: faults on memory that is not new. */
  readonly swappedIn: FaultSum = none();
  /** Faults of processes that it forked. */
  ofChildren = 0;
  /** Bytes of new memory whose stack does not reach the beginning of its thread. */
  cutBytes = 0;
  /** Faults on anonymous memory whose page's size is not told: counted as a base page. */
  sizesUnknown = 0;
  readonly #frames = new Map<string, Frame>();
  #heapEnd: bigint | null;

  /** @param heapEnd where the heap ends at the beginning, null: not known */
  constructor(
    readonly pid: number,
    readonly period: number,
    readonly pageSize: number,
    heapEnd: bigint | null,
  ) {
    this.#heapEnd = heapEnd;
  }

  add({ pid, what, frames }: Sample): void {
    if (what.type !== 'fault') {
      if (pid === this.pid) this.#call(what.type, what.value, what.anonymous, frames);
      return;
    }
    const times = what.major ? 1 : this.period;
    if (pid !== this.pid) {
      this.ofChildren += times;
      return;
    }
    this.samples++;
    this[what.major ? 'major' : 'minor'] += times;
    const kind = mappingKind(what.mapping);
    const fault = { faults: times, bytes: times * (what.pageBytes ?? this.pageSize) };
    if (what.major && kind === 'anonymous') {
      grow(this.swappedIn, fault);
      return;
    }
    grow(this.kinds[kind], fault);
    if (kind === 'file' || kind === 'unknown') return;
    if (what.pageBytes === null) this.sizesUnknown += times;
    if (!reachesStart(frames)) this.cutBytes += fault.bytes;
    this.#stack(kind, frames, fault);
  }

  /** Functions that allocate, each with all its stacks together. */
  functions(): StackSum[] {
    const sums = new Map<Frame | undefined, StackSum>();
    for (const { frames, ...kinds } of this.stacks.values()) {
      const frame = allocatingFrame(frames);
      let sum = sums.get(frame);
      if (!sum) {
        sum = emptySum(frame ? [frame] : []);
        sums.set(frame, sum);
      }
      for (const kind of NEW_KINDS) grow(sum[kind], kinds[kind]);
    }
    return [...sums.values()];
  }

  #stack(kind: NewKind, frames: readonly Frame[], fault: FaultSum): void {
    const own = frames.map((frame) => this.#known(frame));
    const key = own.map(keyOf).join('\n');
    const known = this.stacks.has(key) || this.stacks.size < MOST_STACKS;
    const sum = this.stacks.get(known ? key : '') ?? emptySum(known ? own : []);
    this.stacks.set(known ? key : '', sum);
    grow(sum[kind], fault);
  }

  #call(type: 'mmap' | 'brk', value: bigint, anonymous: boolean, frames: readonly Frame[]): void {
    let bytes = value;
    if (type === 'brk') {
      const before = this.#heapEnd;
      this.#heapEnd = value;
      if (before === null || value <= before) return;
      bytes = value - before;
    } else if (!anonymous) return;
    const own = frames.map((frame) => this.#known(frame));
    const key = own.map(keyOf).join('\n');
    const sums = this.space[type];
    const known = sums.has(key) || sums.size < MOST_STACKS;
    const sum = sums.get(known ? key : '') ?? { frames: known ? own : [], calls: 0, bytes: 0 };
    sums.set(known ? key : '', sum);
    sum.calls++;
    sum.bytes += Number(bytes);
  }

  /** One object for each function: a stack is told by where it called, not from which line. */
  #known({ symbol, module, offset }: Frame): Frame {
    const frame = { symbol, module, offset: symbol === null ? offset : null };
    const key = keyOf(frame);
    const known = this.#frames.get(key);
    if (known) return known;
    this.#frames.set(key, frame);
    return frame;
  }
}

/** Bytes of all kinds that can be new. */
export function newBytes({ anonymous, shared, hugetlb }: Omit<StackSum, 'frames'>): number {
  return anonymous.bytes + shared.bytes + hugetlb.bytes;
}

function none(): FaultSum {
  return { faults: 0, bytes: 0 };
}

function emptySum(frames: readonly Frame[]): StackSum {
  return { frames, anonymous: none(), shared: none(), hugetlb: none() };
}

function grow(sum: FaultSum, by: FaultSum): void {
  sum.faults += by.faults;
  sum.bytes += by.bytes;
}

/** No module's name has a NUL. */
function keyOf({ symbol, module, offset }: Frame): string {
  return `${symbol ?? offset}\0${module}`;
}
