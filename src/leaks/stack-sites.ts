import type { KernelSymbols } from '../host/proc/kallsyms.js';
import { NO_STACK, OTHER_STACK, type StackTable } from './follow/stack-table.js';
import type { Site, SiteFrame } from './recording.js';
import { ownFrames } from './site-frames.js';

/**
 * Names stacks of addresses. Those that differ only beyond where a CPU was interrupted are one site, so that what
 * they hold is estimated together.
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
    // Of functions without a name it is not known whether they are the same.
    const isNamed = frames.length > 0 && frames.every(({ symbol }) => symbol !== null);
    const key = isNamed ? frames.map(keyOf).join(';') : '';
    const id = this.#byKey.get(key) ?? idOf(stack);
    if (isNamed) this.#byKey.set(key, id);
    this.#byStack.set(stack, id);
    if (!this.sites.has(id)) this.sites.set(id, { id, kind: 'stack', frames });
    return id;
  };

  /** Addresses are where a function goes on: the call stands before. */
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
