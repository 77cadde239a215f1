import { KernelError } from '../../base/errors.js';
import { bytesOf, textOf, viewOf } from '../bytes.js';
import { type ByteSource, FileSource, readHead } from './image/byte-source.js';
import { inflateZlib } from './image/codecs/codec.js';
import { inflateZstd } from './image/codecs/zstd.js';
import { notes } from './image/notes.js';
import { ListedSymbols, relocated } from './symbols.js';

const ELF_HEADER_BYTES = 64;
const SECTION_BYTES = 64;
/** Upper bound on the sections of a kernel built with -ffunction-sections. */
const MAX_SECTIONS = 65_536;
/** Maximum size of a section that is read completely. */
const MAX_SECTION_BYTES = 256 << 20;
/** Maximum length of a name; longer ones are never looked up. */
const MAX_NAME = 256;
/** A section without bytes in the file. */
const SHT_NOBITS = 8;
const SHT_NOTE = 7;
const NT_GNU_BUILD_ID = 3;
const ET_REL = 1;

export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: bigint;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly size: number;
  /** For `.symtab`: index of the section with its strings. */
  readonly link: number;
}

/** A vmlinux whose sections are read on demand. ELF64, little-endian. */
export class ElfFile {
  readonly path: string;
  readonly sections: readonly ElfSection[];
  /** An object file that is not linked, such as a module. */
  readonly isRelocatable: boolean;
  readonly #source: ByteSource;

  private constructor(source: ByteSource) {
    this.path = source.name;
    this.#source = source;
    const head = bytesOf(readHead(source, 0, ELF_HEADER_BYTES));
    if (!isElf64(head)) {
      const message = `${this.path}: not a 64-bit little-endian ELF file`;
      throw new KernelError('unsupported-format', message);
    }
    const header = viewOf(head);
    this.isRelocatable = header.getUint16(16, true) === ET_REL;
    this.sections = this.#readSections(header);
  }

  /** @throws {KernelError} when it cannot be opened or is not such an ELF file; `wrong-vmlinux` when damaged */
  static open(path: string): ElfFile {
    const source = new FileSource(path, 'unsupported-format');
    try {
      return new ElfFile(source);
    } catch (error) {
      source.close();
      throw error;
    }
  }

  section(name: string): ElfSection | undefined {
    return this.sections.find((section) => section.name === name && section.type !== SHT_NOBITS);
  }

  /** Reads bytes of a section, by default all of them. */
  read({ name, offset, size }: ElfSection, from = 0, length = size - from): Uint8Array {
    if (length > MAX_SECTION_BYTES) throw this.#damaged(`section ${name} of ${length} bytes`);
    if (from + length > size) throw this.#damaged(`section ${name} at bytes ${from} to ${from + length} of ${size}`);
    return this.#read(offset + from, length);
  }

  /** The GNU build id in lower-case hex, or undefined. */
  get buildId(): string | undefined {
    for (const section of this.sections) {
      if (section.type !== SHT_NOTE || section.size > 1 << 20) continue;
      const id = buildIdOf(viewOf(this.read(section)));
      if (id !== undefined) return id;
    }
    return undefined;
  }

  close(): void {
    this.#source.close();
  }

  #readSections(header: DataView): ElfSection[] {
    const table = Number(header.getBigUint64(40, true));
    const entryBytes = header.getUint16(58, true);
    if (table === 0) return [];
    if (entryBytes !== SECTION_BYTES) throw this.#damaged(`sections of ${entryBytes} bytes`);
    // Counts that do not fit are stored in section 0.
    const first = viewOf(this.#read(table, SECTION_BYTES));
    const count = header.getUint16(60, true) || Number(first.getBigUint64(32, true));
    const small = header.getUint16(62, true);
    const names = small === 0xffff ? first.getUint32(40, true) : small;
    if (count > MAX_SECTIONS) throw this.#damaged(`${count} sections`);
    const bytes = this.#read(table, count * SECTION_BYTES);
    const raw = Array.from({ length: count }, (_, index) => {
      const view = viewOf(bytes.subarray(index * SECTION_BYTES, (index + 1) * SECTION_BYTES));
      return {
        nameAt: view.getUint32(0, true),
        type: view.getUint32(4, true),
        flags: view.getBigUint64(8, true),
        offset: Number(view.getBigUint64(24, true)),
        size: Number(view.getBigUint64(32, true)),
        link: view.getUint32(40, true),
      };
    });
    const nameSection = raw[names];
    const strings =
      nameSection && nameSection.size <= 1 << 22 ? this.#read(nameSection.offset, nameSection.size) : new Uint8Array(0);
    return raw.map(({ nameAt, ...section }) => ({ ...section, name: stringAt(strings, nameAt) }));
  }

  #read(offset: number, length: number): Uint8Array {
    const { size } = this.#source;
    if (!(offset >= 0 && offset + length <= size))
      throw this.#damaged(`bytes ${offset} to ${offset + length} of ${size}`);
    return readAt(this.#source, offset, length);
  }

  #damaged(why: string): KernelError {
    return new KernelError('wrong-vmlinux', `${this.path}: malformed ELF file (${why})`);
  }
}

/** Whether a file begins with a 64-bit little-endian ELF header. */
export function isElf64(head: Uint8Array): boolean {
  return (
    head.length >= ELF_HEADER_BYTES &&
    head[0] === 0x7f &&
    head[1] === 0x45 &&
    head[2] === 0x4c &&
    head[3] === 0x46 &&
    head[4] === 2 &&
    head[5] === 1
  );
}

/** Reads the first bytes of a file, fewer if it is shorter. */
export function readFileHead(path: string, length: number): Uint8Array {
  const source = new FileSource(path, 'unsupported-format');
  try {
    return bytesOf(readHead(source, 0, length));
  } finally {
    source.close();
  }
}

/** Reads a complete file of at most `limit` bytes; fstat knows the size of /sys/kernel/btf/vmlinux. */
export function readFullFile(path: string, limit: number): Uint8Array {
  const source = new FileSource(path, 'unsupported-format');
  try {
    const { size } = source;
    if (size > limit) {
      const message = `${path}: file too large (${size} bytes, at most ${limit} supported)`;
      throw new KernelError('unsupported-format', message, { next: 'Check the path.' });
    }
    return readAt(source, 0, size);
  } finally {
    source.close();
  }
}

/** Reads bytes that must exist. */
function readAt(source: ByteSource, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (source.pread(bytes, length, offset) === length) return bytes;
  const problem = `bytes ${offset} to ${offset + length} of ${source.size} not readable`;
  throw new KernelError('wrong-vmlinux', `${source.name}: ${problem}`);
}

/** Finds the GNU build id among notes, in lower-case hex. */
export function buildIdOf(section: DataView): string | undefined {
  for (const { name, type, data } of notes(section))
    if (name === 'GNU' && type === NT_GNU_BUILD_ID) return Buffer.from(bytesOf(data)).toString('hex');
  return undefined;
}

/** Returns the string at an offset of a string table. */
function stringAt(names: Uint8Array, from: number): string {
  return textOf(names.subarray(from, from + MAX_NAME));
}

const SYMBOL_BYTES = 24;
const MAX_SYMBOLS = 1 << 23;
const SHN_UNDEF = 0;
const SHN_ABS = 0xfff1;
const STB_LOCAL = 0;
const STB_WEAK = 2;
const STT_SECTION = 3;
const STT_FILE = 4;
const SHF_WRITE = 1n;
const SHF_EXECINSTR = 4n;

/**
 * Reads the symbols in a vmlinux's `.symtab`, relocated by the KASLR offset; undefined if it has none.
 *
 * @throws {KernelError} `wrong-vmlinux` when the section is inconsistent
 */
export function readSymtab(elf: ElfFile, kernelOffset: bigint): ListedSymbols | undefined {
  const section = elf.section('.symtab');
  const strings = section && elf.sections[section.link];
  if (section === undefined || strings === undefined) return undefined;
  const bytes = elf.read(section);
  const text = elf.read(strings);
  const view = viewOf(bytes);
  const limit = Math.floor(bytes.length / SYMBOL_BYTES);
  if (limit > MAX_SYMBOLS)
    throw new KernelError('wrong-vmlinux', `${elf.path}: too many symbols in .symtab (${limit})`);

  const letters = elf.sections.map(({ type, flags }) =>
    flags & SHF_EXECINSTR ? 't' : type === SHT_NOBITS ? 'b' : flags & SHF_WRITE ? 'd' : 'r',
  );
  const nameAt = new Int32Array(limit);
  const types = new Uint8Array(limit);
  const addresses = new BigUint64Array(limit);
  let count = 0;
  for (let at = 0; at + SYMBOL_BYTES <= bytes.length; at += SYMBOL_BYTES) {
    const name = view.getUint32(at, true);
    const info = bytes[at + 4]!;
    const home = view.getUint16(at + 6, true);
    const kind = info & 15;
    if (name === 0 || name >= text.length || home === SHN_UNDEF) continue;
    if (kind === STT_FILE || kind === STT_SECTION) continue;
    const binding = info >>> 4;
    const letter = binding === STB_WEAK ? 'w' : home === SHN_ABS ? 'a' : (letters[home] ?? 'n');
    nameAt[count] = name;
    types[count] = (binding === STB_LOCAL ? letter : letter.toUpperCase()).charCodeAt(0);
    addresses[count++] = relocated(view.getBigUint64(at + 8, true), kernelOffset);
  }
  return new ListedSymbols(text, nameAt.subarray(0, count), 0, types.subarray(0, count), addresses.subarray(0, count));
}

/** Larger than the .debug_info of any kernel; compressed sections are inflated completely. */
const MAX_BYTES = 2 ** 31 - 1;
/** Maximum size of a section that is held in memory: names, abbreviations. */
const MAX_FULL_BYTES = 256 << 20;
/** Upper bound on the expansion by zlib and zstd, whatever the header claims. */
const MAX_RATIO = 65_536;
const SHF_COMPRESSED = 0x800n;
const CHDR_BYTES = 24;
const ELFCOMPRESS_ZLIB = 1;
const ELFCOMPRESS_ZSTD = 2;
/** Compressed sections from before SHF_COMPRESSED: `ZLIB`, and the size as a big-endian number. */
const OLD_HEADER_BYTES = 12;
/** `ZLIB` */
const OLD_MAGIC = 0x5a4c4942;

/** A debug section whose bytes are read on demand. */
export interface DebugSection {
  readonly size: number;
  /** @throws {KernelError} `wrong-vmlinux` when they cannot be read */
  read(offset: number, length: number): Uint8Array;
}

/** Returns the section of that name (`info` for `.debug_info`), decompressed if needed; undefined if missing. */
export function debugSection(elf: ElfFile, name: string): DebugSection | undefined {
  const plain = elf.section(`.debug_${name}`);
  if (plain && (plain.flags & SHF_COMPRESSED) === 0n)
    return { size: plain.size, read: (offset, length) => elf.read(plain, offset, length) };
  const packed = plain ?? elf.section(`.zdebug_${name}`);
  if (packed === undefined) return undefined;
  const bytes = inflated(elf, packed, plain !== undefined);
  return {
    size: bytes.length,
    read(offset, length) {
      if (offset + length > bytes.length) throw malformed(elf, packed, 'truncated');
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** Returns all bytes of a section; none if it is missing. */
export function fullSection(elf: ElfFile, name: string): Uint8Array {
  const section = debugSection(elf, name);
  if (section === undefined) return new Uint8Array(0);
  if (section.size > MAX_FULL_BYTES)
    throw new KernelError('wrong-vmlinux', `${elf.path}: .debug_${name} too large (${section.size} bytes)`);
  return section.read(0, section.size);
}

function inflated(elf: ElfFile, section: ElfSection, hasHeader: boolean): Uint8Array {
  const headerBytes = hasHeader ? CHDR_BYTES : OLD_HEADER_BYTES;
  if (section.size < headerBytes) throw malformed(elf, section, 'truncated');
  const header = viewOf(elf.read(section, 0, headerBytes));
  const kind = hasHeader ? header.getUint32(0, true) : ELFCOMPRESS_ZLIB;
  const size = Number(hasHeader ? header.getBigUint64(8, true) : header.getBigUint64(4, false));
  if (!hasHeader && header.getUint32(0, false) !== OLD_MAGIC) throw malformed(elf, section, 'no zlib header');
  if (kind !== ELFCOMPRESS_ZLIB && kind !== ELFCOMPRESS_ZSTD)
    throw malformed(elf, section, `unsupported compression ${kind}`);
  if (size > MAX_BYTES || size > section.size * MAX_RATIO) throw malformed(elf, section, `${size} bytes uncompressed`);
  const packed = elf.read(section, headerBytes, section.size - headerBytes);
  const bytes = (kind === ELFCOMPRESS_ZSTD ? inflateZstd : inflateZlib)(packed, size);
  if (bytes === undefined) throw malformed(elf, section, 'corrupt compressed data');
  return bytes;
}

function malformed(elf: ElfFile, { name }: ElfSection, why: string): KernelError {
  return new KernelError('wrong-vmlinux', `${elf.path}: malformed ${name} (${why})`);
}
