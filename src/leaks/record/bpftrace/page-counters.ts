import { closeSync, openSync, readSync } from 'node:fs';
import { allocatedFrames } from '../tracefs/pgalloc.js';

/** Frames since the machine booted, by /proc/vmstat. */
export interface PageCounts {
  readonly allocated: number;
  readonly freed: number;
}

const ROOM = 64 * 1024;

/**
 * Reads the counters of /proc/vmstat at a moment, and understands them later: what reading takes itself is not to
 * be among what is counted.
 */
export class PageCounters {
  readonly #file: number | null;
  readonly #taken: { readonly bytes: Buffer; length: number }[] = [
    { bytes: Buffer.alloc(ROOM, 1), length: 0 },
    { bytes: Buffer.alloc(ROOM, 1), length: 0 },
  ];
  #next = 0;

  constructor() {
    let file: number | null;
    try {
      file = openSync('/proc/vmstat', 'r');
      // The kernel takes its room for it when it is read first.
      readSync(file, this.#taken[0]!.bytes, 0, ROOM, 0);
    } catch {
      file = null;
    }
    this.#file = file;
  }

  /** Twice: at the beginning and at the end. */
  take(): void {
    const taken = this.#taken[this.#next++];
    if (this.#file === null || taken === undefined) return;
    try {
      taken.length = readSync(this.#file, taken.bytes, 0, ROOM, 0);
    } catch {
      taken.length = 0;
    }
  }

  /** Between the two moments; null: not known. */
  passed(): PageCounts | null {
    const [before, after] = this.#taken.map(({ bytes, length }) =>
      pageCounts(bytes.toString('latin1', 0, length)),
    );
    if (!before || !after) return null;
    return {
      allocated: after.allocated - before.allocated,
      freed: after.freed - before.freed,
    };
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
  }
}

function pageCounts(text: string): PageCounts | null {
  const allocated = allocatedFrames(text);
  const freed = /^pgfree (\d{1,15})$/m.exec(text)?.[1];
  if (allocated === null || freed === undefined) return null;
  return { allocated, freed: Number(freed) };
}
