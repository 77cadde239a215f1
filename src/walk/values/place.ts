import { KdumpMemError, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, isPerCpu, perCpuAddress } from '../cpus.js';

/** A place in memory as entered: `ADDR`, `SYMBOL`, `SYMBOL:CPU`, each with `+OFFSET`. */
export interface WrittenPlace {
  /** The part before `:` and `+`, as written. */
  readonly base: string;
  /** Value of `base` read as a number: hex, with or without 0x. */
  readonly number: bigint | undefined;
  /** `base` can only be a number: it has 0x, or all 16 digits as in addresses printed by crash. */
  readonly surelyNumber: boolean;
  readonly cpu: number | undefined;
  /** Offset to add, in bytes. */
  readonly offset: bigint;
}

/** A resolved place in memory. */
export interface Place {
  readonly address: bigint;
  /** The symbol of the place, if given by one, and the CPU of a per-CPU variable. */
  readonly symbol?: string;
  readonly cpu?: number;
}

/** The sources for resolving a place. */
export type SymbolSource = Pick<Kernel, 'symbol' | 'read' | 'struct'> & {
  /** Returns all symbols with a name, if the engine supports it. */
  symbols?(name: string): readonly { readonly type: string; readonly address: bigint }[];
  /** Yields the names of all symbols, if the engine supports it. */
  symbolNames?(): Iterable<string>;
};

const PLACE = /^(?<base>[A-Za-z0-9_.$]{1,511})(?::(?<cpu>\d{1,4}))?(?:\+(?<offset>0x[0-9a-f]{1,16}|\d{1,20}))?$/i;

/** Parses a place; undefined if the text has none of these forms. */
export function parsePlace(text: string): WrittenPlace | undefined {
  const { base, cpu, offset } = PLACE.exec(text)?.groups ?? {};
  if (base === undefined) return undefined;
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(base)?.[1];
  const number = digits === undefined ? undefined : BigInt(`0x${digits}`);
  const surelyNumber = number !== undefined && (/^0x/i.test(base) || digits?.length === 16);
  if (surelyNumber && cpu !== undefined) return undefined;
  if (number === undefined && /^\d/.test(base)) return undefined;
  return { base, number, surelyNumber, cpu: cpu === undefined ? undefined : Number(cpu), offset: BigInt(offset ?? 0) };
}

/** What a place can be. Processes are no places. */
const FORMS = ' (a place is an address, a symbol, or SYMBOL:CPU; for whatis and refs also pfn:N)';

/** Maximum number of listed addresses for an ambiguous symbol. */
const MAX_CANDIDATES = 12;

/**
 * Finds a place in a kernel. A name that could also be a short hex number is the symbol, if one exists.
 *
 * @throws {WalkError} `no-such-symbol`, `no-such-cpu`, or `ambiguous-symbol` with all possible places
 */
export function findPlace(kernel: SymbolSource, written: WrittenPlace): Place {
  const { base, number, surelyNumber, cpu, offset } = written;
  const add = (address: bigint): bigint => BigInt.asUintN(64, address + offset);
  if (surelyNumber && number !== undefined) return { address: add(number) };
  const symbolAddress = kernel.symbol(base);
  if (symbolAddress === undefined) {
    const candidates = kernel.symbols?.(base) ?? [];
    if (candidates.length > 0) throw ambiguous(base, candidates);
    if (number !== undefined && cpu === undefined) return { address: add(number) };
    // pid:1, fd:4: forms of other programs, not a variable of one CPU.
    if (base === 'pid' && cpu !== undefined) {
      const next = `For a process run: kdump-mem procs --pid ${cpu} --vmcore FILE (or --live)`;
      throw new WalkError('no-such-symbol', `a process is not a place${FORMS}. ${next}`);
    }
    const near = cpu === undefined ? didYouMean(nearestNames(base, namesOf(kernel))) : FORMS;
    throw new WalkError('no-such-symbol', `the kernel has no symbol ${base}${near}`);
  }
  const perCpu = isPerCpu(kernel, symbolAddress);
  if (!perCpu && cpu !== undefined) throw new WalkError('no-such-symbol', `${base} is not a per-CPU variable`);
  if (!perCpu) return { address: add(symbolAddress), symbol: base };
  if (cpu === undefined) {
    const message = `${base} is a per-CPU variable: give a CPU, for example ${base}:0`;
    throw new WalkError('ambiguous-symbol', message);
  }
  const possible = cpuMask(kernel, '__cpu_possible_mask');
  if (!possible.includes(cpu)) throw noSuchCpu(cpu, possible);
  return { address: add(perCpuAddress(kernel, symbolAddress, cpu)), symbol: base, cpu };
}

/** All readable names: they are only suggestions. */
function* namesOf(kernel: SymbolSource): Generator<string> {
  try {
    yield* kernel.symbolNames?.() ?? [];
  } catch (error) {
    if (!(error instanceof KdumpMemError)) throw error;
  }
}

function noSuchCpu(cpu: number, possible: readonly number[]): WalkError {
  const message = `CPU ${cpu} not found: this kernel has ${possible.length} CPUs, the highest is ${possible.at(-1)}`;
  return new WalkError('no-such-cpu', message);
}

function ambiguous(
  name: string,
  candidates: readonly { readonly type: string; readonly address: bigint }[],
): WalkError {
  const shown = candidates.slice(0, MAX_CANDIDATES).map(({ address, type }) => `${hex(address)} (${type})`);
  const more = candidates.length > MAX_CANDIDATES ? ` and ${candidates.length - MAX_CANDIDATES} more` : '';
  const message = `${candidates.length} symbols have the name ${name}: ${shown.join(', ')}${more}; give the address`;
  return new WalkError('ambiguous-symbol', message);
}

/**
 * Maximum number of compared names; a kernel has about 200,000 symbols, and an untrusted table may have any
 * number.
 */
const MAX_NAMES = 1 << 19;
/** Longer names are neither searched nor suggested. */
const MAX_LENGTH = 128;
/** Maximum number of computed cells of distance tables. A kernel’s names need a tenth of it. */
const MAX_CELLS = 30_000_000;
/** Minimum length of a substring match: shorter words occur in too many names. */
const SHORTEST_PART = 3;

interface Near {
  readonly name: string;
  /** Lower is more similar. */
  readonly score: number;
}

/**
 * The most similar existing names: by edit distance (insertions, deletions, replacements, swaps), then those
 * that begin with it, then those that contain it. Time is limited, however many names there are.
 */
export function nearestNames(wanted: string, names: Iterable<string>, most = 3): string[] {
  const wantedLower = wanted.toLowerCase();
  if (wantedLower.length === 0 || wantedLower.length > MAX_LENGTH) return [];
  const { length } = wantedLower;
  // Two changes make most short words another one.
  const limit = length <= 5 ? 1 : length <= 8 ? 2 : Math.min(6, Math.ceil(length * 0.4));
  const found: Near[] = [];
  let looked = 0;
  let cells = 0;
  for (const name of names) {
    if (++looked > MAX_NAMES) break;
    if (name.length > MAX_LENGTH) continue;
    const lower = name.toLowerCase();
    const longer = lower.length - wantedLower.length;
    let score = Number.POSITIVE_INFINITY;
    if (Math.abs(longer) <= limit && cells < MAX_CELLS) {
      cells += wantedLower.length * lower.length;
      const distance = changes(wantedLower, lower, limit);
      if (distance <= limit) score = distance;
    }
    if (score > limit && wantedLower.length >= SHORTEST_PART && longer > 0) {
      if (lower.startsWith(wantedLower)) score = limit + longer / MAX_LENGTH;
      else if (containsWord(lower, wantedLower)) score = limit + 1 + longer / MAX_LENGTH;
    }
    if (score === Number.POSITIVE_INFINITY) continue;
    if (found.length === most && score >= found[most - 1]!.score) continue;
    if (found.some((near) => near.name === name)) continue;
    found.push({ name, score });
    found.sort((a, b) => a.score - b.score);
    found.length = Math.min(found.length, most);
  }
  return found.map(({ name }) => name);
}

/** Whether a name contains another from the beginning of a word on: `hang` is not part of `sum-changed`. */
function containsWord(name: string, part: string): boolean {
  for (let at = name.indexOf(part); at >= 0; at = name.indexOf(part, at + 1))
    if (!/[a-z0-9]/.test(name[at - 1] ?? ' ')) return true;
  return false;
}

/** Returns `; did you mean a, b or c?`, to append to an error message; '' if nothing is similar. */
export function didYouMean(near: readonly string[]): string {
  if (near.length === 0) return '';
  const last = near[near.length - 1]!;
  const others = near.slice(0, -1).join(', ');
  return `; did you mean ${others ? `${others} or ` : ''}${last}?`;
}

type Rows = [Uint8Array, Uint8Array, Uint8Array];

/** Returns the edit distance of two words (optimal string alignment); above `limit`, any higher number. */
function changes(from: string, to: string, limit: number): number {
  let [before, last, next] = [1, 2, 3].map(() => new Uint8Array(MAX_LENGTH + 1)) as Rows;
  for (let column = 0; column <= to.length; column++) last[column] = column;
  for (let row = 1; row <= from.length; row++) {
    next[0] = row;
    let least = row;
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let cost = Math.min(last[column]! + 1, next[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1));
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, before[column - 2]! + 1);
      next[column] = cost;
      least = Math.min(least, cost);
    }
    if (least > limit) return least;
    [before, last, next] = [last, next, before];
  }
  return last[to.length]!;
}
