import { ReadError } from '../base/errors/kernel.js';
import { hex } from '../base/hex.js';
import type { Kernel } from '../kernel/kernel.js';

type Reads = Pick<Kernel, 'read'>;

/**
 * Like {@link Kernel.read}, for what is not a member of a struct of its own: an error names `whole`,
 * which lies, or begins, at `at`: `part of the list at 0xffff…`.
 */
export function readPartOf(
  kernel: Reads,
  whole: string,
  at: bigint,
  address: bigint,
  length: number,
): DataView {
  try {
    return kernel.read(address, length);
  } catch (error) {
    throw named(error, whole, at);
  }
}

/** The pointer that lies at an address, in the same way. */
export function pointerPartOf(kernel: Reads, whole: string, at: bigint, address: bigint): bigint {
  return readPartOf(kernel, whole, at, address, 8).getBigUint64(0, true);
}

/** The error of a read, naming what it was part of; any other as it is. */
export function named(error: unknown, whole: string, at: bigint): unknown {
  if (!(error instanceof ReadError)) return error;
  const more = error.detail && `${error.detail}, `;
  const detail = `${more}part of ${whole} at ${hex(at)}`;
  return new ReadError(error.code, error.address, detail, { cause: error });
}
