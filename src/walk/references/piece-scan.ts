/**
 * Targets of a search for pointers, in arrays that threads share. Targets in page frames come first, in
 * ascending order and disjoint; their places are bytes from the first targeted frame. Others, which are known
 * by virtual address only, follow in ascending order. Words are compared by their halves: the upper one as a
 * signed number, since V8 keeps small integers in registers.
 */
export interface TargetIndex {
  readonly pageSize: number;
  /** Direct-map address of the first targeted frame, and bytes up to the end of the last one. */
  readonly directHigh: number;
  readonly directLow: number;
  readonly directLength: number;
  /** The same of their `struct page`s, and the size of one. */
  readonly arrayHigh: number;
  readonly arrayLow: number;
  readonly arrayLength: number;
  readonly stride: number;
  /** Smallest upper half of any pointer to a target. */
  readonly least: number;
  /** One bit for each frame, and the number of set bits before each word of them. */
  readonly frames: Int32Array;
  readonly ranks: Uint32Array;
  /** First target in each targeted frame, and one more entry: the number of targets in frames. */
  readonly first: Uint32Array;
  /** Targets in frames. */
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  /** 1 for a target of complete pages: a pointer to its `struct page` refers to it. */
  readonly complete: Uint8Array;
  /** Other targets: address as halves, length, and address rounded down to 8 as a signed number. */
  readonly otherHigh: Int32Array;
  readonly otherLow: Uint32Array;
  readonly otherLength: Float64Array;
  readonly otherWord: Float64Array;
}

/** Part of memory to scan: bytes of a file, or bytes themselves. Begins and ends at 8-byte words. */
export type Piece = { readonly length: number } & (
  | { readonly descriptor: number; readonly offset: number }
  | { readonly bytes: ArrayBuffer }
);

/** Words of a piece that refer to targets, in ascending order. */
export interface PieceHits {
  /** Number of each word in the piece. */
  readonly words: Uint32Array;
  readonly targets: Uint32Array;
  readonly forms: Uint8Array;
  /** Start and end of bytes that could not be read, in pairs, from the start of the piece. */
  readonly lost: readonly number[];
}

/** Maximum bytes of a piece. */
export const PIECE_BYTES = 4 * 2 ** 20;

/** Reads as `readSync` of node:fs does. */
type ReadSync = (descriptor: number, target: Uint8Array, at: number, length: number, position: number) => number;

/**
 * Returns a function that scans pieces. Threads run the source text of this function: it must not use
 * anything outside itself, also after a bundler has minified it.
 *
 * @param most bytes of a piece at most
 */
export function pieceScanner(readSync: ReadSync, index: TargetIndex, most: number): (piece: Piece) => PieceHits {
  const HALF = 0x1_0000_0000;
  const LOST_PAGE = 4096;
  /** Errors of memory that is not readable; others are faults of ours. */
  const LOST = new Set(['EIO', 'EFAULT', 'EINVAL', 'EPERM', 'ENXIO']);
  const own = new Uint8Array(most);
  const places = new Uint32Array(most / 8);
  const targets = new Uint32Array(most / 8);
  const forms = new Uint8Array(most / 8);

  const { directHigh, directLow, directLength, arrayHigh, arrayLow, arrayLength } = index;
  const { pageSize, stride, least, frames, ranks, first, starts, ends, complete } = index;
  const { otherHigh, otherLow, otherLength, otherWord } = index;
  const inFrames = starts.length;
  const others = otherWord.length;
  let target = 0;

  // Bundlers that keep names wrap functions in calls of a helper, but not methods.
  const steps = {
    /** Fills `own`; unreadable pages become zeros, which point nowhere. */
    fill(descriptor: number, offset: number, length: number): number[] {
      const lost: number[] = [];
      for (let done = 0; done < length; ) {
        let read = -1;
        try {
          read = readSync(descriptor, own, done, length - done, offset + done);
        } catch (error) {
          if (!LOST.has(String((error as { code?: unknown }).code))) throw error;
        }
        if (read > 0) {
          done += read;
          continue;
        }
        // Nothing follows the end of a file; a bad sector may be followed by good ones.
        const end = read === 0 ? length : Math.min(length, done - (done % LOST_PAGE) + LOST_PAGE);
        own.fill(0, done, end);
        lost.push(done - (done % 8), end);
        done = end;
      }
      return lost;
    },

    /** Whether some bytes from the first targeted frame on are in a target, which is stored in `target`. */
    inFrame(at: number): boolean {
      const frame = Math.floor(at / pageSize);
      const word = Math.floor(frame / 32);
      const bit = 1 << (frame & 31);
      const set = frames[word]!;
      if ((set & bit) === 0) return false;
      let below = set & (bit - 1);
      below -= (below >>> 1) & 0x5555_5555;
      below = (below & 0x3333_3333) + ((below >>> 2) & 0x3333_3333);
      below = Math.imul((below + (below >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
      const ordinal = ranks[word]! + below;
      let low = first[ordinal]!;
      let high = Math.min(first[ordinal + 1]!, inFrames - 1);
      while (low < high) {
        const middle = (low + high + 1) >>> 1;
        if (starts[middle]! <= at) low = middle;
        else high = middle - 1;
      }
      target = low;
      return at >= starts[low]! && at < ends[low]!;
    },

    /** Form of a pointer to a target that is known by virtual address; -1: it refers to none. */
    formOfOther(high: number, low: number): number {
      const word = high * HALF + (low - (low % 8));
      let from = -1;
      let to = others - 1;
      while (from < to) {
        const middle = (from + to + 1) >> 1;
        if (otherWord[middle]! <= word) from = middle;
        else to = middle - 1;
      }
      // Several may begin in one word.
      for (let other = from; other >= 0 && other > from - 8; other--) {
        const into = (high - otherHigh[other]!) * HALF + (low - otherLow[other]!);
        if (into < 0 || into >= otherLength[other]!) continue;
        target = inFrames + other;
        return into === 0 ? 0 : into < 8 && otherLow[other]! % 8 === 0 ? 1 : 2;
      }
      return -1;
    },

    formOf(high: number, low: number): number {
      const at = (high - directHigh) * HALF + (low - directLow);
      if (at >= 0 && at < directLength) {
        if (steps.inFrame(at)) {
          const into = at - starts[target]!;
          return into === 0 ? 0 : into < 8 ? 1 : 2;
        }
      } else {
        const into = (high - arrayHigh) * HALF + (low - arrayLow);
        if (into >= 0 && into < arrayLength) {
          if (steps.inFrame(Math.floor(into / stride) * pageSize) && complete[target] === 1) return 3;
        }
      }
      return others === 0 ? -1 : steps.formOfOther(high, low);
    },
  };

  return (piece) => {
    const lost = 'bytes' in piece ? [] : steps.fill(piece.descriptor, piece.offset, piece.length);
    const halves = new Int32Array('bytes' in piece ? piece.bytes : own.buffer);
    const end = piece.length / 4;
    let found = 0;
    for (let upper = 1; upper < end; upper += 2) {
      const high = halves[upper]!;
      if (high >= 0 || high < least) continue;
      const form = steps.formOf(high, halves[upper - 1]! >>> 0);
      if (form < 0) continue;
      places[found] = upper >>> 1;
      targets[found] = target;
      forms[found++] = form;
    }
    return { words: places.slice(0, found), targets: targets.slice(0, found), forms: forms.slice(0, found), lost };
  };
}
