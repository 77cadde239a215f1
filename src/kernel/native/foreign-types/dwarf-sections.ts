import { KernelError } from '../../../base/errors.js';
import { viewOf } from '../../bytes.js';
import type { ElfFile, ElfSection } from '../elf-file.js';
import { inflateZlib } from '../image/codecs/codec.js';
import { inflateZstd } from '../image/codecs/zstd.js';

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
    throw new KernelError(
      'wrong-vmlinux',
      `${elf.path}: .debug_${name} too large (${section.size} bytes)`,
    );
  return section.read(0, section.size);
}

function inflated(elf: ElfFile, section: ElfSection, hasHeader: boolean): Uint8Array {
  const headerBytes = hasHeader ? CHDR_BYTES : OLD_HEADER_BYTES;
  if (section.size < headerBytes) throw malformed(elf, section, 'truncated');
  const header = viewOf(elf.read(section, 0, headerBytes));
  const kind = hasHeader ? header.getUint32(0, true) : ELFCOMPRESS_ZLIB;
  const size = Number(hasHeader ? header.getBigUint64(8, true) : header.getBigUint64(4, false));
  if (!hasHeader && header.getUint32(0, false) !== OLD_MAGIC)
    throw malformed(elf, section, 'no zlib header');
  if (kind !== ELFCOMPRESS_ZLIB && kind !== ELFCOMPRESS_ZSTD)
    throw malformed(elf, section, `unsupported compression ${kind}`);
  if (size > MAX_BYTES || size > section.size * MAX_RATIO)
    throw malformed(elf, section, `${size} bytes uncompressed`);
  const packed = elf.read(section, headerBytes, section.size - headerBytes);
  const bytes = (kind === ELFCOMPRESS_ZSTD ? inflateZstd : inflateZlib)(packed, size);
  if (bytes === undefined) throw malformed(elf, section, 'corrupt compressed data');
  return bytes;
}

function malformed(elf: ElfFile, { name }: ElfSection, why: string): KernelError {
  return new KernelError('wrong-vmlinux', `${elf.path}: malformed ${name} (${why})`);
}
