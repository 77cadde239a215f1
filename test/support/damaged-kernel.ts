import { ReadError, type ReadErrorCode } from '../../src/base/errors.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import type { MemberLayout } from '../../src/kernel/layout.js';
import { needSymbol } from '../../src/walk/cpus.js';
import { littleEndian } from './little-endian.js';

/** Replacement bytes in memory. */
export interface Patch {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** Unreadable memory. */
export interface Denial {
  readonly address: bigint;
  readonly length: number;
  readonly code: ReadErrorCode;
}

export interface Damage {
  readonly patches: readonly Patch[];
  readonly denials: readonly Denial[];
}

export const UNDAMAGED: Damage = { patches: [], denials: [] };

/** Several damages at once; the last one wins where two change the same byte. */
export function together(...damages: readonly Damage[]): Damage {
  return { patches: damages.flatMap(({ patches }) => patches), denials: damages.flatMap(({ denials }) => denials) };
}

/** A kernel of which a test replaces some members; a replaced `read` serves every read. */
export function kernelWith<K extends Kernel>(
  kernel: K,
  changed: { readonly [Name in keyof K]?: K[Name] | undefined },
): K {
  return new Proxy(kernel, {
    get(target, name) {
      if (Object.hasOwn(changed, name)) return changed[name as keyof K];
      if (name === 'fast' && 'read' in changed) return undefined;
      // Members of a class with private fields must run on the original object.
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/**
 * A kernel with damaged memory: the damage is in decompressed pages, where every reader above sees it.
 * Reports the reads of it.
 */
export function damagedKernel<K extends Kernel>(
  kernel: K,
  { patches, denials }: Damage,
  onRead: (address: bigint, length: number) => void = () => {},
): K {
  const read = (address: bigint, length: number): DataView => {
    const end = address + BigInt(length);
    for (const denial of denials) {
      if (denial.address < end && address < denial.address + BigInt(denial.length))
        throw new ReadError(denial.code, denial.address > address ? denial.address : address);
    }
    const view = kernel.read(address, length);
    onRead(address, length);
    let bytes: Uint8Array | undefined;
    for (const patch of patches) {
      if (patch.address >= end || patch.address + BigInt(patch.bytes.length) <= address) continue;
      bytes ??= new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
      const at = Number(patch.address - address);
      for (let index = Math.max(0, -at); index < patch.bytes.length; index++)
        if (at + index < bytes.length) bytes[at + index] = patch.bytes[index]!;
    }
    return bytes === undefined ? view : new DataView(bytes.buffer);
  };
  return kernelWith<Kernel>(kernel, { read }) as K;
}

/** The same kernel, but running. */
export function liveKernel<K extends Kernel>(kernel: K): K {
  return kernelWith<Kernel>(kernel, { facts: { ...kernel.facts, live: true } }) as K;
}

/** An address, or the name of a symbol. */
export type Place = bigint | string;

/** A member by its path from the struct (`task_struct.pid`), a whole struct by its name, or a number of bytes. */
export type Part = string | number;

type Located = Pick<MemberLayout, 'size' | 'bits'> & { readonly address: bigint; readonly word: number };

/**
 * The words of a kernel's memory by member path, and the vocabulary of damage to them.
 *
 * A member of more than 8 bytes is read, set, increased and swapped by its first word: the first pointer of a list, say.
 * A verb returns the damage, and changes nothing: `damagedBy` returns the kernel that has it.
 */
export function memoryOf<K extends Kernel>(kernel: K) {
  const locate = (place: Place, part: Part): Located => {
    const start = typeof place === 'bigint' ? place : needSymbol(kernel, place);
    if (typeof part === 'number') return { address: start, size: part, word: part };
    const [type = '', ...path] = part.split('.');
    const layout = kernel.struct(type);
    const member = path.length === 0 ? layout && { offset: 0, size: layout.size } : layout?.member(path.join('.'));
    if (!member) throw new Error(`this kernel has no ${part}`);
    // A flexible array has no size.
    const size = member.size || 8;
    return { ...member, size, word: Math.min(size, 8), address: start + BigInt(member.offset) };
  };
  const unit = (address: bigint, size: number): bigint => {
    const view = kernel.read(address, size);
    if (size === 8) return view.getBigUint64(0, true);
    let value = 0n;
    for (let byte = size - 1; byte >= 0; byte--) value = (value << 8n) | BigInt(view.getUint8(byte));
    return value;
  };
  const patch = (address: bigint, bytes: Uint8Array): Damage => ({ patches: [{ address, bytes }], denials: [] });

  const memory = {
    has: (part: string): boolean => {
      const [type = '', ...path] = part.split('.');
      return kernel.struct(type)?.member(path.join('.')) !== undefined;
    },
    /** Bytes of a part. */
    size: (part: Part): number => locate(0n, part).size,
    offset: (part: string): bigint => locate(0n, part).address,
    /** The address of a part. */
    addressOf: (place: Place, part: Part): bigint => locate(place, part).address,
    /** The value of a part, without sign; a pointer without a part. */
    read: (place: Place, part: Part = 8): bigint => {
      const { address, word, bits } = locate(place, part);
      const value = unit(address, word);
      return bits ? BigInt.asUintN(bits.size, value >> BigInt(bits.offset)) : value;
    },
    /** Replaces a value; the other bits of a bitfield's word stay. */
    set: (place: Place, part: Part, value: bigint | number): Damage => {
      const { address, word, bits } = locate(place, part);
      if (!bits) return patch(address, littleEndian(BigInt(value), word));
      const own = BigInt.asUintN(bits.size, BigInt(value)) << BigInt(bits.offset);
      const others = ~(BigInt.asUintN(bits.size, -1n) << BigInt(bits.offset));
      return patch(address, littleEndian((unit(address, word) & others) | own, word));
    },
    /** Replaces the bytes at a place. */
    write: (place: Place, bytes: Uint8Array): Damage => patch(locate(place, bytes.length).address, bytes),
    /** Increases a number, or decreases it by a negative amount. */
    add: (place: Place, part: Part, amount: bigint | number): Damage =>
      memory.set(place, part, memory.read(place, part) + BigInt(amount)),
    /** Writes zeros over a whole part. */
    clear: (place: Place, part: Part): Damage => {
      const { address, size, bits } = locate(place, part);
      return bits ? memory.set(place, part, 0n) : patch(address, new Uint8Array(size));
    },
    /** Exchanges the values of a part of two objects. */
    swap: (place: Place, part: Part, other: Place): Damage =>
      together(memory.set(place, part, memory.read(other, part)), memory.set(other, part, memory.read(place, part))),
    /** Links the neighbours of a `struct list_head` past it; its own links stay. */
    unlink: (place: Place, part: Part): Damage => {
      const { address } = locate(place, part);
      const [next, previous] = [unit(address, 8), unit(address + 8n, 8)];
      return together(memory.set(previous, 8, next), memory.set(next + 8n, 8, previous));
    },
    /** Makes a part unreadable. */
    lose: (place: Place, part: Part, code: ReadErrorCode = 'filtered'): Damage => {
      const { address, size } = locate(place, part);
      return { patches: [], denials: [{ address, length: size, code }] };
    },
    /** The kernel with these damages. */
    damagedBy: (...damages: readonly Damage[]): K => damagedKernel(kernel, together(...damages)),
  };
  return memory;
}
