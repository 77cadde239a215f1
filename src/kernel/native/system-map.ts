import { KernelError } from '../error.js';
import { readWholeFile } from './elf-file.js';
import { ListedSymbols, relocated } from './symbols.js';

const MOST_BYTES = 256 << 20;
/** Of an address. */
const MOST_DIGITS = 16;
const NEWLINE = 0x0a;
const SPACE = 0x20;

/**
 * The symbols that a System.map lists (`ffffffff81000000 T _stext`), moved by what KASLR added.
 *
 * @throws {KernelError} `unsupported-format` when it is no such file
 */
export function readSystemMap(path: string, kernelOffset: bigint): ListedSymbols {
  return parseSystemMap(readWholeFile(path, MOST_BYTES), kernelOffset, path);
}

/** As readSystemMap, of a text. */
export function parseSystemMap(
  text: Uint8Array,
  kernelOffset: bigint,
  name = 'System.map',
): ListedSymbols {
  const most = linesOf(text);
  const nameAt = new Int32Array(most);
  const types = new Uint8Array(most);
  const addresses = new BigUint64Array(most);
  let count = 0;
  let line = 0;
  for (let at = 0; at < text.length; ) {
    line++;
    const found = text.indexOf(NEWLINE, at);
    const end = found < 0 ? text.length : found;
    const digits = text.subarray(at, Math.min(end, at + MOST_DIGITS + 1)).indexOf(SPACE);
    const fits = digits > 0 && at + digits + 3 < end;
    const address = fits ? hexAt(text, at, digits) : undefined;
    if (address === undefined || text[at + digits + 2] !== SPACE) {
      if (end > at)
        throw new KernelError('unsupported-format', `${name} is no System.map: see line ${line}`);
    } else {
      nameAt[count] = at + digits + 3;
      types[count] = text[at + digits + 1]!;
      addresses[count++] = relocated(address, kernelOffset);
    }
    at = end + 1;
  }
  if (count === 0) throw new KernelError('unsupported-format', `${name} lists no symbols`);
  return new ListedSymbols(
    text,
    nameAt.subarray(0, count),
    NEWLINE,
    types.subarray(0, count),
    addresses.subarray(0, count),
  );
}

function linesOf(text: Uint8Array): number {
  let lines = 1;
  for (const byte of text) if (byte === NEWLINE) lines++;
  return lines;
}

function hexAt(text: Uint8Array, at: number, digits: number): bigint | undefined {
  let high = 0;
  let low = 0;
  for (let index = at; index < at + digits; index++) {
    const digit = hexDigit(text[index]!);
    if (digit < 0) return undefined;
    high = high * 16 + Math.floor(low / 0x1000_0000);
    low = (low % 0x1000_0000) * 16 + digit;
  }
  return (BigInt(high) << 32n) | BigInt(low);
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x61 + 10;
  if (byte >= 0x41 && byte <= 0x46) return byte - 0x41 + 10;
  return -1;
}
