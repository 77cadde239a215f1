import { KernelError, ReadError } from '../error.js';
import { hex } from '../hex.js';
import type { Architecture } from './arch/arch.js';
import { ElfFile } from './elf-file.js';
import { Kallsyms, type KallsymsPlaces } from './kallsyms/kallsyms.js';
import { locateKallsyms } from './kallsyms/locate.js';
import { scanForKallsyms } from './kallsyms/scan.js';
import type { KernelMemory } from './memory.js';
import type { Provenance } from './provenance.js';
import type { SymbolTable } from './symbols.js';
import { readSystemMap } from './system-map.js';
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
    symbols && !placed ? `; the symbols of ${path} need KERNELOFFSET, which VMCOREINFO lacks` : '';
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
    const found = places && open(places, 'named by VMCOREINFO');
    if (found) return found;
    if (!places) reasons.push('VMCOREINFO does not name it');
    let tries = 0;
    for (const candidate of scanForKallsyms(search, arch)) {
      const scanned = open(candidate, 'found by a scan of the image');
      if (scanned) return scanned;
      if (++tries >= MOST_TRIES) break;
    }
    if (tries === 0) reasons.push('a scan of the kernel image found none');
  } catch (error) {
    reasons.push(reasonOf(error));
  }
  const why = `the kernel's symbol table was not found (${[...new Set(reasons)].slice(0, 3).join('; ')})`;
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
      throw new KernelError('unsupported-format', `${path} has neither .symtab nor .BTF`);
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
    `${path} is of another kernel: its build id is ${buildId}, the dump's ${own}`,
  );
}

function mustAgree(table: SymbolTable, known: ReadonlyMap<string, bigint>, path: string): void {
  let agreed = 0;
  for (const [name, address] of known) {
    const found = table.find(name);
    if (found.length === 0) continue;
    if (!found.some((one) => one.address === address)) {
      const there = hex(found[0]!.address);
      const message = `${path} is of another kernel: it has ${name} at ${there}, the dump at ${hex(address)}`;
      throw new KernelError('wrong-vmlinux', message);
    }
    agreed++;
  }
  if (agreed === 0)
    throw new KernelError('wrong-vmlinux', `${path} has none of the symbols that the dump names`);
}

function reasonOf(error: unknown): string {
  if (error instanceof KernelError || error instanceof ReadError) return error.message;
  throw error;
}
