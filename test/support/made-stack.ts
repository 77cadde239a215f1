import { ReadError } from '../../src/base/errors.js';
import { bytesOf } from '../../src/kernel/bytes.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import type { MemberLayout, StructLayout } from '../../src/kernel/layout.js';
import { partialKernel } from './made-kernel.js';

/** An entry of an ORC table in objtool's terms. */
export interface MadeEntry {
  readonly type: 'undefined' | 'end' | 'call' | 'regs';
  readonly sp?: 'sp' | 'bp' | 'r10' | 'sp-indirect';
  readonly spOffset?: number;
  readonly bp?: 'prev-sp';
  readonly bpOffset?: number;
  readonly signal?: boolean;
}

export type Version = 1 | 2 | 3 | 4;

/** Register numbers up to 7.0, and since then. */
const OLD = { sp: 5, bp: 4, r10: 6, 'sp-indirect': 9, 'prev-sp': 1 };
const NEW = { sp: 3, bp: 4, r10: 6, 'sp-indirect': 9, 'prev-sp': 8 };

/** SHA-1 of orc_types.h, computed like scripts/orc_hash.sh. */
const HASH: Partial<Record<Version, string>> = {
  2: 'db84aed4103b31dd51e017f8f79783ca985c2c51',
  3: 'fe5d32bf581bd63b2ca9a5c65ba5a625eab3fe24',
  4: '137c36ad7627c4dd55932176bb0ecdbd5041fc82',
};

function encode(version: Version, entry: MadeEntry): Buffer {
  const bytes = Buffer.alloc(6);
  const numbers = version === 4 ? NEW : OLD;
  bytes.writeInt16LE(entry.spOffset ?? 0, 0);
  bytes.writeInt16LE(entry.bpOffset ?? 0, 2);
  const [sp, bp] = [entry.sp ? numbers[entry.sp] : 0, entry.bp ? numbers[entry.bp] : 0];
  bytes[4] = sp | (bp << 4);
  if (version >= 3) {
    const type = { undefined: 0, end: 1, call: 2, regs: 3 }[entry.type];
    bytes[5] = type | (entry.signal ? 8 : 0);
  } else {
    const type = entry.type === 'regs' ? 1 : 0;
    const end = entry.type === 'end' ? (version === 2 ? 8 : 4) : 0;
    bytes[5] = type | end | (version === 2 && entry.signal ? 4 : 0);
  }
  return bytes;
}

export const TEXT = 0xffffffff81000000n;
const TEXT_BYTES = 0x8000n;
const TABLES = TEXT + TEXT_BYTES;
const LOOKUP_OFFSET = 0x800;
export const STACK = 0xffffc90000010000n;
export const STACK_BYTES = 0x1000;
/** Each function has this many bytes, and a call that ends in its middle. */
export const FUNCTION_BYTES = 0x40n;
export const CALL_END = 0x20n;

/** A kernel with consecutive functions that have these entries, and a stack with these words. */
export function madeStack(
  version: Version,
  functions: readonly (readonly [name: string, entry: MadeEntry])[],
  words: Readonly<Record<number, bigint>>,
): Kernel {
  const text = Buffer.alloc(Number(TEXT_BYTES), 0x90);
  functions.forEach((_, index) => {
    // call rel32
    text[index * Number(FUNCTION_BYTES) + Number(CALL_END) - 5] = 0xe8;
  });
  const tables = Buffer.alloc(0x1000);
  const hash = HASH[version];
  if (hash) tables.write(hash, 0, 'hex');
  const count = functions.length + 1;
  const [places, entries] = [64, 64 + count * 4];
  [...functions.map(([, entry]) => entry), { type: 'undefined' } as const].forEach((entry, index) => {
    const at = TABLES + BigInt(places + index * 4);
    tables.writeInt32LE(Number(TEXT + BigInt(index) * FUNCTION_BYTES - at), places + index * 4);
    encode(version, entry).copy(tables, entries + index * 6);
  });
  // The index of the last entry at or before each block of 256 bytes.
  const blocks = Number(TEXT_BYTES / 256n) + 1;
  for (let block = 0; block < blocks; block++)
    tables.writeUInt32LE(Math.min(block * 4, count - 1), LOOKUP_OFFSET + block * 4);
  const stack = Buffer.alloc(STACK_BYTES);
  for (const [at, word] of Object.entries(words)) stack.writeBigUInt64LE(word, Number(at));
  const regions: readonly (readonly [bigint, Buffer])[] = [
    [TEXT, text],
    [TABLES, tables],
    [STACK, stack],
  ];
  const symbols: Readonly<Record<string, bigint>> = {
    _stext: TEXT,
    _etext: TEXT + TEXT_BYTES,
    __start_orc_unwind_ip: TABLES + BigInt(places),
    __stop_orc_unwind_ip: TABLES + BigInt(entries),
    __start_orc_unwind: TABLES + BigInt(entries),
    orc_lookup: TABLES + BigInt(LOOKUP_OFFSET),
    orc_lookup_end: TABLES + BigInt(LOOKUP_OFFSET + blocks * 4),
    ...(hash ? { __start_orc_header: TABLES } : {}),
  };
  return partialKernel({
    read(address, length) {
      for (const [start, bytes] of regions) {
        const offset = Number(address - start);
        if (offset >= 0 && offset + length <= bytes.length)
          return new DataView(bytes.buffer, bytes.byteOffset + offset, length);
      }
      throw new ReadError('absent', address);
    },
    symbol: (name) => symbols[name],
    symbolAt(address) {
      const index = Number((address - TEXT) / FUNCTION_BYTES);
      const name = functions[index]?.[0];
      if (address < TEXT || name === undefined) return undefined;
      return { name, offset: Number((address - TEXT) % FUNCTION_BYTES) };
    },
    struct: (name) => STRUCTS(version)[name],
  });
}

/** The return address of the call in a function. */
export const after = (index: number): bigint => TEXT + BigInt(index) * FUNCTION_BYTES + CALL_END;

export const REGS = { r13: 16, r10: 56, ax: 80, dx: 96, di: 112, bp: 32, ip: 128, cs: 136, sp: 152 };
const REGS_BYTES = 168;

function STRUCTS(version: Version): Readonly<Record<string, StructLayout>> {
  const word = (offset: number): MemberLayout => ({ offset, size: 8, type: '', pointer: false });
  const bits = (at: number, size: number): MemberLayout => ({
    offset: 4,
    size: 2,
    type: '',
    pointer: false,
    bits: { offset: at, size },
  });
  const type: Record<string, MemberLayout> =
    version >= 3
      ? { type: bits(8, 3), signal: bits(11, 1) }
      : { type: bits(8, 2), end: bits(10, 1), ...(version === 2 ? { signal: bits(11, 1) } : {}) };
  return {
    pt_regs: layout('pt_regs', REGS_BYTES, mapped(REGS, word)),
    inactive_task_frame: layout('inactive_task_frame', 56, { bp: word(40), ret_addr: word(48) }),
    orc_entry: layout('orc_entry', 6, type),
  };
}

function mapped<T>(offsets: Readonly<Record<string, number>>, of: (offset: number) => T) {
  return Object.fromEntries(Object.entries(offsets).map(([name, offset]) => [name, of(offset)]));
}

function layout(name: string, size: number, members: Record<string, MemberLayout>): StructLayout {
  return { name, size, members: Object.keys(members), member: (path) => members[path] };
}

/** Bytes of the synthetic code, to damage. */
export function codeOf(kernel: Kernel): Uint8Array {
  return bytesOf(kernel.read(TEXT, 0x8000));
}
