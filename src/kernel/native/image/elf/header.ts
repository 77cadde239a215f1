import { Parser } from 'binary-parser';
import { KernelError } from '../../../../base/errors.js';
import { highHalf, joinHalves, lowHalf } from '../../../pointer.js';
import { ascending } from '../../symbols.js';
import { type ByteSource, readHead } from '../byte-source.js';
import { machineName, requireMachine } from '../notes.js';

/** Fields of an ELF64 header that locate the program headers. Offsets are file bytes. */
export interface ElfHeader {
  readonly type: number;
  readonly machine: string;
  readonly programHeaders: { readonly offset: number; readonly count: number };
}

/** An entry of the program header table, as stored in the file. */
export interface ProgramHeader {
  readonly type: number;
  readonly offset: bigint;
  readonly virtual: bigint;
  readonly physical: bigint;
  readonly fileSize: bigint;
  readonly memorySize: bigint;
}

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const ET_CORE = 4;

const EHDR = 64;
const PHDR = 56;
const SHDR = 64;
/** e_phnum when the real count does not fit: it is in sh_info of section 0 (elf(5)). */
const PN_XNUM = 0xffff;
const HEADERS_AT_ONCE = 8192;
/** More program headers than this indicate corruption or an unknown kind of dump. */
const MAX_PROGRAM_HEADERS = 1 << 20;

/** Elf64_Ehdr (elf.h), little-endian: the fields that locate the program headers. */
const elf64_ehdr = new Parser()
  .endianness('little')
  .seek(16)
  .uint16('e_type')
  .uint16('e_machine')
  .seek(12)
  .uint64('e_phoff')
  .uint64('e_shoff')
  .seek(6)
  .uint16('e_phentsize')
  .uint16('e_phnum');

export function isElf(head: DataView): boolean {
  return head.byteLength >= 4 && head.getUint32(0, false) === 0x7f454c46;
}

/** @throws {KernelError} `truncated`, `unsupported-arch`, `not-a-dump` or `damaged`. */
export function readElfHeader(source: ByteSource): ElfHeader {
  const view = readHead(source, 0, EHDR);
  requireBytes(source, view, 0, 20);
  const [bits, order] = [view.getUint8(4), view.getUint8(5)];
  if ((bits !== 1 && bits !== 2) || (order !== 1 && order !== 2)) {
    const claim = `ELF class ${bits}, byte order ${order}`;
    throw new KernelError('damaged', `${source.name}: malformed ELF header (${claim})`);
  }
  const littleEndian = order === 1;
  const machine = machineName(view.getUint16(18, littleEndian), bits === 1 ? 32 : 64, littleEndian);
  requireMachine(source.name, machine);
  requireBytes(source, view, 0, EHDR);

  const header = elf64_ehdr.parse(new Uint8Array(view.buffer));
  const type = header.e_type;
  if (type !== ET_CORE) {
    const description = KINDS[type] ?? `ELF file of type ${type}`;
    throw new KernelError('not-a-dump', `${source.name}: not a dump, but an ${description}`);
  }
  const offset = Number(header.e_phoff);
  const entry = header.e_phentsize;
  let count = header.e_phnum;
  if (count > 0 && entry !== PHDR) {
    throw new KernelError(
      'damaged',
      `${source.name}: malformed ELF header (program headers of ${entry} bytes, not 56)`,
    );
  }
  const sections = Number(header.e_shoff);
  // A writer that predates PN_XNUM, with exactly 65535 headers, has no section 0.
  if (count === PN_XNUM && sections > 0) {
    const section = readHead(source, sections, SHDR);
    requireBytes(source, section, sections, SHDR);
    count = section.getUint32(44, true);
  }
  if (count > MAX_PROGRAM_HEADERS) {
    throw new KernelError('damaged', `${source.name}: malformed ELF header (${count} program headers)`);
  }
  return { type, machine, programHeaders: { offset, count } };
}

/** The program headers, read a few thousand at a time. @throws {KernelError} `truncated` */
export function* programHeaders(source: ByteSource, header: ElfHeader): Generator<ProgramHeader> {
  const { offset, count } = header.programHeaders;
  const end = offset + count * PHDR;
  for (let at = offset; at < end; at += HEADERS_AT_ONCE * PHDR) {
    const wanted = Math.min(end - at, HEADERS_AT_ONCE * PHDR);
    const table = readHead(source, at, wanted);
    if (table.byteLength < wanted) requireBytes(source, table, at, end - at);
    for (let i = 0; i < wanted; i += PHDR) {
      yield {
        type: table.getUint32(i, true),
        offset: table.getBigUint64(i + 8, true),
        virtual: table.getBigUint64(i + 16, true),
        physical: table.getBigUint64(i + 24, true),
        fileSize: table.getBigUint64(i + 32, true),
        memorySize: table.getBigUint64(i + 40, true),
      };
    }
  }
}

/** e_type of files that are often passed instead of a dump. */
const KINDS: Readonly<Record<number, string>> = {
  1: 'ELF object file',
  2: 'ELF executable (such as a vmlinux)',
  3: 'ELF shared object (such as a vmlinux of a relocatable kernel)',
};

/** @throws {KernelError} `truncated`, with both numbers, if `view` is not `length` bytes long. */
export function requireBytes(source: ByteSource, view: DataView, position: number, length: number): void {
  if (view.byteLength >= length) return;
  throw new KernelError(
    'truncated',
    `${source.name}: truncated within its headers (needs ${position + length} bytes, has ${source.size})`,
  );
}

/** Memory stored in a file as plain bytes: a PT_LOAD. */
interface Segment {
  /** File offset of the first byte. /proc/kcore's exceed 2^53. */
  readonly offset: bigint;
  /** Virtual address of the first byte, or undefined if unknown. */
  readonly virtual: bigint | undefined;
  /** Physical address of the first byte, or undefined if unknown. */
  readonly physical: number | undefined;
  /** Number of bytes stored. */
  readonly stored: number;
  /** Number of bytes of memory described; those beyond `stored` were filtered out. */
  readonly described: number;
}

/** The segments of a file, in order, stored compactly: a million of them take no more memory than their headers. */
export class SegmentTable {
  length = 0;
  readonly stored: Float64Array;
  readonly described: Float64Array;
  readonly #offset: BigUint64Array;
  /** 0 if unknown. */
  readonly #virtual: BigUint64Array;
  /** NaN if unknown. */
  readonly #physical: Float64Array;

  /** @param limit maximum number of segments, not checked here */
  constructor(limit: number) {
    this.stored = new Float64Array(limit);
    this.described = new Float64Array(limit);
    this.#offset = new BigUint64Array(limit);
    this.#virtual = new BigUint64Array(limit);
    this.#physical = new Float64Array(limit);
  }

  add({ offset, virtual, physical, stored, described }: Segment): void {
    const index = this.length++;
    this.#offset[index] = offset;
    this.#virtual[index] = virtual ?? 0n;
    this.#physical[index] = physical ?? Number.NaN;
    this.stored[index] = stored;
    this.described[index] = described;
  }

  get hasVirtual(): boolean {
    return this.#virtual.some((address) => address !== 0n);
  }

  offset(index: number): bigint {
    return this.#offset[index]!;
  }

  virtual(index: number): bigint | undefined {
    return this.#virtual[index] || undefined;
  }

  physical(index: number): number | undefined {
    const physical = this.#physical[index]!;
    return Number.isNaN(physical) ? undefined : physical;
  }
}

/** The segments with a virtual address, in address order. */
export class VirtualSegments {
  /** Indices of segments in their table. */
  readonly segments: Uint32Array;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;

  constructor(table: SegmentTable) {
    const mapped = new Uint32Array(table.length);
    const high = new Uint32Array(table.length);
    const low = new Uint32Array(table.length);
    let count = 0;
    for (let segment = 0; segment < table.length; segment++) {
      const start = table.virtual(segment);
      if (start === undefined || table.described[segment] === 0) continue;
      high[count] = highHalf(start);
      low[count] = lowHalf(start);
      mapped[count++] = segment;
    }
    const order = ascending({ length: count, high: (i) => high[i]!, low: (i) => low[i]! });
    this.segments = order.map((index) => mapped[index]!);
    this.#high = order.map((index) => high[index]!);
    this.#low = order.map((index) => low[index]!);
  }

  get length(): number {
    return this.segments.length;
  }

  start(index: number): bigint {
    return joinHalves(this.#high[index]!, this.#low[index]!);
  }

  /** Returns the last segment that begins at or before an address, or -1. */
  before(address: bigint): number {
    const high = highHalf(address);
    const low = lowHalf(address);
    let from = 0;
    let to = this.segments.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const above = this.#high[middle]! - high || this.#low[middle]! - low;
      if (above <= 0) from = middle + 1;
      else to = middle;
    }
    return from - 1;
  }
}
