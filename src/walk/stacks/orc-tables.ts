import { damaged, readOrNot, unsupportedLayout } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { listNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { isInside, type StackArea } from './frame.js';

/** Maximum number of entries of a table; a kernel has about half a million. */
const MAX_ENTRIES = 1 << 24;

/** A table: code addresses in order, and one entry for each. */
interface Table {
  readonly what: string;
  readonly places: bigint;
  readonly entries: bigint;
  readonly count: number;
  /**
   * The second place of the kernel's own table (`orc_lookup`): for each block of code, the index of the last entry at or
   * before its start.
   */
  readonly lookup?: { readonly text: bigint; readonly blocks: StackArea };
}

/** LOOKUP_BLOCK_SIZE (arch/x86/include/asm/orc_lookup.h). */
const BLOCK_BYTES = 256n;

/** ORC unwind tables of the kernel and its modules, read on demand. */
export class OrcTables {
  readonly #kernel: Kernel;
  readonly #version: OrcVersion;
  readonly #own: Table;
  readonly #text: readonly StackArea[];
  readonly #init: StackArea;
  readonly #known = new Map<bigint, OrcEntry | undefined>();
  #modules: ReadonlyMap<string, Table> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#version = orcVersion(kernel);
    const places = needSymbol(kernel, '__start_orc_unwind_ip');
    const end = needSymbol(kernel, '__stop_orc_unwind_ip');
    const entries = needSymbol(kernel, '__start_orc_unwind');
    const count = Number(end - places) / 4;
    const stop = kernel.symbol('__stop_orc_unwind');
    const fits = stop === undefined || stop - entries === BigInt(count * ORC_ENTRY_BYTES);
    if (!(count > 0 && count < MAX_ENTRIES && Number.isInteger(count) && fits))
      throw damaged('ORC tables differ in length');
    const range = (from: string, to: string) => {
      const [start, stopAt] = [kernel.symbol(from), kernel.symbol(to)];
      return start === undefined || stopAt === undefined ? [] : [{ start, end: stopAt }];
    };
    const [init = { start: 0n, end: 0n }] = range('_sinittext', '_einittext');
    this.#init = init;
    const [text] = range('_stext', '_etext');
    this.#text = text === undefined ? [init] : [text, init];
    const [blocks] = range('orc_lookup', 'orc_lookup_end');
    const lookup = text && blocks && { text: text.start, blocks };
    this.#own = { what: 'the ORC table', places, entries, count, ...(lookup ? { lookup } : {}) };
  }

  /**
   * Returns the ORC entry of a code address; undefined if no table covers it (BPF programs, trampolines
   * generated at run time).
   *
   * @throws {ReadError}, {@link KernelError} if a table cannot be read
   */
  find(address: bigint): OrcEntry | undefined {
    if (!this.#known.has(address)) this.#known.set(address, this.#search(address));
    return this.#known.get(address);
  }

  /** Whether an address is in init code, which the kernel frees after boot. */
  isInit(address: bigint): boolean {
    return isInside(this.#init, address);
  }

  #search(address: bigint): OrcEntry | undefined {
    if (this.#text.some((range) => isInside(range, address))) return this.#entry(this.#own, address);
    // A module's init code is freed and stays in its table: other code may be there now.
    const module = this.#kernel.symbolAt?.(address)?.module;
    if (module === undefined) return undefined;
    this.#modules ??= new Map(moduleTables(this.#kernel));
    const table = this.#modules.get(module);
    return table && this.#entry(table, address);
  }

  #entry(table: Table, address: bigint): OrcEntry | undefined {
    const index = this.#indexOf(table, address);
    if (index < 0) return undefined;
    this.#checkLookup(table, address, index);
    const read = (from: number, to: number) => {
      const at = table.entries + BigInt(from * ORC_ENTRY_BYTES);
      return readPartOf(this.#kernel, table.what, table.entries, at, (to - from) * ORC_ENTRY_BYTES);
    };
    const entry = decodeOrc(this.#version, read(index, index + 1));
    if (entry === undefined) throw damaged(`${table.what} has no valid entry`);
    const around = readOrNot(() => read(Math.max(0, index - 2), Math.min(table.count, index + 3)));
    if (around && hasRun(around)) throw damaged(`${table.what} repeats an entry`);
    return entry;
  }

  /** Compares the index of an entry with those of the blocks of code around it. Extracts may lack them. */
  #checkLookup({ what, lookup }: Table, address: bigint, index: number): void {
    if (lookup === undefined) return;
    const at = lookup.blocks.start + ((address - lookup.text) / BLOCK_BYTES) * 4n;
    if (!isInside(lookup.blocks, at) || !isInside(lookup.blocks, at + 7n)) return;
    const view = readOrNot(() => readPartOf(this.#kernel, 'orc_lookup', lookup.blocks.start, at, 8));
    const [first, last] = [view?.getUint32(0, true) ?? index, view?.getUint32(4, true) ?? index];
    if (index < first || index > last)
      throw damaged(`${what} has entry ${index} for ${hex(address)}, but orc_lookup has ${first} to ${last}`);
  }

  /**
   * Returns the index of the last location at or before an address; -1 if the address is before all of them.
   */
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

  /** Returns the code address of an entry; it is stored relative to its own location. */
  #placeAt({ what, places }: Table, index: number): bigint {
    const at = places + BigInt(index * 4);
    const offset = readPartOf(this.#kernel, what, places, at, 4).getInt32(0, true);
    if (offset === 0) throw damaged(`${what} has no code address at entry ${index}`);
    return at + BigInt(offset);
  }
}

/**
 * Whether three entries in a row are equal. objtool omits an entry that equals the one before it; two are equal where
 * object files meet.
 */
function hasRun(entries: DataView): boolean {
  const all = Array.from({ length: entries.byteLength / ORC_ENTRY_BYTES }, (_, index) => {
    const at = index * ORC_ENTRY_BYTES;
    return `${entries.getUint32(at, true)} ${entries.getUint16(at + 4, true)}`;
  });
  return all.some((entry, index) => entry === all[index + 1] && entry === all[index + 2]);
}

/** Yields the module tables with the names of their modules. */
function* moduleTables(kernel: Kernel): Generator<readonly [string, Table]> {
  const module = new StructReader(kernel, 'module', [
    'list',
    'name',
    'arch.num_orcs',
    'arch.orc_unwind_ip',
    'arch.orc_unwind',
  ] as const);
  for (const node of listNodes(kernel, needSymbol(kernel, 'modules'))) {
    const view = module.readContainer(node, 'list');
    const count = view.number('arch.num_orcs');
    if (count === 0) continue;
    const name = view.text('name');
    const what = `ORC table of module ${name}`;
    if (count > MAX_ENTRIES) throw damaged(`${what} has an invalid number of entries (${count})`);
    const [places, entries] = [view.pointer('arch.orc_unwind_ip'), view.pointer('arch.orc_unwind')];
    yield [name, { what, places, entries, count }];
  }
}

/** Rule for computing the caller's value of a register. */
export type OrcRegister =
  | 'undefined'
  | 'prev-sp'
  | 'ax'
  | 'dx'
  | 'di'
  | 'bp'
  | 'sp'
  | 'r10'
  | 'r13'
  | 'bp-indirect'
  | 'sp-indirect';

/** Rule to unwind from a function to its caller (struct orc_entry, arch/x86/include/asm/orc_types.h). */
export interface OrcEntry {
  readonly type: 'undefined' | 'end' | 'call' | 'regs' | 'regs-partial';
  readonly sp: OrcRegister;
  readonly spOffset: number;
  readonly bp: OrcRegister;
  readonly bpOffset: number;
  /** Whether the caller was interrupted. */
  readonly signal: boolean;
}

/** 1: up to 6.2; 2: 6.3; 3: since 6.4; 4: since 7.1, with different register numbers. */
type OrcVersion = 1 | 2 | 3 | 4;

const ORC_ENTRY_BYTES = 6;

const REGISTERS: readonly OrcRegister[] = [
  'undefined',
  'prev-sp',
  'dx',
  'di',
  'bp',
  'sp',
  'r10',
  'r13',
  'bp-indirect',
  'sp-indirect',
] as OrcRegister[];

const REGISTERS_4: readonly OrcRegister[] = [
  'undefined',
  'ax',
  'dx',
  'sp',
  'bp',
  'di',
  'r10',
  'r13',
  'prev-sp',
  'sp-indirect',
  'bp-indirect',
] as OrcRegister[];

const TYPES = ['undefined', 'end', 'call', 'regs', 'regs-partial'] as const;
/** Before version 3; other types are in sp_reg and `end`. */
const OLD_TYPES = ['call', 'regs', 'regs-partial'] as const;

/** @returns undefined for an invalid entry */
function decodeOrc(version: OrcVersion, view: DataView): OrcEntry | undefined {
  const registers = view.getUint8(4);
  const flags = view.getUint8(5);
  const names = version === 4 ? REGISTERS_4 : REGISTERS;
  const [sp, bp] = [names[registers & 15], names[registers >>> 4]];
  if (sp === undefined || bp === undefined) return undefined;
  const offsets = { spOffset: view.getInt16(0, true), bpOffset: view.getInt16(2, true) };
  if (version >= 3) {
    const type = TYPES[flags & 7];
    return type && { type, sp, bp, ...offsets, signal: (flags & 8) !== 0 };
  }
  const end = (flags & (version === 2 ? 8 : 4)) !== 0;
  const kind = OLD_TYPES[flags & 3];
  if (kind === undefined) return undefined;
  const type = sp !== 'undefined' ? kind : end ? 'end' : 'undefined';
  const signal = version === 2 ? (flags & 4) !== 0 : kind !== 'call';
  return { type, sp, bp, ...offsets, signal };
}

/**
 * Header of a kernel's tables since 6.3.10: a hash of the format (scripts/orc_hash.sh over orc_types.h).
 * Version 4 has the types of version 3 with another meaning.
 */
const HASHES: Readonly<Record<string, OrcVersion>> = {
  db84aed4103b31dd51e017f8f79783ca985c2c51: 2,
  fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24: 3,
  '137c36ad7627c4dd55932176bb0ecdbd5041fc82': 4,
};

const HASH_BYTES = 20;

/** The version of a kernel's tables: by their hash, or without one by their type. */
function orcVersion(kernel: Kernel): OrcVersion {
  const header = kernel.symbol('__start_orc_header');
  if (header !== undefined) {
    const bytes = readPartOf(kernel, '__start_orc_header', header, header, HASH_BYTES);
    const hash = Buffer.from(bytes.buffer, bytes.byteOffset, HASH_BYTES).toString('hex');
    const version = HASHES[hash];
    if (version !== undefined) return version;
    throw unsupportedLayout(`unsupported format of ORC unwind tables: ${hash}`);
  }
  const layout = kernel.struct('orc_entry');
  const type = layout?.member('type')?.bits?.size;
  if (layout?.size === ORC_ENTRY_BYTES) {
    if (type === 3 && layout.member('signal')) return 3;
    if (type === 2 && layout.member('end')) return layout.member('signal') ? 2 : 1;
  }
  throw unsupportedLayout('unsupported layout of struct orc_entry');
}
