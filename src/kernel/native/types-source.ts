import { KernelError, ReadError } from '../error.js';
import { Btf } from './btf/btf.js';
import { type BtfHeader, HEADER_SIZE, parseBtfHeader } from './btf/format.js';
import type { KernelMemory } from './memory.js';

/** Larger than any kernel's types. */
const MOST_BYTES = 256 << 20;

/** BTF that lies in the kernel's memory: checked by its header, read when it is needed. */
export interface BtfInMemory {
  readonly address: bigint;
  readonly header: BtfHeader;
  /** Bytes in all, where the kernel says so. */
  readonly length: number;
}

/**
 * The kernel's own types, between `__start_BTF` and `__stop_BTF`; a sentence that says why not, where
 * they are not.
 */
export function locateBtf(
  memory: Pick<KernelMemory, 'read'>,
  symbol: (name: string) => bigint | undefined,
): BtfInMemory | string {
  const start = symbol('__start_BTF');
  const stop = symbol('__stop_BTF');
  if (start === undefined || stop === undefined) return 'there is no symbol __start_BTF';
  const length = Number(BigInt.asUintN(64, stop - start));
  if (length < HEADER_SIZE || length > MOST_BYTES)
    return `${length} bytes between __start_BTF and __stop_BTF`;
  return checkBtf(memory, start, length);
}

/** Whether BTF of at most that many bytes begins at an address; a sentence if not. */
export function checkBtf(
  memory: Pick<KernelMemory, 'read'>,
  address: bigint,
  length: number,
): BtfInMemory | string {
  try {
    const header = parseBtfHeader(memory.read(address, HEADER_SIZE), length);
    return { address, header, length };
  } catch (error) {
    if (error instanceof KernelError || error instanceof ReadError) return error.message;
    throw error;
  }
}

/** @throws {ReadError} when a page of it is missing; {KernelError} `damaged` when it is no BTF */
export function readBtf(
  memory: Pick<KernelMemory, 'read'>,
  { address, header }: BtfInMemory,
  base?: Btf,
): Btf {
  const section = (at: number, length: number): Uint8Array => {
    const view = memory.read(address + BigInt(at), length);
    return new Uint8Array(view.buffer, view.byteOffset, length);
  };
  return new Btf(
    section(header.typesAt, header.typesLength),
    section(header.stringsAt, header.stringsLength),
    base,
  );
}
