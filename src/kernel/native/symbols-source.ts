import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Architecture } from './arch/arch.js';
import { ElfFile, readWholeFile } from './elf-file.js';
import { behind, Kallsyms, type KallsymsPlaces, MOST_SYMBOLS } from './kallsyms/kallsyms.js';
import { scanForKallsyms } from './kallsyms/scan.js';
import { TOKEN_INDEX_BYTES } from './kallsyms/tokens.js';
import type { KernelMemory } from './memory.js';
import type { Provenance } from './provenance.js';
import { ListedSymbols, relocated, type SymbolTable } from './symbols.js';
import type { TypesFile } from './types-file.js';
import { NOT_ADDRESSES, type Vmcoreinfo } from './vmcoreinfo.js';
import { readSymtab } from './vmlinux.js';

export interface SymbolsFound {
  readonly table: SymbolTable | undefined;
  readonly found: Provenance['symbols'];
}

/** Tables that a scan tries before it gives up: each is consistent, and one is right. */
const MOST_TRIES = 256;

/**
 * The kernel's symbols: from the file that was given for them, or else from its own table.
 *
 * @param search the same memory: reads that only look for the table go there
 * @throws {KernelError} when a file was given and is not of this kernel, or cannot be read
 */
export function findSymbols(
  memory: KernelMemory,
  arch: Architecture,
  info: Vmcoreinfo,
  files: {
    readonly symbols?: string;
    readonly vmlinux?: string;
    readonly types?: string | TypesFile;
  },
  search: Pick<KernelMemory, 'read'> = memory,
): SymbolsFound {
  const known = info.symbols();
  for (const name of NOT_ADDRESSES) known.delete(name);
  if (files.symbols !== undefined) {
    const table = readSystemMap(files.symbols, info.kernelOffset);
    mustAgree(table, known, files.symbols);
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
 * The symbols of a table of Volatility, where the kernel's own cannot be read. They are link-time
 * addresses: without KERNELOFFSET it is unknown where the kernel runs.
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
    mustAgree(table, known, path);
    return { table, found: { found: true, source: 'ISF', detail: path } };
  }
  const also =
    symbols && !placed
      ? `; the symbols of ${path} require KERNELOFFSET, which VMCOREINFO lacks`
      : '';
  return { table: undefined, found: { found: false, code: 'no-symbols', why: why + also } };
}

/** The kernel's own table: where VMCOREINFO says (since 6.0), or wherever in the image it is. */
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
    const found = places && open(places, 'located by VMCOREINFO');
    if (found) return found;
    if (!places) reasons.push('not in VMCOREINFO');
    let tries = 0;
    for (const candidate of scanForKallsyms(search, arch)) {
      const scanned = open(candidate, 'found by a scan of the kernel image');
      if (scanned) return scanned;
      if (++tries >= MOST_TRIES) break;
    }
    if (tries === 0) reasons.push('not found by a scan of the kernel image');
  } catch (error) {
    reasons.push(reasonOf(error));
  }
  const why = `kernel symbol table not found (${[...new Set(reasons)].slice(0, 3).join('; ')})`;
  return { table: undefined, found: { found: false, code: 'no-symbols', why } };
}

function symtabOf(
  path: string,
  info: Vmcoreinfo,
  known: ReadonlyMap<string, bigint>,
): SymbolTable | undefined {
  const elf = ElfFile.open(path);
  try {
    mustBeBuild(elf, info.buildId);
    if (elf.section('.symtab') === undefined && elf.section('.BTF') === undefined)
      throw new KernelError('unsupported-format', `${path}: neither .symtab nor .BTF`);
    const table = readSymtab(elf, info.kernelOffset);
    if (table) mustAgree(table, known, path);
    return table;
  } finally {
    elf.close();
  }
}

/** @throws {KernelError} `wrong-vmlinux` when both say which build they are, and differ */
export function mustBeBuild(
  { path, buildId }: { readonly path: string; readonly buildId?: string | undefined },
  own: string | undefined,
): void {
  if (buildId === undefined || own === undefined || buildId === own) return;
  throw new KernelError(
    'wrong-vmlinux',
    `${path}: from a different kernel build (build id ${buildId}, dump ${own})`,
  );
}

function mustAgree(table: SymbolTable, known: ReadonlyMap<string, bigint>, path: string): void {
  let agreed = 0;
  for (const [name, address] of known) {
    const found = table.find(name);
    if (found.length === 0) continue;
    if (!found.some((one) => one.address === address)) {
      const there = hex(found[0]!.address);
      const message = `${path}: from a different kernel build (${name} at ${there}, dump ${hex(address)})`;
      throw new KernelError('wrong-vmlinux', message);
    }
    agreed++;
  }
  if (agreed === 0)
    throw new KernelError('wrong-vmlinux', `${path}: none of the symbols in VMCOREINFO`);
}

function reasonOf(error: unknown): string {
  if (error instanceof KernelError || error instanceof ReadError) return error.message;
  throw error;
}

type Memory = { read(address: bigint, length: number): DataView };

/**
 * Where VMCOREINFO says that the tables lie (since 6.0, kernel/crash_core.c or vmcore_info.c), or
 * undefined when it doesn't.
 *
 * @throws {ReadError} when what it names cannot be read
 */
export function locateKallsyms(memory: Memory, info: Vmcoreinfo): KallsymsPlaces | undefined {
  const names = info.symbol('kallsyms_names');
  const tokenTable = info.symbol('kallsyms_token_table');
  const tokenIndex = info.symbol('kallsyms_token_index');
  const countAt = info.symbol('kallsyms_num_syms');
  if (
    names === undefined ||
    tokenTable === undefined ||
    tokenIndex === undefined ||
    countAt === undefined
  )
    return undefined;
  const count = memory.read(countAt, 4).getUint32(0, true);
  if (count < 1 || count > MOST_SYMBOLS)
    throw new KernelError('no-symbols', `kallsyms: kallsyms_num_syms is ${count}`);

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

const MOST_BYTES = 256 << 20;
/** Of an address. */
const MOST_DIGITS = 16;
const NEWLINE = 0x0a;
const SPACE = 0x20;

/**
 * The symbols that a System.map lists (`ffffffff81000000 T _stext`), moved by what KASLR added.
 *
 * @throws {KernelError} `unsupported-format` when it is no such file
 */
function readSystemMap(path: string, kernelOffset: bigint): ListedSymbols {
  return parseSystemMap(readWholeFile(path, MOST_BYTES), kernelOffset, path);
}

/** As readSystemMap, of a text. */
export function parseSystemMap(
  text: Uint8Array,
  kernelOffset: bigint,
  name = 'System.map',
): ListedSymbols {
  const most = linesOf(text);
  const nameAt = new Int32Array(most);
  const types = new Uint8Array(most);
  const addresses = new BigUint64Array(most);
  let count = 0;
  let line = 0;
  for (let at = 0; at < text.length; ) {
    line++;
    const found = text.indexOf(NEWLINE, at);
    const end = found < 0 ? text.length : found;
    const digits = text.subarray(at, Math.min(end, at + MOST_DIGITS + 1)).indexOf(SPACE);
    const fits = digits > 0 && at + digits + 3 < end;
    const address = fits ? hexAt(text, at, digits) : undefined;
    if (address === undefined || text[at + digits + 2] !== SPACE) {
      if (end > at)
        throw new KernelError('unsupported-format', `${name}: not a System.map (line ${line})`);
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
