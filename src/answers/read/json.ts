import { hex } from '../../base/hex.js';
import { formatJson } from '../../base/json.js';
import type { MemoryPiece } from '../../walk/pages/memory-pieces.js';
import type { ReadJson } from './schema.js';

/** What comes before the pieces. */
export type ReadHead = Omit<ReadJson, 'schema' | 'pieces' | 'complete'>;

/**
 * The JSON of `kdump-mem read` (readSchema), piece by piece, so that its length is no matter.
 *
 * @param isComplete asked when all pieces have been seen
 */
export function* readJson(
  head: ReadHead,
  pieces: Iterable<MemoryPiece>,
  isComplete: () => boolean,
): Generator<string> {
  const opening = formatJson({
    schema: 'kdump-mem.read/1',
    ...head,
  } satisfies Partial<ReadJson>);
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
