import { KernelError, ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Architecture } from './arch/arch.js';
import { ElfFile, readFullFile, readSymtab } from './elf-file.js';
import { behind, Kallsyms, type KallsymsPlaces, MAX_SYMBOLS } from './kallsyms/kallsyms.js';
import { scanForKallsyms } from './kallsyms/scan.js';
import { TOKEN_INDEX_BYTES } from './kallsyms/tables.js';
import type { KernelMemory } from './memory.js';
import type { Provenance, TypesFile } from './provenance.js';
import { ListedSymbols, relocated, type SymbolTable } from './symbols.js';
import { NOT_ADDRESSES, type Vmcoreinfo } from './vmcoreinfo.js';

export interface SymbolsFound {
  readonly table: SymbolTable | undefined;
  readonly found: Provenance['symbols'];
}

/** Maximum number of tables that a scan tries: each is consistent, but only one is right. */
const MAX_TRIES = 256;

/**
 * Finds the kernel's symbols: from the given file, or else from its own table.
 *
 * @param search the same memory: for reads that only search for the table
 * @throws {KernelError} when a given file does not belong to this kernel, or cannot be read
 */
export function findSymbols(
  memory: KernelMemory,
  arch: Architecture,
  info: Vmcoreinfo,
  files: { readonly symbols?: string; readonly vmlinux?: string; readonly types?: string | TypesFile },
  search: Pick<KernelMemory, 'read'> = memory,
): SymbolsFound {
  const known = info.symbols();
  for (const name of NOT_ADDRESSES) known.delete(name);
  if (files.symbols !== undefined) {
    const table = readSystemMap(files.symbols, info.kernelOffset);
    checkAgreement(table, known, files.symbols);
    checkAgreement(table, ownSymbols(memory, info, known), files.symbols);
    return { table, found: { found: true, source: 'System.map', detail: files.symbols } };
  }
  if (files.vmlinux !== undefined) {
    const table = symtabOf(files.vmlinux, info, known);
    if (table) return { table, found: { found: true, source: 'vmlinux', detail: files.vmlinux } };
  }
  const own = findKallsyms(memory, arch, info, known, search);
  if (own.found.found || typeof files.types !== 'object') return own;
  return symbolsOf(files.types, info, known, own.found.why);
}

/**
 * Symbols of a Volatility table, if the kernel's own cannot be read. They are link-time addresses:
 * without KERNELOFFSET the runtime address is unknown.
 */
function symbolsOf(
  { path, symbols }: TypesFile,
  info: Vmcoreinfo,
  known: ReadonlyMap<string, bigint>,
  why: string,
): SymbolsFound {
  const placed = info.entries.has('KERNELOFFSET');
  const table = placed ? symbols?.(info.kernelOffset) : undefined;
  if (table) {
    checkAgreement(table, known, path);
    return { table, found: { found: true, source: 'ISF', detail: path } };
  }
  const also = symbols && !placed ? `; the symbols of ${path} require KERNELOFFSET, which VMCOREINFO lacks` : '';
  return { table: undefined, found: { found: false, code: 'no-symbols', why: why + also } };
}

/** Finds the kernel's own table: where VMCOREINFO states it (since 6.0), or by a scan of the image. */
function findKallsyms(
  memory: KernelMemory,
  arch: Architecture,
  info: Vmcoreinfo,
  known: ReadonlyMap<string, bigint>,
  search: Pick<KernelMemory, 'read'>,
): SymbolsFound {
  const reasons: string[] = [];
  const open = (places: KallsymsPlaces, how: string): SymbolsFound | undefined => {
    try {
      const table = Kallsyms.open(memory, places, known);
      const detail = `${how}: ${table.count} symbols, ${table.description}`;
      return { table, found: { found: true, source: 'kallsyms', detail } };
    } catch (error) {
      reasons.push(reasonOf(error));
      return undefined;
    }
  };
  try {
    const places = locateKallsyms(memory, info);
    const table = places && open(places, 'located by VMCOREINFO');
    if (table) return table;
    if (!places) reasons.push('not in VMCOREINFO');
    let tries = 0;
    for (const candidate of scanForKallsyms(search, arch)) {
      const scanned = open(candidate, 'found by a scan of the kernel image');
      if (scanned) return scanned;
      if (++tries >= MAX_TRIES) break;
    }
    if (tries === 0) reasons.push('not found by a scan of the kernel image');
  } catch (error) {
    reasons.push(reasonOf(error));
  }
  const why = `kernel symbol table not found (${[...new Set(reasons)].slice(0, 3).join('; ')})`;
  return { table: undefined, found: { found: false, code: 'no-symbols', why } };
}

/** The symbols of the kernel's own table that have one address; without its place (since 6.0), the known ones. */
function ownSymbols(
  memory: KernelMemory,
  info: Vmcoreinfo,
  known: ReadonlyMap<string, bigint>,
): ReadonlyMap<string, bigint> {
  try {
    const places = locateKallsyms(memory, info);
    if (places === undefined) return known;
    const own = new Map<string, bigint>();
    for (const { name, address } of Kallsyms.open(memory, places, known).all())
      own.set(name, (own.get(name) ?? address) === address ? address : AMBIGUOUS);
    return new Map([...own].filter(([, address]) => address !== AMBIGUOUS));
  } catch (error) {
    // A given file may replace a table that cannot be read.
    reasonOf(error);
    return known;
  }
}

/** No address of a symbol. */
const AMBIGUOUS = -1n;

function symtabOf(path: string, info: Vmcoreinfo, known: ReadonlyMap<string, bigint>): SymbolTable | undefined {
  const elf = ElfFile.open(path);
  try {
    checkBuildId(elf, info.buildId);
    if (elf.section('.symtab') === undefined && elf.section('.BTF') === undefined)
      throw new KernelError('unsupported-format', `${path}: neither .symtab nor .BTF`);
    const table = readSymtab(elf, info.kernelOffset);
    if (table) checkAgreement(table, known, path);
    return table;
  } finally {
    elf.close();
  }
}

/** @throws {KernelError} `wrong-vmlinux` when both have a build id, and they differ */
export function checkBuildId(
  { path, buildId }: { readonly path: string; readonly buildId?: string | undefined },
  own: string | undefined,
): void {
  if (buildId === undefined || own === undefined || buildId === own) return;
  throw new KernelError('wrong-vmlinux', `${path}: from a different kernel build (build id ${buildId}, dump ${own})`);
}

function checkAgreement(table: SymbolTable, known: ReadonlyMap<string, bigint>, path: string): void {
  let agreed = 0;
  for (const [name, address] of known) {
    const symbols = table.find(name);
    if (symbols.length === 0) continue;
    if (!symbols.some((symbol) => symbol.address === address)) {
      const actual = hex(symbols[0]!.address);
      const message = `${path}: from a different kernel build (${name} at ${actual}, dump ${hex(address)})`;
      throw new KernelError('wrong-vmlinux', message);
    }
    agreed++;
  }
  if (agreed === 0) throw new KernelError('wrong-vmlinux', `${path}: none of the symbols in VMCOREINFO`);
}

function reasonOf(error: unknown): string {
  if (error instanceof KernelError || error instanceof ReadError) return error.message;
  throw error;
}

type Memory = { read(address: bigint, length: number): DataView };

/**
 * Position of the tables according to VMCOREINFO (since 6.0, kernel/crash_core.c or vmcore_info.c), or
 * undefined if it does not state it.
 *
 * @throws {ReadError} when the variables cannot be read
 */
export function locateKallsyms(memory: Memory, info: Vmcoreinfo): KallsymsPlaces | undefined {
  const names = info.symbol('kallsyms_names');
  const tokenTable = info.symbol('kallsyms_token_table');
  const tokenIndex = info.symbol('kallsyms_token_index');
  const countAt = info.symbol('kallsyms_num_syms');
  if (names === undefined || tokenTable === undefined || tokenIndex === undefined || countAt === undefined)
    return undefined;
  const count = memory.read(countAt, 4).getUint32(0, true);
  if (count < 1 || count > MAX_SYMBOLS) throw new KernelError('no-symbols', `kallsyms: kallsyms_num_syms is ${count}`);

  const addresses: KallsymsPlaces['addresses'][number][] = [];
  const orders = behind(tokenIndex + BigInt(TOKEN_INDEX_BYTES));
  const offsets = info.symbol('kallsyms_offsets');
  const baseAt = info.symbol('kallsyms_relative_base');
  if (offsets !== undefined) {
    orders.push(...behind(offsets + BigInt(count * 4)));
    if (baseAt !== undefined) {
      const base = memory.read(baseAt, 8).getBigUint64(0, true);
      addresses.push(
        { address: offsets, encoding: 'relative-percpu', base },
        { address: offsets, encoding: 'relative', base },
      );
      orders.push(...behind(baseAt + 8n));
    }
    addresses.push({ address: offsets, encoding: 'place', base: offsets });
  }
  const absolute = info.symbol('kallsyms_addresses');
  if (absolute !== undefined) addresses.push({ address: absolute, encoding: 'absolute', base: 0n });
  return { count, names, tokenTable, tokenIndex, addresses, orders };
}

const MAX_BYTES = 256 << 20;
/** Maximum number of hex digits of an address. */
const MAX_DIGITS = 16;
const NEWLINE = 0x0a;
/** Before the newline of an editor on Windows. */
const RETURN = 0x0d;
const SPACE = 0x20;

/**
 * Reads the symbols in a System.map (`ffffffff81000000 T _stext`), relocated by the KASLR offset.
 *
 * @throws {KernelError} `unsupported-format` for any other file
 */
function readSystemMap(path: string, kernelOffset: bigint): ListedSymbols {
  return parseSystemMap(readFullFile(path, MAX_BYTES), kernelOffset, path);
}

/** Like readSystemMap, for a text. */
export function parseSystemMap(bytes: Uint8Array, kernelOffset: bigint, name = 'System.map'): ListedSymbols {
  const text = bytes.includes(RETURN) ? bytes.filter((byte) => byte !== RETURN) : bytes;
  const limit = linesOf(text);
  const nameAt = new Int32Array(limit);
  const types = new Uint8Array(limit);
  const addresses = new BigUint64Array(limit);
  let count = 0;
  let line = 0;
  for (let at = 0; at < text.length; ) {
    line++;
    const newline = text.indexOf(NEWLINE, at);
    const end = newline < 0 ? text.length : newline;
    const digits = text.subarray(at, Math.min(end, at + MAX_DIGITS + 1)).indexOf(SPACE);
    const fits = digits > 0 && at + digits + 3 < end;
    const address = fits ? hexAt(text, at, digits) : undefined;
    if (address === undefined || text[at + digits + 2] !== SPACE) {
      if (end > at) throw new KernelError('unsupported-format', `${name}: not a System.map (line ${line})`);
    } else {
      nameAt[count] = at + digits + 3;
      types[count] = text[at + digits + 1]!;
      addresses[count++] = relocated(address, kernelOffset);
    }
    at = end + 1;
  }
  if (count === 0) throw new KernelError('unsupported-format', `${name}: no symbols`);
  return new ListedSymbols(
    text,
    nameAt.subarray(0, count),
    NEWLINE,
    types.subarray(0, count),
    addresses.subarray(0, count),
  );
}

function linesOf(text: Uint8Array): number {
  let lines = 1;
  for (const byte of text) if (byte === NEWLINE) lines++;
  return lines;
}

function hexAt(text: Uint8Array, at: number, digits: number): bigint | undefined {
  let high = 0;
  let low = 0;
  for (let index = at; index < at + digits; index++) {
    const digit = hexDigit(text[index]!);
    if (digit < 0) return undefined;
    high = high * 16 + Math.floor(low / 0x1000_0000);
    low = (low % 0x1000_0000) * 16 + digit;
  }
  return (BigInt(high) << 32n) | BigInt(low);
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x61 + 10;
  if (byte >= 0x41 && byte <= 0x46) return byte - 0x41 + 10;
  return -1;
}
