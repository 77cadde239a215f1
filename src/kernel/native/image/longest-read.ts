import { ReadError } from '../../error.js';

/** The most that one read may ask for, in bytes: a wrong length must not exhaust memory. */
export const LONGEST_READ = 256 * 1024 * 1024;

/** @throws {ReadError} `refused` for a longer one */
export function refuseLength(address: number | bigint, length: number): void {
  if (length <= LONGEST_READ) return;
  throw new ReadError('refused', BigInt(address), `${length} bytes are too many for one read`);
}
