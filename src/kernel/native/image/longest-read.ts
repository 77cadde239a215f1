import { ReadError } from '../../../base/errors/kernel.js';

/** The most that one read may ask for, in bytes: a wrong length must not exhaust memory. */
export const LONGEST_READ = 256 * 1024 * 1024;

/** @throws {ReadError} `refused` for a longer one */
export function refuseLength(address: number | bigint, length: number): void {
  if (length <= LONGEST_READ) return;
  throw tooLong(BigInt(address), length);
}

/** The refusal of a read that is too long, or whose length is no number. */
export function tooLong(address: bigint, length: number): ReadError {
  const detail = `read of ${length} bytes, over the limit of ${LONGEST_READ}`;
  return new ReadError('refused', address, detail);
}
