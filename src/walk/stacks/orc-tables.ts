import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { needSymbol } from '../machine/cpus.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { isInside, type StackArea } from './frame.js';
import {
  decodeOrc,
  ORC_ENTRY_BYTES,
  type OrcEntry,
  type OrcVersion,
  orcVersion,
} from './orc-format.js';

/** Entries of a table at most: a kernel has half a million. */
const MOST_ENTRIES = 1 << 24;

/** A table: places in the code, in order, and as many entries. */
interface Table {
  readonly what: string;
  readonly places: bigint;
  readonly entries: bigint;
  readonly count: number;
}

/** The kernel's and its modules' tables of how to unwind stacks, read as far as they are asked. */
export class OrcTables {
  readonly #kernel: Kernel;
  readonly #version: OrcVersion;
  readonly #own: Table;
  readonly #text: readonly StackArea[];
  readonly #init: StackArea;
  readonly #known = new Map<bigint, OrcEntry | undefined>();
  #modules: ReadonlyMap<string, Table> | undefined;

  /** @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError} */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#version = orcVersion(kernel);
    const places = needSymbol(kernel, '__start_orc_unwind_ip');
    const end = needSymbol(kernel, '__stop_orc_unwind_ip');
    const entries = needSymbol(kernel, '__start_orc_unwind');
    const count = Number(end - places) / 4;
    const stop = kernel.symbol('__stop_orc_unwind');
    const fits = stop === undefined || stop - entries === BigInt(count * ORC_ENTRY_BYTES);
    if (!(count > 0 && count < MOST_ENTRIES && Number.isInteger(count) && fits))
      throw new KernelError('damaged', 'ORC tables differ in length');
    this.#own = { what: 'the ORC table', places, entries, count };
    const range = (from: string, to: string) => {
      const [start, stopAt] = [kernel.symbol(from), kernel.symbol(to)];
      return start === undefined || stopAt === undefined ? [] : [{ start, end: stopAt }];
    };
    const [init = { start: 0n, end: 0n }] = range('_sinittext', '_einittext');
    this.#init = init;
    this.#text = [...range('_stext', '_etext'), init];
  }

  /**
   * How to come from a place in the code to its caller; undefined where no table has it (programs of
   * BPF, trampolines that are made while the kernel runs).
   *
   * @throws {ReadError}, {@link KernelError} where a table cannot be read
   */
  find(address: bigint): OrcEntry | undefined {
    if (!this.#known.has(address)) this.#known.set(address, this.#search(address));
    return this.#known.get(address);
  }

  /** Whether an address is in functions that are freed after the start, whose code is then no more. */
  isInit(address: bigint): boolean {
    return isInside(this.#init, address);
  }

  #search(address: bigint): OrcEntry | undefined {
    if (this.#text.some((range) => isInside(range, address)))
      return this.#entry(this.#own, address);
    // What only a module's start needed is freed, and stays in its table: another's code may lie there now.
    const module = this.#kernel.symbolAt?.(address)?.module;
    if (module === undefined) return undefined;
    this.#modules ??= new Map(moduleTables(this.#kernel));
    const table = this.#modules.get(module);
    return table && this.#entry(table, address);
  }

  #entry(table: Table, address: bigint): OrcEntry | undefined {
    const index = this.#indexOf(table, address);
    if (index < 0) return undefined;
    const at = table.entries + BigInt(index * ORC_ENTRY_BYTES);
    const view = readPartOf(this.#kernel, table.what, table.entries, at, ORC_ENTRY_BYTES);
    const entry = decodeOrc(this.#version, view);
    if (entry === undefined) throw new KernelError('damaged', `${table.what} has no valid entry`);
    return entry;
  }

  /** The last place at or before an address; -1: it is before all. */
  #indexOf(table: Table, address: bigint): number {
    let low = 0;
    let high = table.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#placeAt(table, middle) <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Places are relative to where they are noted. */
  #placeAt({ what, places }: Table, index: number): bigint {
    const at = places + BigInt(index * 4);
    return at + BigInt(readPartOf(this.#kernel, what, places, at, 4).getInt32(0, true));
  }
}

/** By the names of modules. */
function* moduleTables(kernel: Kernel): Generator<readonly [string, Table]> {
  const module = new StructReader(kernel, 'module', [
    ...['list', 'name', 'arch.num_orcs', 'arch.orc_unwind_ip', 'arch.orc_unwind'],
  ] as const);
  for (const node of listNodes(kernel, needSymbol(kernel, 'modules'))) {
    const view = module.read(node - BigInt(module.offset('list')));
    const count = view.number('arch.num_orcs');
    if (count === 0) continue;
    const name = view.text('name');
    const what = `ORC table of module ${name}`;
    if (count > MOST_ENTRIES)
      throw new KernelError('damaged', `${what} has an invalid number of entries (${count})`);
    const [places, entries] = [view.pointer('arch.orc_unwind_ip'), view.pointer('arch.orc_unwind')];
    yield [name, { what, places, entries, count }];
  }
}
