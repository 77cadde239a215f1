import { ReadError } from '../base/errors/kernel.js';
import type { Kernel } from '../kernel/kernel.js';
import { readPartOf } from './named-read.js';
import { decodeText } from './struct-reader.js';

/** The shortest that is asked for. */
const LEAST = 8;

/**
 * Text up to its NUL, or the first `most` bytes of it: what lies behind the end may be missing. Hostile.
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
