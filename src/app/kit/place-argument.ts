import { InvalidArgumentError } from 'commander';
import { parsePlace, type WrittenPlace } from '../../walk/values/place.js';

/** An argument that names a place in memory. */
export function parseWritten(text: string): WrittenPlace {
  const written = parsePlace(text);
  if (!written) {
    throw new InvalidArgumentError('It must be ADDR (hex), SYMBOL or SYMBOL:CPU, with +OFFSET.');
  }
  return written;
}
