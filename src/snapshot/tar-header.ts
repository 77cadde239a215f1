const BLOCK = 512;
/** A header has room for no longer name; those of a snapshot are short. */
const MOST_NAME = 100;

/** The zeros that fill a member's last block. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK);

/**
 * The header of a regular file in a tar archive (POSIX ustar), for its owner's eyes alone.
 *
 * @param seconds when it was written, since 1970
 */
export function tarHeader(name: string, size: number, seconds: number): Buffer {
  if (Buffer.byteLength(name) > MOST_NAME) throw new RangeError(`${name} is too long for tar`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) =>
    `${Math.floor(value).toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0);
  header.write(octal(0o600, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(seconds, 11), 136);
  // The sum is made with its own field as blanks.
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}
