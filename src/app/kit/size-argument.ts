import { InvalidArgumentError } from 'commander';
import { bytesOf, SIZE_FORMS } from '../../base/quantity.js';

/** An argument that is a number of bytes: decimal or 0x hex, with k, M, G or T for binary units. */
export function parseSize(text: string): number {
  const bytes = bytesOf(text);
  if (bytes === undefined)
    throw new InvalidArgumentError(`It must be a number of bytes: ${SIZE_FORMS}.`);
  return bytes;
}

/**
 * Parses a size that has a least one.
 *
 * @param least bytes
 * @param takes the bound in words
 */
export function sizeFrom(least: number, takes: string): (text: string) => number {
  return (text) => {
    const bytes = parseSize(text);
    if (bytes < least) throw new InvalidArgumentError(`It must be ${takes}.`);
    return bytes;
  };
}
