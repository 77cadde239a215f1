import type { MemoryPiece } from '../../walk/pages/memory-pieces.js';
import { holeWords } from './holes.js';

const LINE = 16;
/** Text is handed on in blocks of about this many characters. */
const BLOCK = 32 * 1024;

/**
 * A hex dump as `hexdump -C` prints it: address, 16 bytes, their ASCII; a line like the one before it
 * is left out and shows as `*`; the last line is the address behind the end. A hole is a line that
 * says so.
 */
export function* hexDump(pieces: Iterable<MemoryPiece>): Generator<string> {
  let block = '';
  for (const line of hexLines(pieces)) {
    block += `${line}\n`;
    if (block.length < BLOCK) continue;
    yield block;
    block = '';
  }
  if (block !== '') yield block;
}

function* hexLines(pieces: Iterable<MemoryPiece>): Generator<string> {
  const lines = new LineBuffer();
  let end = 0n;
  for (const piece of pieces) {
    if (piece.kind === 'bytes') {
      yield* lines.add(piece.address, piece.bytes);
      end = piece.address + BigInt(piece.bytes.length);
    } else {
      yield* lines.flush();
      yield `${padded(piece.address)}  (${holeWords(piece)})`;
      end = piece.address + BigInt(piece.length);
    }
  }
  yield* lines.flush();
  yield padded(end);
}

/** Cuts bytes into lines over the pieces' borders, and drops what repeats. */
class LineBuffer {
  readonly #line = new Uint8Array(LINE);
  readonly #last = new Uint8Array(LINE);
  #address = 0n;
  #filled = 0;
  #hasLast = false;
  #starred = false;

  *add(address: bigint, bytes: Uint8Array): Generator<string> {
    if (this.#filled === 0) this.#address = address;
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + LINE - this.#filled);
      this.#line.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === LINE) yield* this.#full();
    }
  }

  /** Ends the line that is begun; the next one repeats nothing. */
  *flush(): Generator<string> {
    if (this.#filled > 0) yield formatLine(this.#address, this.#line.subarray(0, this.#filled));
    this.#filled = 0;
    this.#hasLast = false;
    this.#starred = false;
  }

  *#full(): Generator<string> {
    const same = this.#hasLast && this.#line.every((byte, index) => byte === this.#last[index]);
    if (!same) yield formatLine(this.#address, this.#line);
    else if (!this.#starred) yield '*';
    this.#starred = same;
    this.#last.set(this.#line);
    this.#hasLast = true;
    this.#filled = 0;
    this.#address += BigInt(LINE);
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function formatLine(address: bigint, bytes: Uint8Array): string {
  let text = '';
  let ascii = '';
  for (let index = 0; index < LINE; index++) {
    const byte = bytes[index];
    text += byte === undefined ? '   ' : ` ${HEX[byte]}`;
    if (index === 7) text += ' ';
    if (byte !== undefined) {
      ascii += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
    }
  }
  return `${padded(address)} ${text}  |${ascii}|`;
}

function padded(address: bigint): string {
  return BigInt.asUintN(64, address).toString(16).padStart(16, '0');
}
