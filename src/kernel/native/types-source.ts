import { KernelError, ReadError } from '../error.js';
import { hex } from '../hex.js';
import type { Architecture } from './arch/arch.js';
import { Btf } from './btf/btf.js';
import { type BtfHeader, HEADER_SIZE, parseBtfHeader } from './btf/format.js';
import { BtfStructLayout } from './btf/layout.js';
import { ElfFile, isElf64, readFileHead, readWholeFile } from './elf-file.js';
import { readAround, scanImage } from './image-scan.js';
import { LazyBytes } from './lazy-bytes.js';
import type { KernelMemory } from './memory.js';
import type { Found } from './provenance.js';
import { mustBeBuild } from './symbols-source.js';
import type { Vmcoreinfo } from './vmcoreinfo.js';

type Memory = Pick<KernelMemory, 'read'>;

/** Larger than any kernel's types. */
const MOST_BYTES = 256 << 20;
/** Magic, version 1, no flags, a header of 24 bytes, types right behind it. */
const MAGIC = Uint8Array.of(0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0);
/** A kernel has some 50,000 types; its modules, which carry the magic as well, far fewer. */
const LEAST_TYPES_BYTES = 256 << 10;

export interface TypesFound {
  /** Reads and indexes the types; undefined when there are none. */
  readonly load: (() => Btf) | undefined;
  readonly found: Found<'dump' | 'vmlinux' | 'file'>;
  /** Where they lie, if they are the kernel's own. */
  readonly place?: { readonly address: bigint; readonly length: number };
}

/**
 * The kernel's types: from the file that was given for them, or else its own, of which only the header
 * is read here.
 *
 * @param search the same memory: reads that only look for them go there
 * @throws {KernelError} when a file was given and is not of this kernel, or cannot be read
 */
export function findTypes(
  memory: Memory,
  arch: Architecture,
  info: Vmcoreinfo,
  symbol: (name: string) => bigint | undefined,
  files: { readonly btf?: string; readonly vmlinux?: string },
  search: Memory = memory,
): TypesFound {
  if (files.btf !== undefined) {
    const btf = readBtfFile(files.btf, info);
    if (btf === undefined) throw new KernelError('no-types', `${files.btf} has no section .BTF`);
    return { load: () => btf, found: { found: true, source: 'file', detail: files.btf } };
  }
  if (files.vmlinux !== undefined) {
    const btf = readBtfFile(files.vmlinux, info);
    if (btf)
      return { load: () => btf, found: { found: true, source: 'vmlinux', detail: files.vmlinux } };
  }
  const place = locateBtf(memory, arch, symbol, search);
  if (typeof place === 'string')
    return {
      load: undefined,
      found: { found: false, code: 'no-types', why: `the kernel's types: ${place}` },
    };
  const detail = `${place.how} at ${hex(place.address)}, ${place.length} bytes`;
  return {
    load: () => readBtf(memory, place),
    found: { found: true, source: 'dump', detail },
    place,
  };
}

interface BtfPlace {
  readonly address: bigint;
  readonly header: BtfHeader;
  readonly length: number;
  readonly how: string;
}

/** A sentence says why not. */
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
    if (length < HEADER_SIZE || length > MOST_BYTES)
      return `${length} bytes between __start_BTF and __stop_BTF`;
    const header = headerAt(memory, start, length);
    if (typeof header === 'string') return header;
    return { address: start, header, length, how: '__start_BTF' };
  }
  for (const address of scanImage(search, arch, MAGIC)) {
    const header = headerAt(memory, address, MOST_BYTES);
    if (typeof header === 'string' || header.typesLength < LEAST_TYPES_BYTES) continue;
    const length = header.stringsAt + header.stringsLength;
    readAround(memory, address);
    return { address, header, length, how: 'by its magic' };
  }
  return 'no symbol __start_BTF, and no BTF in the kernel image';
}

function headerAt(memory: Memory, address: bigint, available: number): BtfHeader | string {
  try {
    return parseBtfHeader(memory.read(address, HEADER_SIZE), available);
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError) return error.message;
    throw error;
  }
}

/** @throws {KernelError} `no-types` when a page of it is missing, `damaged` when it is no BTF */
function readBtf(memory: Memory, { address, header }: BtfPlace): Btf {
  const read = (at: bigint, length: number): DataView => {
    try {
      return memory.read(at, length);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      const message = `the kernel's types cannot be read: ${error.message}`;
      throw new KernelError('no-types', message, { cause: error });
    }
  };
  const types = read(address + BigInt(header.typesAt), header.typesLength);
  // Half the strings name functions and their parameters, which nobody asks for.
  const strings = new LazyBytes({ read }, address + BigInt(header.stringsAt), header.stringsLength);
  return new Btf(new Uint8Array(types.buffer, types.byteOffset, header.typesLength), strings);
}

/** Types out of a raw blob or a vmlinux; undefined when the vmlinux has none. */
function readBtfFile(path: string, info: Vmcoreinfo): Btf | undefined {
  let blob: Uint8Array;
  if (isElf64(readFileHead(path, 64))) {
    const elf = ElfFile.open(path);
    try {
      mustBeBuild(elf, info);
      const section = elf.section('.BTF');
      if (section === undefined) return undefined;
      blob = elf.read(section);
    } finally {
      elf.close();
    }
  } else {
    blob = readWholeFile(path, MOST_BYTES);
  }
  let btf: Btf;
  try {
    btf = Btf.parse(blob);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new KernelError('no-types', `${path}: ${error.message}`, { cause: error });
  }
  mustFit(btf, info, path);
  return btf;
}

/** Sizes and offsets that VMCOREINFO states are compared with the types. */
function mustFit(btf: Btf, info: Vmcoreinfo, path: string): void {
  const layoutOf = (name: string): BtfStructLayout | undefined => {
    const id = btf.find(name).find((one) => btf.vlen(one) > 0);
    return id === undefined ? undefined : new BtfStructLayout(btf, id, name, new Map());
  };
  for (const key of info.entries.keys()) {
    const [, kind, struct, member] = /^(SIZE|OFFSET)\((\w+)(?:\.([\w.]+))?\)$/.exec(key) ?? [];
    if (struct === undefined) continue;
    const layout = layoutOf(struct);
    if (layout === undefined) continue;
    const said = member === undefined ? info.size(struct) : info.offset(`${struct}.${member}`);
    const found = member === undefined ? layout.size : layout.member(member)?.offset;
    if (said === undefined || found === undefined || said === found) continue;
    const message = `${path} is of another kernel: ${kind}(${struct}${member ? `.${member}` : ''}) is ${found} in it, ${said} in the dump`;
    throw new KernelError('wrong-vmlinux', message);
  }
}
