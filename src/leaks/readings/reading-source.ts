import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { attempt } from '../../base/errors.js';
import { LineCutter } from '../../host/lines.js';

/** Kernel files that may be long. Every method throws `HostError`, like a `HostSource`. */
export interface ReadingSource {
  /**
   * Calls `onLine` for each line of a file, and yields in between.
   *
   * @returns number of lines that were too long and are left out
   */
  lines(path: string, onLine: (text: string) => void): Promise<number>;
  /** Content of a small file. */
  readText(path: string): string;
  /** Result of one read of a file: its beginning, at most 64 KiB. */
  readFirst(path: string): string;
  list(path: string): readonly string[];
}

const PIECE_BYTES = 256 * 1024;
const FIRST_BYTES = 64 * 1024;
const TURN_MS = 20;

/** Files of the running kernel. */
export const liveReadings: ReadingSource = {
  lines: async (path, onLine) => {
    const file = attempt(path, () => openSync(path, 'r'));
    try {
      const piece = Buffer.alloc(PIECE_BYTES);
      const cutter = new LineCutter((bytes, from, to) => onLine(bytes.toString('utf8', from, to)));
      let began = performance.now();
      for (;;) {
        // page_owner returns one block per read.
        const read = attempt(path, () => readSync(file, piece));
        if (read === 0) break;
        cutter.push(piece.subarray(0, read));
        if (performance.now() - began < TURN_MS) continue;
        await turn();
        began = performance.now();
      }
      cutter.end();
      return cutter.overlong;
    } finally {
      closeSync(file);
    }
  },
  readFirst: (path) =>
    attempt(path, () => {
      const file = openSync(path, 'r');
      try {
        const piece = Buffer.alloc(FIRST_BYTES);
        return piece.toString('utf8', 0, readSync(file, piece));
      } finally {
        closeSync(file);
      }
    }),
  readText: (path) => attempt(path, () => readFileSync(path, 'utf8')),
  list: (path) => attempt(path, () => readdirSync(path)),
};
