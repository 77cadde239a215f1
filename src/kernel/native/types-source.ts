import { KernelError, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { TypesVerified } from '../../contracts/info.js';
import { bytesOf, textOf } from '../bytes.js';
import type { Architecture } from './arch/arch.js';
import { Btf } from './btf/btf.js';
import { type BtfHeader, HEADER_SIZE, parseBtfHeader } from './btf/format.js';
import { BtfStructLayout } from './btf/layout.js';
import { buildIdOf, ElfFile, isElf64, readFileHead, readFullFile } from './elf-file.js';
import { readAround, scanImage } from './image-scan.js';
import { type KernelMemory, LazyBytes } from './memory.js';
import type { Provenance, TypesFile } from './provenance.js';
import { checkBuildId } from './symbols-source.js';
import type { Vmcoreinfo } from './vmcoreinfo.js';

type Memory = Pick<KernelMemory, 'read'>;

/** Larger than any kernel's types. */
const MAX_BYTES = 256 << 20;
/** Magic, version 1, no flags, a header of 24 bytes, directly followed by types. */
const MAGIC = Uint8Array.of(0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0);
/** A kernel has about 50,000 types; its modules, whose BTF has the same magic, far fewer. */
const MIN_TYPES_BYTES = 256 << 10;
const MAX_BANNER = 512;
const MAX_NOTES = 1 << 16;

export interface TypesFound {
  /** Reads and indexes the types; undefined if there are none. */
  readonly load: (() => Btf) | undefined;
  readonly found: Provenance['types'];
  readonly verified?: TypesVerified;
  /** The kernel's own BTF, which its modules' extends, if `load` reads other types. */
  readonly own?: () => Btf;
  /** Position of the types if they are the kernel's own. */
  readonly place?: { readonly address: bigint; readonly length: number };
}

/**
 * Finds the kernel's types: from the given file, or else its own, of which only the header is read here.
 *
 * @param search the same memory: for reads that only search for the types
 * @throws {KernelError} when a given file does not belong to this kernel, or cannot be read
 */
export function findTypes(
  memory: Memory,
  arch: Architecture,
  info: Vmcoreinfo,
  symbol: (name: string) => bigint | undefined,
  files: { readonly types?: string | TypesFile; readonly vmlinux?: string },
  search: Memory = memory,
): TypesFound {
  const kernel: Identity = {
    info,
    buildId: () => info.buildId ?? notedBuildId(memory, symbol),
    banner: () => bannerOf(memory, symbol('linux_banner')),
  };
  const { types, vmlinux } = files;
  if (typeof types === 'object') {
    const source = typesOf(types, kernel);
    const place = symbol('__start_BTF') === undefined ? '' : locateBtf(memory, arch, symbol, search);
    return typeof place === 'string' ? source : { ...source, own: () => readBtf(memory, place) };
  }
  if (types !== undefined) {
    const source = readBtfFile(types, 'file', kernel);
    if (source === undefined) throw new KernelError('no-types', `${types}: no .BTF section`);
    return source;
  }
  const source = vmlinux === undefined ? undefined : readBtfFile(vmlinux, 'vmlinux', kernel);
  if (source) return source;
  const place = locateBtf(memory, arch, symbol, search);
  if (typeof place === 'string')
    return { load: undefined, found: { found: false, code: 'no-types', why: `kernel types not found (${place})` } };
  const detail = `${place.how} at ${hex(place.address)}, ${place.length} bytes`;
  return { load: () => readBtf(memory, place), found: { found: true, source: 'dump', detail }, place };
}

interface BtfPlace {
  readonly address: bigint;
  readonly header: BtfHeader;
  readonly length: number;
  readonly how: string;
}

/** Returns the reason as a sentence if not found. */
function locateBtf(
  memory: Memory,
  arch: Architecture,
  symbol: (name: string) => bigint | undefined,
  search: Memory,
): BtfPlace | string {
  const start = symbol('__start_BTF');
  const stop = symbol('__stop_BTF');
  if (start !== undefined && stop !== undefined) {
    const length = Number(BigInt.asUintN(64, stop - start));
    if (length < HEADER_SIZE || length > MAX_BYTES) return `${length} bytes between __start_BTF and __stop_BTF`;
    const header = headerAt(memory, start, length);
    if (typeof header === 'string') return header;
    return { address: start, header, length, how: '__start_BTF' };
  }
  for (const address of scanImage(search, arch, MAGIC)) {
    const header = headerAt(memory, address, MAX_BYTES);
    if (typeof header === 'string' || header.typesLength < MIN_TYPES_BYTES) continue;
    const length = header.stringsAt + header.stringsLength;
    readAround(memory, address);
    return { address, header, length, how: 'found by its magic number' };
  }
  return 'no symbol __start_BTF, no BTF in the kernel image';
}

function headerAt(memory: Memory, address: bigint, available: number): BtfHeader | string {
  try {
    return parseBtfHeader(memory.read(address, HEADER_SIZE), available);
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError) return error.message;
    throw error;
  }
}

/** @throws {KernelError} `no-types` when a page of it is missing, `damaged` when it is not valid BTF */
function readBtf(memory: Memory, { address, header }: BtfPlace): Btf {
  const read = (at: bigint, length: number): DataView => {
    try {
      return memory.read(at, length);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      const message = `kernel types: ${error.message}`;
      throw new KernelError('no-types', message, { cause: error });
    }
  };
  const types = read(address + BigInt(header.typesAt), header.typesLength);
  // Half of the strings name functions and their parameters, which are never looked up.
  const strings = new LazyBytes({ read }, address + BigInt(header.stringsAt), header.stringsLength);
  return new Btf(new Uint8Array(types.buffer, types.byteOffset, header.typesLength), strings);
}

/** Build identity of a dump's kernel, as far as it can be read. */
interface Identity {
  readonly info: Vmcoreinfo;
  readonly buildId: () => string | undefined;
  readonly banner: () => string | undefined;
}

/** Build id in the kernel's own notes; VMCOREINFO contains it since 5.9. */
function notedBuildId(memory: Memory, symbol: (name: string) => bigint | undefined): string | undefined {
  const start = symbol('__start_notes');
  const stop = symbol('__stop_notes');
  if (start === undefined || stop === undefined) return undefined;
  const length = Number(BigInt.asUintN(64, stop - start));
  return length > MAX_NOTES ? undefined : readOrNot(() => buildIdOf(memory.read(start, length)));
}

function bannerOf(memory: Memory, address: bigint | undefined): string | undefined {
  if (address === undefined) return undefined;
  return readOrNot(() => textOf(bytesOf(memory.read(address, MAX_BANNER))).trim());
}

/** @throws {KernelError} `wrong-vmlinux` */
function typesOf(file: TypesFile, kernel: Identity): TypesFound {
  const { path, form, load } = file;
  const origin = { found: true, source: form, detail: path } as const;
  const same = file.buildId === undefined ? sameBanner(file, kernel) : sameBuild(file, kernel);
  if (same === undefined) {
    const types = load();
    return { load: () => types, found: origin, verified: checkLayouts(types, kernel.info, path) };
  }
  // Defers reading megabytes until types are first used.
  const checked = (): Btf => {
    const types = load();
    checkLayouts(types, kernel.info, path);
    return types;
  };
  return { load: checked, found: origin, verified: same };
}

function sameBuild(
  { path, buildId }: { readonly path: string; readonly buildId?: string | undefined },
  kernel: Identity,
): 'build-id' | undefined {
  const id = kernel.buildId();
  checkBuildId({ path, buildId }, id);
  return buildId === undefined || id === undefined ? undefined : 'build-id';
}

function sameBanner({ path, banner }: TypesFile, kernel: Identity): 'banner' | 'release' | undefined {
  if (banner === undefined) return undefined;
  const own = kernel.banner();
  const { release } = kernel.info;
  if (own === undefined && release === undefined) return undefined;
  const fits = own === undefined ? banner.startsWith(`Linux version ${release} `) : own === banner;
  if (fits) return own === undefined ? 'release' : 'banner';
  const message = `${path}: from a different kernel build (banner ${JSON.stringify(banner)}, dump ${JSON.stringify(own ?? release)})`;
  throw new KernelError('wrong-vmlinux', message);
}

/** Whether a file is raw BTF, or an ELF file that contains BTF. @throws {KernelError} */
export function isBtf(path: string): boolean {
  const head = readFileHead(path, 64);
  if (!isElf64(head)) return head[0] === MAGIC[0] && head[1] === MAGIC[1];
  const elf = ElfFile.open(path);
  try {
    return elf.section('.BTF') !== undefined && !elf.isRelocatable;
  } finally {
    elf.close();
  }
}

/** Reads types from a raw blob or a vmlinux; undefined if the vmlinux has none. */
function readBtfFile(path: string, source: 'file' | 'vmlinux', kernel: Identity): TypesFound | undefined {
  let blob: Uint8Array;
  let same: TypesVerified | undefined;
  if (isElf64(readFileHead(path, 64))) {
    const elf = ElfFile.open(path);
    try {
      same = sameBuild(elf, kernel);
      const section = elf.section('.BTF');
      if (section === undefined) return undefined;
      blob = elf.read(section);
    } finally {
      elf.close();
    }
  } else {
    blob = readFullFile(path, MAX_BYTES);
  }
  let btf: Btf;
  try {
    btf = Btf.parse(blob);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new KernelError('no-types', `${path}: ${error.message}`, { cause: error });
  }
  const verified = checkLayouts(btf, kernel.info, path);
  const origin = { found: true, source, detail: path } as const;
  return { load: () => btf, found: origin, verified: same ?? verified };
}

/** Compares the sizes and offsets in VMCOREINFO with the types. */
function checkLayouts(btf: Btf, info: Vmcoreinfo, path: string): 'layouts' | 'none' {
  let compared = 0;
  const layoutOf = (name: string): BtfStructLayout | undefined => {
    const id = btf.find(name).find((candidate) => btf.vlen(candidate) > 0);
    return id === undefined ? undefined : new BtfStructLayout(btf, id, name, new Map());
  };
  for (const key of info.entries.keys()) {
    const [, kind, struct, member] = /^(SIZE|OFFSET)\((\w+)(?:\.([\w.]+))?\)$/.exec(key) ?? [];
    if (struct === undefined) continue;
    const layout = layoutOf(struct);
    if (layout === undefined) continue;
    const stated = member === undefined ? info.size(struct) : info.offset(`${struct}.${member}`);
    const value = member === undefined ? layout.size : layout.member(member)?.offset;
    if (stated === undefined || value === undefined) continue;
    compared++;
    if (stated === value) continue;
    const message = `${path}: from a different kernel build (${kind}(${struct}${member ? `.${member}` : ''}) is ${value}, dump ${stated})`;
    throw new KernelError('wrong-vmlinux', message);
  }
  return compared > 0 ? 'layouts' : 'none';
}
