import { KernelError } from '../../../base/errors/kernel.js';
import { viewOf } from '../../bytes.js';
import type { ElfFile, ElfSection } from '../elf-file.js';
import { inflateZlib } from '../image/codecs/zlib.js';
import { inflateZstd } from '../image/codecs/zstd.js';

/** Larger than the .debug_info of any kernel; what is compressed is inflated whole. */
const MOST_BYTES = 2 ** 31 - 1;
/** Of a section that is held whole: names, abbreviations. */
const MOST_HELD = 256 << 20;
/** zlib and zstd make at most this of a byte, whatever their header claims. */
const MOST_RATIO = 65_536;
const SHF_COMPRESSED = 0x800n;
const CHDR_BYTES = 24;
const ELFCOMPRESS_ZLIB = 1;
const ELFCOMPRESS_ZSTD = 2;
/** Sections of before SHF_COMPRESSED: `ZLIB`, and the size as a big-endian number. */
const OLD_HEADER_BYTES = 12;
/** `ZLIB` */
const OLD_MAGIC = 0x5a4c4942;

/** A section of debug information: bytes are read as they are asked for. */
export interface DebugSection {
  readonly size: number;
  /** @throws {KernelError} `wrong-vmlinux` when they cannot be read */
  read(offset: number, length: number): Uint8Array;
}

/** The section of that name (`info` for `.debug_info`), compressed or not; undefined without one. */
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

/** All bytes of a section; none where there is no such section. */
export function heldSection(elf: ElfFile, name: string): Uint8Array {
  const section = debugSection(elf, name);
  if (section === undefined) return new Uint8Array(0);
  if (section.size > MOST_HELD)
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
  if (size > MOST_BYTES || size > section.size * MOST_RATIO)
    throw malformed(elf, section, `${size} bytes uncompressed`);
  const packed = elf.read(section, headerBytes, section.size - headerBytes);
  const bytes = (kind === ELFCOMPRESS_ZSTD ? inflateZstd : inflateZlib)(packed, size);
  if (bytes === undefined) throw malformed(elf, section, 'corrupt compressed data');
  return bytes;
}

function malformed(elf: ElfFile, { name }: ElfSection, why: string): KernelError {
  return new KernelError('wrong-vmlinux', `${elf.path}: malformed ${name} (${why})`);
}
