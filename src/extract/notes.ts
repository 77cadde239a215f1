import { viewOf } from '../kernel/bytes.js';
import {
  CHUNK,
  Kallsyms,
  MAX_GROUP_BYTES,
  type NativeKernel,
  type Note,
  NT_PRSTATUS,
  type PackedGroup,
  type PhysicalRange,
  packGroup,
  type Vmcoreinfo,
} from '../kernel/native/parts.js';
import { needSymbol } from '../walk/cpus.js';
import { hasRecordBuffer, openRecordBuffer } from '../walk/log/record-buffer.js';
import { notePending } from '../walk/log/records.js';
import { fieldsOf } from '../walk/machine/fields.js';
import { StructReader } from '../walk/struct-reader.js';
import { Warnings } from '../walk/warnings.js';
import type { Store } from './debuggers/variables.js';
import { type KeptPages, WHOLE } from './kept-pages.js';

/** Offset of `pr_pid` in struct elf_prstatus (linux/elfcore.h). */
const PR_PID = 32;

/** Offsets of registers. */
interface Registers {
  /** Registers that show whether the CPU was in user space. */
  readonly mode: readonly number[];
  /** Registers with addresses: instruction pointer, stack pointer and frame pointers. */
  readonly place: readonly number[];
  readonly flags: readonly number[];
  /** Further pointers for unwinding. */
  readonly more: readonly number[];
}

/**
 * Registers by size of the note (struct user_regs_struct, struct user_pt_regs): x86_64's cs, rip and rsp,
 * eflags, then r13, rbp, r10, rax, rdx and rdi; arm64's pstate, sp, pc and x29, then x30. All others may
 * contain arbitrary data.
 */
const REGISTERS: Readonly<Record<number, Registers>> = {
  336: { mode: [248], place: [240, 264], flags: [256], more: [128, 144, 168, 192, 208, 224] },
  392: { mode: [376], place: [344, 360, 368], flags: [], more: [352] },
};

/**
 * The notes of an extract: VMCOREINFO, and the kernel-mode position of each CPU's status. Of a CPU that ran a
 * process nothing else is kept: its registers belonged to the process.
 *
 * @param stacks also keep other values for unwinding, if they are kernel addresses
 */
export function keptNotes(notes: readonly Note[], info: Vmcoreinfo, stacks: boolean): Note[] {
  const statuses = notes
    .filter(({ name, type }) => name === 'CORE' && type === NT_PRSTATUS)
    .map(({ name, type, data }) => ({ name, type, data: statusOf(data, stacks) }));
  // The numbering of CPUs depends on it.
  const qemu = notes.find(({ name }) => name === 'QEMU');
  return [
    ...statuses,
    ...(qemu && stacks ? [{ name: qemu.name, type: qemu.type, data: viewOf(Buffer.alloc(8)) }] : []),
    { name: 'VMCOREINFO', type: 0, data: viewOf(Buffer.from(infoText(info), 'latin1')) },
  ];
}

/** VMCOREINFO's lines, without any data behind them. */
export function infoText(info: Vmcoreinfo): string {
  return Array.from(info.entries, ([key, value]) => `${key}=${value}\n`).join('');
}

function statusOf(status: DataView, stacks: boolean): DataView {
  const kept = new DataView(new ArrayBuffer(status.byteLength));
  const registers = REGISTERS[status.byteLength];
  if (registers === undefined) return kept;
  const { mode, place, flags, more } = registers;
  kept.setUint32(PR_PID, status.getUint32(PR_PID, true), true);
  const keep = (at: number) => kept.setBigUint64(at, status.getBigUint64(at, true), true);
  mode.forEach(keep);
  // The highest bit of kernel addresses is set.
  const isAddress = (at: number) => status.getInt8(at + 7) < 0;
  if (!place.every(isAddress)) return kept;
  [...place, ...flags].forEach(keep);
  if (stacks) more.filter(isAddress).forEach(keep);
  return kept;
}

const RING_FIELDS = [
  'desc_ring.count_bits',
  'desc_ring.descs',
  'desc_ring.infos',
  'text_data_ring.size_bits',
  'text_data_ring.data',
] as const;

/** The largest log buffer has 2^26 records and 2^31 bytes. */
const MAX_COUNT_BITS = 26;
const MAX_SIZE_BITS = 31;

/**
 * Reads the kernel's log: the printk ring buffer, or the older records. crash searches it for a panic at
 * start, and fails without a buffer: the buffer's structure is always kept, its records and text only on
 * request.
 */
export function readLog(kernel: NativeKernel, store: Store, records: boolean): void {
  const step = kernel.facts.pageSize;
  for (const [at, length] of hasRecordBuffer(kernel) ? recordParts(kernel) : ringParts(kernel)) {
    for (let done = 0; done < length; done += step) {
      if (records) kernel.read(at + BigInt(done), Math.min(step, length - done));
      else store(at + BigInt(done));
    }
    if (!records) store(at + BigInt(length - 1));
  }
}

type Part = readonly [at: bigint, length: number];

function ringParts(kernel: NativeKernel): Part[] {
  const pointer = kernel.read(needSymbol(kernel, 'prb'), 8).getBigUint64(0, true);
  const reader = new StructReader(kernel, 'printk_ringbuffer', RING_FIELDS);
  kernel.read(pointer, reader.size);
  const ring = reader.read(pointer);
  const count = 2 ** Math.min(ring.number('desc_ring.count_bits'), MAX_COUNT_BITS);
  const bytes = 2 ** Math.min(ring.number('text_data_ring.size_bits'), MAX_SIZE_BITS);
  const sizeOf = (struct: string): number => kernel.struct(struct)?.size ?? 0;
  return [
    [ring.pointer('desc_ring.descs'), count * sizeOf('prb_desc')],
    [ring.pointer('desc_ring.infos'), count * sizeOf('printk_info')],
    [ring.pointer('text_data_ring.data'), bytes],
  ];
}

function recordParts(kernel: NativeKernel): Part[] {
  // Further data for crash and makedumpfile.
  kernel.read(needSymbol(kernel, 'clear_idx'), 4);
  notePending(kernel, new Warnings());
  const { address, size } = openRecordBuffer(kernel, fieldsOf(kernel));
  return [[address, size]];
}

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
