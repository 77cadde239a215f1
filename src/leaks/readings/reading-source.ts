import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { attempt } from '../../base/errors/host.js';
import { LineCutter } from '../../host/ss/lines.js';

/** Files of the kernel that may be long. Every method throws `HostError`, as a `HostSource` does. */
export interface ReadingSource {
  /**
   * Tells each line of a file, and lets others have their turn meanwhile.
   *
   * @returns lines that were too long and are left out
   */
  lines(path: string, onLine: (text: string) => void): Promise<number>;
  /** The whole of a small file. */
  readText(path: string): string;
  /** What one read gives of a file: its beginning, 64 KiB at most. */
  readFirst(path: string): string;
  list(path: string): readonly string[];
}

const PIECE_BYTES = 256 * 1024;
const FIRST_BYTES = 64 * 1024;
const TURN_MS = 20;

/** The running kernel's. */
export const liveReadings: ReadingSource = {
  lines: async (path, onLine) => {
    const file = attempt(path, () => openSync(path, 'r'));
    try {
      const piece = Buffer.alloc(PIECE_BYTES);
      const cutter = new LineCutter((bytes, from, to) => onLine(bytes.toString('utf8', from, to)));
      let began = performance.now();
      for (;;) {
        // page_owner gives one block at a time.
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
