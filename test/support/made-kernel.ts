import { ReadError } from '../../src/base/errors.js';
import type { Kernel, KernelFacts } from '../../src/kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../../src/kernel/layout.js';
import { Btf } from '../../src/kernel/native/btf/btf.js';
import { KernelTypes } from '../../src/kernel/native/types.js';
import { PageMap } from '../../src/kernel/page-map.js';

/** A kernel of these parts: without them it has no symbol, no type, and no memory. */
export function partialKernel({ facts, ...parts }: PartialKernel): Kernel {
  return {
    facts: {
      release: '6.1.0',
      arch: 'x86_64',
      pageSize: 4096,
      source: 'vmcore',
      engine: 'native',
      live: false,
      ...facts,
    },
    read(address) {
      throw new ReadError('absent', address);
    },
    symbol: () => undefined,
    struct: () => undefined,
    enumerators: () => undefined,
    // No address is in its direct map.
    pages: new PageMap({
      pageSize: 4096,
      directMap: () => ({ address: 0n, length: 0, physical: 0 }),
      pageArray: () => {
        throw new Error('this is read without struct pages');
      },
    }),
    noteReads: () => () => {},
    close: () => {},
    ...parts,
  };
}

export type PartialKernel = Partial<Omit<Kernel, 'facts'>> & { readonly facts?: Partial<KernelFacts> };

/** Offsets of members in bytes, their size if not 8, and the number of elements of arrays. */
export type MadeMembers = Readonly<
  Record<
    string,
    | number
    | readonly [offset: number, size: number, count?: number]
    /** A bitfield of a 32-bit word at the start. */
    | { readonly bits: readonly [offset: number, size: number] }
  >
>;

/** A struct as a test declares it, by the member paths that are queried. */
export interface MadeStruct {
  readonly size: number;
  readonly members: MadeMembers;
}

export const MADE_BASE = 0xffff_8880_0000_0000n;
export const MADE_PAGES = 0xffff_ea00_0000_0000n;
const PAGE_BYTES = 64;

/** A kernel that consists of these structs, symbols and words of memory, each by its offset from MADE_BASE. */
export function madeKernel({
  structs,
  symbols = {},
  words,
  bytes = 0x1_0000,
  enums = {},
}: {
  readonly structs: Readonly<Record<string, MadeStruct>>;
  readonly symbols?: Readonly<Record<string, number>>;
  readonly words: Readonly<Record<number, bigint | readonly [value: number, size: 1 | 2 | 4]>>;
  readonly bytes?: number;
  readonly enums?: Readonly<Record<string, Readonly<Record<string, bigint>>>>;
}): Kernel {
  const memory = new DataView(new ArrayBuffer(bytes));
  for (const [at, word] of Object.entries(words)) {
    if (typeof word === 'bigint') memory.setBigUint64(Number(at), word, true);
    else if (word[1] === 4) memory.setUint32(Number(at), word[0], true);
    else if (word[1] === 2) memory.setUint16(Number(at), word[0], true);
    else memory.setUint8(Number(at), word[0]);
  }
  return partialKernel({
    facts: { release: '4.18.0' },
    read(address, length) {
      const at = Number(address - MADE_BASE);
      if (!(at >= 0 && at + length <= bytes)) throw new ReadError('absent', address);
      return new DataView(memory.buffer, at, length);
    },
    symbol: (name) => (symbols[name] === undefined ? undefined : made(symbols[name])),
    struct: (name) => structs[name] && layout(name, structs[name]),
    enumerators: (name) => enums[name] && new Map(Object.entries(enums[name])),
    pages: new PageMap({
      pageSize: 4096,
      directMap: () => ({ address: MADE_BASE, length: 1 << 30, physical: 0 }),
      pageArray: () => ({ address: MADE_PAGES, stride: PAGE_BYTES }),
    }),
  });
}

/** A kernel with types only: every symbol has an address, and nothing is readable. */
export function layoutKernel(from: Uint8Array | Btf, arch: 'x86_64' | 'arm64'): Kernel {
  const btf = from instanceof Btf ? from : Btf.parse(from);
  const types = new KernelTypes(btf, () => []);
  return partialKernel({
    facts: { release: '', arch },
    symbol: () => 0xffff_ffff_8100_0000n,
    struct: (name) => types.struct(name),
    enumerators: (name) => types.enumerators(name),
  });
}

/** The address of an offset. */
export const made = (at: number): bigint => MADE_BASE + BigInt(at);
/** The address of the `struct page` of a frame. */
export const madePage = (frame: number): bigint => MADE_PAGES + BigInt(frame * PAGE_BYTES);

function layout(name: string, { size, members }: MadeStruct): StructLayout {
  return {
    name,
    size,
    members: Object.keys(members),
    member(path): MemberLayout | undefined {
      const found = members[path];
      if (found === undefined) return undefined;
      if (typeof found === 'object' && 'bits' in found) {
        const [start, width] = found.bits;
        const bits = { offset: start, size: width };
        return { offset: 0, size: 4, bits, type: '', pointer: false };
      }
      const [offset, bytes, count] = typeof found === 'number' ? [found, 8] : found;
      const array = count === undefined ? {} : { count };
      return { offset, size: bytes, type: '', pointer: false, ...array };
    },
  };
}
