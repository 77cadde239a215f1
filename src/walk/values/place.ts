import { KdumpMemError, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, isPerCpu, perCpuAddress } from '../cpus.js';
import { didYouMean, nearestNames } from './nearest-names.js';

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

const PLACE =
  /^(?<base>[A-Za-z0-9_.$]{1,511})(?::(?<cpu>\d{1,4}))?(?:\+(?<offset>0x[0-9a-f]{1,16}|\d{1,20}))?$/i;

/** Parses a place; undefined if the text has none of these forms. */
export function parsePlace(text: string): WrittenPlace | undefined {
  const { base, cpu, offset } = PLACE.exec(text)?.groups ?? {};
  if (base === undefined) return undefined;
  const digits = /^(?:0x)?([0-9a-f]{1,16})$/i.exec(base)?.[1];
  const number = digits === undefined ? undefined : BigInt(`0x${digits}`);
  const surelyNumber = number !== undefined && (/^0x/i.test(base) || digits?.length === 16);
  if (surelyNumber && cpu !== undefined) return undefined;
  if (number === undefined && /^\d/.test(base)) return undefined;
  return {
    base,
    number,
    surelyNumber,
    cpu: cpu === undefined ? undefined : Number(cpu),
    offset: BigInt(offset ?? 0),
  };
}

/** Maximum number of listed addresses for an ambiguous symbol. */
const MOST_CANDIDATES = 12;

/**
 * Finds a place in a kernel. A name that could also be a short hex number is the symbol, if one exists.
 *
 * @throws {WalkError} `no-such-symbol`, `no-such-cpu`, or `ambiguous-symbol` with all possible places
 */
export function findPlace(kernel: SymbolSource, written: WrittenPlace): Place {
  const { base, number, surelyNumber, cpu, offset } = written;
  const add = (address: bigint): bigint => BigInt.asUintN(64, address + offset);
  if (surelyNumber && number !== undefined) return { address: add(number) };
  const found = kernel.symbol(base);
  if (found === undefined) {
    const candidates = kernel.symbols?.(base) ?? [];
    if (candidates.length > 0) throw ambiguous(base, candidates);
    if (number !== undefined && cpu === undefined) return { address: add(number) };
    const near = didYouMean(nearestNames(base, namesOf(kernel)));
    throw new WalkError('no-such-symbol', `the kernel has no symbol ${base}${near}`);
  }
  const perCpu = isPerCpu(kernel, found);
  if (!perCpu && cpu !== undefined)
    throw new WalkError('no-such-symbol', `${base} is not a per-CPU variable`);
  if (!perCpu) return { address: add(found), symbol: base };
  if (cpu === undefined) {
    const message = `${base} is a per-CPU variable: give a CPU, for example ${base}:0`;
    throw new WalkError('ambiguous-symbol', message);
  }
  const possible = cpuMask(kernel, '__cpu_possible_mask');
  if (!possible.includes(cpu)) throw noSuchCpu(cpu, possible);
  return { address: add(perCpuAddress(kernel, found, cpu)), symbol: base, cpu };
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
  const shown = candidates
    .slice(0, MOST_CANDIDATES)
    .map(({ address, type }) => `${hex(address)} (${type})`);
  const more =
    candidates.length > MOST_CANDIDATES ? ` and ${candidates.length - MOST_CANDIDATES} more` : '';
  const message = `${candidates.length} symbols have the name ${name}: ${shown.join(', ')}${more}; give the address`;
  return new WalkError('ambiguous-symbol', message);
}
