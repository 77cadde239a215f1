import { Parser } from 'binary-parser';
import { KernelError } from '../../../../base/errors.js';
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
    throw new KernelError(
      'damaged',
      `${source.name}: malformed ELF header (${count} program headers)`,
    );
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
export function requireBytes(
  source: ByteSource,
  view: DataView,
  position: number,
  length: number,
): void {
  if (view.byteLength >= length) return;
  throw new KernelError(
    'truncated',
    `${source.name}: truncated within its headers (needs ${position + length} bytes, has ${source.size})`,
  );
}
