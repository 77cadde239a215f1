import { ReadError } from '../../../base/errors/kernel.js';

export type Memory = { read(address: bigint, length: number): DataView };

const PRINTABLE = /^[\x21-\x7e]+$/;

/** A 64-bit word. @throws {ReadError} */
export function word(memory: Memory, address: bigint): bigint {
  return memory.read(BigInt.asUintN(64, address), 8).getBigUint64(0, true);
}

/** The same, or undefined where it cannot be read. */
export function wordOrNot(memory: Memory, address: bigint): bigint | undefined {
  return orNot(() => word(memory, address));
}

/** A 32-bit number, or undefined where it cannot be read. */
export function numberOrNot(memory: Memory, address: bigint): number | undefined {
  return orNot(() => memory.read(BigInt.asUintN(64, address), 4).getUint32(0, true));
}

/** A text of printable characters that ends in NUL within so many bytes. */
export function textOrNot(memory: Memory, address: bigint, most: number): string | undefined {
  return orNot(() => {
    const view = memory.read(BigInt.asUintN(64, address), most);
    const bytes = Buffer.from(view.buffer, view.byteOffset, most);
    const text = bytes.toString('latin1', 0, Math.max(bytes.indexOf(0), 0));
    return PRINTABLE.test(text) ? text : undefined;
  });
}

/** What a step gives, or undefined where something cannot be read. */
export function orNot<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ReadError) return undefined;
    throw error;
  }
}

/** The one of a list; undefined where there is none, or more than one. */
export function only<T>(found: readonly T[]): T | undefined {
  return found.length === 1 ? found[0] : undefined;
}
