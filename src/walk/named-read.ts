import { KernelError, ReadError } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { Kernel } from '../kernel/kernel.js';

type Reads = Pick<Kernel, 'read'>;

/**
 * Like {@link Kernel.read}, for data that is not a member of a struct: an error names `whole` and its address
 * `at`: `part of the list at 0xffff…`.
 */
export function readPartOf(kernel: Reads, whole: string, at: bigint, address: bigint, length: number): DataView {
  try {
    return kernel.read(address, length);
  } catch (error) {
    throw named(error, whole, at);
  }
}

/** Reads a pointer in the same way. */
export function pointerPartOf(kernel: Reads, whole: string, at: bigint, address: bigint): bigint {
  return readPartOf(kernel, whole, at, address, 8).getBigUint64(0, true);
}

/** Reads an array of `count` pointers at `address`. */
export function pointersPartOf(kernel: Reads, whole: string, at: bigint, address: bigint, count: number): bigint[] {
  const view = readPartOf(kernel, whole, at, address, count * 8);
  return Array.from({ length: count }, (_, index) => view.getBigUint64(index * 8, true));
}

/** A read error that names the enclosing object; any other error is unchanged. */
export function named(error: unknown, whole: string, at: bigint): unknown {
  if (!(error instanceof ReadError)) return error;
  const more = error.detail && `${error.detail}, `;
  const detail = `${more}part of ${whole} at ${hex(at)}`;
  return new ReadError(error.code, error.address, detail, { cause: error });
}

/** Result of a step; undefined also if structures are damaged or unsupported. Other errors are rethrown. */
export function findOrNot<T>(find: () => T): T | undefined {
  try {
    return find();
  } catch (error) {
    if (error instanceof ReadError || error instanceof KernelError) return undefined;
    throw error;
  }
}
