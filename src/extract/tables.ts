import {
  CHUNK,
  Kallsyms,
  MAX_GROUP_BYTES,
  type NativeKernel,
  type PackedGroup,
  type PhysicalRange,
  packGroup,
} from '../kernel/native/parts.js';
import { type KeptPages, WHOLE } from './kept-pages.js';

/**
 * Reads all tables that describe a kernel: symbols, types, and types of modules. An absent one is not needed:
 * it fails in the same way later.
 */
export function readTables(kernel: NativeKernel): void {
  const { symbolTable, typesAt } = kernel;
  if (symbolTable !== undefined) {
    for (const _ of symbolTable.all());
    symbolTable.before((1n << 64n) - 1n);
  }
  if (typesAt !== undefined) {
    kernel.read(typesAt.address, typesAt.length);
    kernel.moduleTypes;
  }
}

/** A range of the kernel's virtual memory, in bytes. */
interface Table {
  readonly address: bigint;
  readonly length: number;
  /** Whether it consists of ascending 32-bit words. */
  readonly words?: boolean;
}

/**
 * Drops the sorting of symbols by name: it only speeds up a search, and does not compress. Its beginning
 * stays, since the preceding names are read together with it.
 */
export function forgetOrderOfNames(kernel: NativeKernel, kept: KeptPages): void {
  const { symbolTable } = kernel;
  const order = symbolTable instanceof Kallsyms ? symbolTable.places.order : undefined;
  if (order === undefined) return;
  const pageSize = BigInt(kernel.facts.pageSize);
  const end = order.address + BigInt(order.length);
  for (let at = order.address + BigInt(CHUNK); at < end; ) {
    const next = (at / pageSize + 1n) * pageSize;
    const physical = kernel.physicalOf(at);
    if (physical !== undefined) kept.forget(physical, Number((next < end ? next : end) - at));
    at = next;
  }
}

/**
 * Compresses the pages of symbol and type tables together, which saves a third. crash and drgn do not read
 * them: they use a vmlinux.
 *
 * @param bytesOf the bytes of a page
 * @returns groups ordered by address
 */
export function packTables(
  kernel: NativeKernel,
  kept: KeptPages,
  bytesOf: (page: number) => Uint8Array,
): PackedGroup[] {
  const { symbolTable, typesAt } = kernel;
  const tables: Table[] = typesAt === undefined ? [] : [typesAt];
  if (symbolTable instanceof Kallsyms) {
    const { names, addresses } = symbolTable.places;
    tables.push(names, { ...addresses, words: addresses.width === 4 });
  }
  const packed = new Set<number>();
  const groups: PackedGroup[] = [];
  for (const { words = false, ...table } of tables) {
    const pages = pagesOf(kernel, table)
      .filter((page) => kept.rangesOf(page) === WHOLE && !packed.has(page))
      .sort((a, b) => a - b);
    for (const page of pages) packed.add(page);
    const most = MAX_GROUP_BYTES / kept.pageSize;
    for (let first = 0; first < pages.length; first += most) {
      const group = pages.slice(first, first + most);
      const bytes = Buffer.concat(group.map(bytesOf));
      groups.push(packGroup(runsOf(group, kept.pageSize), bytes, words));
    }
  }
  return groups.sort((a, b) => a.runs[0]!.start - b.runs[0]!.start);
}

/** Numbers of the pages that are completely within a table. */
function pagesOf(kernel: NativeKernel, { address, length }: Table): number[] {
  const { pageSize } = kernel.facts;
  const size = BigInt(pageSize);
  const end = address + BigInt(length);
  const pages: number[] = [];
  for (let at = ((address + size - 1n) / size) * size; at + size <= end; at += size) {
    const physical = kernel.physicalOf(at);
    if (physical !== undefined) pages.push(Math.floor(physical / pageSize));
  }
  return pages;
}

function runsOf(pages: readonly number[], pageSize: number): PhysicalRange[] {
  const runs: { start: number; end: number }[] = [];
  for (const page of pages) {
    const start = page * pageSize;
    const last = runs[runs.length - 1];
    if (last !== undefined && last.end === start) last.end += pageSize;
    else runs.push({ start, end: start + pageSize });
  }
  return runs;
}
