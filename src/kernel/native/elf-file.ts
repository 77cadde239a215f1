import { KernelError } from '../../base/errors/kernel.js';
import { bytesOf, textOf, viewOf } from '../bytes.js';
import { type ByteSource, FileSource, readHead } from './image/byte-source.js';
import { notes } from './image/notes.js';

const ELF_HEADER_BYTES = 64;
const SECTION_BYTES = 64;
/** The sections of a kernel built with -ffunction-sections are this many at most. */
const MOST_SECTIONS = 65_536;
/** Of a section that is read whole. */
const MOST_SECTION_BYTES = 256 << 20;
/** Bytes of a name that are looked at; a longer one is none that we ask for. */
const MOST_NAME = 256;
/** A section without bytes in the file. */
const SHT_NOBITS = 8;
const SHT_NOTE = 7;
const NT_GNU_BUILD_ID = 3;
const ET_REL = 1;

/** A section of an ELF file. */
export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly flags: bigint;
  /** Bytes from the start of the file. */
  readonly offset: number;
  readonly size: number;
  /** For `.symtab`: the number of the section with its strings. */
  readonly link: number;
}

/** A vmlinux, of which only sections that are asked for are read. ELF64, little-endian. */
export class ElfFile {
  readonly path: string;
  readonly sections: readonly ElfSection[];
  /** An object file, such as a module: it is not linked. */
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

  /** @throws {KernelError} when it cannot be opened or is no such ELF file; `wrong-vmlinux` when damaged */
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

  /** Bytes of a section, all of them unless told. */
  read({ name, offset, size }: ElfSection, from = 0, length = size - from): Uint8Array {
    if (length > MOST_SECTION_BYTES) throw this.#damaged(`section ${name} of ${length} bytes`);
    if (from + length > size)
      throw this.#damaged(`section ${name} at bytes ${from} to ${from + length} of ${size}`);
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
    // Numbers that do not fit are in section 0.
    const first = viewOf(this.#read(table, SECTION_BYTES));
    const count = header.getUint16(60, true) || Number(first.getBigUint64(32, true));
    const small = header.getUint16(62, true);
    const names = small === 0xffff ? first.getUint32(40, true) : small;
    if (count > MOST_SECTIONS) throw this.#damaged(`${count} sections`);
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
      nameSection && nameSection.size <= 1 << 22
        ? this.#read(nameSection.offset, nameSection.size)
        : new Uint8Array(0);
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

/** Whether a file begins as a 64-bit little-endian ELF file. */
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

/** The first bytes of a file, fewer if it is shorter. */
export function readFileHead(path: string, length: number): Uint8Array {
  const source = new FileSource(path, 'unsupported-format');
  try {
    return bytesOf(readHead(source, 0, length));
  } finally {
    source.close();
  }
}

/** A whole file of at most `most` bytes; /sys/kernel/btf/vmlinux is one whose size fstat knows. */
export function readWholeFile(path: string, most: number): Uint8Array {
  const source = new FileSource(path, 'unsupported-format');
  try {
    const { size } = source;
    if (size > most) {
      const message = `${path}: file too large (${size} bytes, at most ${most} supported)`;
      throw new KernelError('unsupported-format', message, { next: 'Check the path.' });
    }
    return readAt(source, 0, size);
  } finally {
    source.close();
  }
}

/** Bytes that must be there. */
function readAt(source: ByteSource, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (source.pread(bytes, length, offset) === length) return bytes;
  const what = `bytes ${offset} to ${offset + length} of ${source.size} not readable`;
  throw new KernelError('wrong-vmlinux', `${source.name}: ${what}`);
}

/** The GNU build id among notes, in lower-case hex. */
export function buildIdOf(section: DataView): string | undefined {
  for (const { name, type, data } of notes(section))
    if (name === 'GNU' && type === NT_GNU_BUILD_ID)
      return Buffer.from(bytesOf(data)).toString('hex');
  return undefined;
}

/** The name at a place of a table of them. */
function stringAt(names: Uint8Array, from: number): string {
  return textOf(names.subarray(from, from + MOST_NAME));
}
