import type { ReadErrorCode } from '../../base/errors.js';
import { inflect } from '../../base/size.js';
import { formatJson, hex } from '../../base/util.js';
import type { MemoryHole, MemoryPiece } from '../../walk/pages/memory-pieces.js';
import type { ReadJson } from './schema.js';

/** Fields that precede the pieces. */
export type ReadHead = Omit<ReadJson, 'schema' | 'pieces' | 'complete'>;

/**
 * Yields the JSON of `kdump-mem read` (readSchema) piece by piece, so that its length is not limited.
 *
 * @param isComplete called after the last piece
 */
export function* readJson(head: ReadHead, pieces: Iterable<MemoryPiece>, isComplete: () => boolean): Generator<string> {
  const opening = formatJson({ schema: 'kdump-mem.read/1', ...head } satisfies Partial<ReadJson>);
  yield `${opening.slice(0, -1)},"pieces":[`;
  let separator = '\n';
  for (const piece of pieces) {
    yield separator + formatJson(pieceJson(piece));
    separator = ',\n';
  }
  yield `\n],"complete":${isComplete()}}\n`;
}

function pieceJson(piece: MemoryPiece): ReadJson['pieces'][number] {
  const address = hex(BigInt.asUintN(64, piece.address));
  if (piece.kind === 'hole') {
    const { length, code, behindTable } = piece;
    return { address, length, missing: code, ...(behindTable && { behindTable }) };
  }
  const { buffer, byteOffset, length } = piece.bytes;
  return { address, length, bytes: Buffer.from(buffer, byteOffset, length).toString('hex') };
}

type Hole = Pick<MemoryHole, 'length' | 'code' | 'behindTable'>;

const WORDS: Record<ReadErrorCode, string> = {
  filtered: 'filtered out of the dump',
  absent: 'not in the dump',
  unmapped: 'not mapped',
  damaged: 'in a corrupt page of the dump',
  truncated: 'beyond the end of the file',
  refused: 'not readable',
};

/** Returns `4096 bytes filtered out of the dump`. */
export function holeWords({ length, code, behindTable }: Hole): string {
  const table = behindTable ? 'reached by a page table ' : '';
  return `${length} ${inflect(length, 'byte')} ${table}${WORDS[code]}`;
}

/**
 * Whether a hole may be filled with zeros on request: true for pages that the dump lacks, but not for pages
 * whose page table is unreadable.
 */
export function mayBeZero({ code, behindTable }: Omit<Hole, 'length'>): boolean {
  return (code === 'filtered' || code === 'absent') && !behindTable;
}

const LINE = 16;
/** Approximate number of characters per block of text. */
const BLOCK = 32 * 1024;

/**
 * Yields a hex dump as printed by `hexdump -C`: address, 16 bytes, their ASCII. Repeated lines are shown as
 * `*`, and the last line is the end address. Each hole is on a separate line.
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

/** Splits bytes into lines across piece boundaries, and drops repeated lines. */
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

  /** Yields the incomplete line; the next line is never treated as a repetition. */
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
