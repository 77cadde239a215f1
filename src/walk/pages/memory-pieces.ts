import { PageTableError, ReadError, type ReadErrorCode } from '../../base/errors.js';

/** A stretch of memory: its bytes, or the reason why they are not available. Lengths are in bytes. */
export type MemoryPiece = MemoryBytes | MemoryHole;

export interface MemoryBytes {
  readonly kind: 'bytes';
  readonly address: bigint;
  /** May be a view of a shared page: never write to it. */
  readonly bytes: Uint8Array;
}

export interface MemoryHole extends Miss {
  readonly kind: 'hole';
  readonly address: bigint;
  readonly length: number;
}

/** Reason why bytes are not available. */
interface Miss {
  readonly code: ReadErrorCode;
  /** A page table on the way is unreadable: the bytes themselves may exist. */
  readonly behindTable?: true;
}

type Read = (address: bigint, length: number) => DataView;

/**
 * Reads a range of any length page by page, in order: readable bytes, at most a page at once, and holes,
 * joined if they are adjacent and have the same reason. Segments of a dump may begin and end within a page.
 *
 * @param page bytes of a page; pieces do not cross its multiples
 * @param isPartial whether the dump may contain only a part of the page at an address. Only there bytes are
 * read one by one, which finds parts that touch neither end of the requested range
 */
export function* memoryPieces(
  read: Read,
  address: bigint,
  length: number,
  page: number,
  isPartial: (address: bigint) => boolean = () => false,
): Generator<MemoryPiece> {
  const end = address + BigInt(length);
  let hole: MemoryHole | undefined;
  for (let at = address; at < end; ) {
    const room = page - Number(at % BigInt(page));
    const left = end - at;
    const part = left < BigInt(room) ? Number(left) : room;
    for (const piece of pagePieces(read, at, part, isPartial)) {
      const joins =
        hole !== undefined &&
        piece.kind === 'hole' &&
        piece.code === hole.code &&
        piece.behindTable === hole.behindTable &&
        piece.address === hole.address + BigInt(hole.length);
      if (hole !== undefined && piece.kind === 'hole' && joins) {
        hole = { ...hole, length: hole.length + piece.length };
        continue;
      }
      if (hole) yield hole;
      hole = undefined;
      if (piece.kind === 'hole') hole = piece;
      else yield piece;
    }
    at += BigInt(part);
  }
  if (hole) yield hole;
}

function* pagePieces(
  read: Read,
  address: bigint,
  length: number,
  isPartial: (address: bigint) => boolean,
): Generator<MemoryPiece> {
  const whole = attempt(read, address, length);
  if (whole instanceof Uint8Array) {
    yield { kind: 'bytes', address, bytes: whole };
    return;
  }
  if (isPartial(address)) {
    yield* everyByte(read, address, length);
    return;
  }
  // A page that is not readable as a whole: readable bytes at its start, and at its end.
  const head = longest((bytes) => attempt(read, address, bytes), length - 1);
  const rest = length - (head?.length ?? 0);
  const after = address + BigInt(length - rest);
  const tail = longest((bytes) => attempt(read, address + BigInt(length - bytes), bytes), rest - 1);
  if (head) yield { kind: 'bytes', address, bytes: head };
  const miss = missAt(read, after) ?? whole;
  yield { kind: 'hole', address: after, length: rest - (tail?.length ?? 0), ...miss };
  if (tail) {
    yield { kind: 'bytes', address: address + BigInt(length - tail.length), bytes: tail };
  }
}

/** Yields all readable bytes, however few, and each unreadable byte as a separate hole. */
function* everyByte(read: Read, address: bigint, length: number): Generator<MemoryPiece> {
  for (let done = 0; done < length; ) {
    const at = address + BigInt(done);
    const bytes = longest((count) => attempt(read, at, count), length - done);
    if (bytes) yield { kind: 'bytes', address: at, bytes };
    else yield { kind: 'hole', address: at, length: 1, ...missAt(read, at)! };
    done += bytes?.length ?? 1;
  }
}

/** Finds the longest successful read of up to `most` bytes, provided that every shorter read succeeds too. */
function longest(attemptOf: (bytes: number) => Uint8Array | Miss, most: number): Uint8Array | undefined {
  let best: Uint8Array | undefined;
  let low = 1;
  let high = most;
  // For most pages, one byte is enough to find that they are missing.
  for (let probe = 1; low <= high; probe = (low + high) >>> 1) {
    const piece = attemptOf(probe);
    if (piece instanceof Uint8Array) {
      best = piece;
      low = probe + 1;
    } else {
      high = probe - 1;
    }
  }
  return best;
}

function missAt(read: Read, address: bigint): Miss | undefined {
  const miss = attempt(read, address, 1);
  return miss instanceof Uint8Array ? undefined : miss;
}

function attempt(read: Read, address: bigint, length: number): Uint8Array | Miss {
  try {
    const view = read(address, length);
    return new Uint8Array(view.buffer, view.byteOffset, length);
  } catch (error) {
    if (!(error instanceof ReadError)) throw error;
    const { code } = error;
    return error instanceof PageTableError ? { code, behindTable: true } : { code };
  }
}
