import type { KernelSymbols } from '../host/proc/kallsyms.js';
import { ownFrames, type Site, type SiteFrame } from '../records/allocation-sites.js';
import { NO_STACK, OTHER_STACK, type StackTable } from './follow/stack-table.js';

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
    const found = this.#symbols?.at(address - 1n) ?? null;
    const frame = found
      ? { symbol: found.name, offset: found.offset + 1, module: found.module, line: null }
      : { symbol: null, offset: null, module: null, line: null };
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
