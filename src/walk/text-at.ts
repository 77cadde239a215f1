import { ReadError } from '../base/errors.js';
import type { Kernel } from '../kernel/kernel.js';
import { readPartOf } from './named-read.js';
import { decodeText } from './struct-reader.js';

/** Minimum length of a read, in bytes. */
const LEAST = 8;

/**
 * Text up to its NUL, or its first `most` bytes: memory behind the end may be missing. Untrusted.
 *
 * @param most a power of two
 * @throws {ReadError}
 */
export function textAt(kernel: Kernel, what: string, address: bigint, most: number): string {
  for (let length = most; ; length /= 2) {
    try {
      return decodeText(readPartOf(kernel, what, address, address, length), 0, length);
    } catch (error) {
      if (!(error instanceof ReadError) || length <= LEAST) throw error;
    }
  }
}
