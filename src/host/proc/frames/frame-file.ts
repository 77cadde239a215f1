import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { attempt, HostError } from '../../../base/errors/host.js';

/** Bytes of what these files have for each page frame. */
const WORD = 8;

/** A file with 64 bits for each page frame: /proc/kpageflags, kpagecgroup (fs/proc/page.c). */
export interface FrameFile {
  /**
   * Reads the words of `count` frames from `first` on.
   *
   * @returns little-endian words, which hold until the next call; fewer where the file ends
   * @throws {HostError} `unreadable`
   */
  words(first: number, count: number): Buffer;
  close(): void;
}

/**
 * @param most frames that are asked for at once
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export function openFrameFile(path: string, most: number): FrameFile {
  const file = attempt(path, () => openSync(path, 'r'));
  // A container may have /dev/null in its place.
  if (!fstatSync(file).isFile()) {
    closeSync(file);
    throw new HostError('unreadable', `${path}: not a regular file`);
  }
  const buffer = Buffer.alloc(most * WORD);
  return {
    words: (first, count) => {
      if (count > most) throw new RangeError(`${count} frames at once`);
      // The kernel takes whole words at whole words only, and may stop early.
      let read = 0;
      while (read < count * WORD) {
        const got = attempt(path, () =>
          readSync(file, buffer, read, count * WORD - read, first * WORD + read),
        );
        if (got === 0) break;
        read += got;
        if (read % WORD !== 0)
          throw new HostError('unreadable', `${path} ends inside the word of frame ${first}`);
      }
      return buffer.subarray(0, read);
    },
    close: () => closeSync(file),
  };
}
