import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { attempt, HostError } from '../../../base/errors.js';

/** Bytes per page frame in these files. */
const WORD = 8;

/** A file with 64 bits per page frame: /proc/kpageflags, kpagecgroup (fs/proc/page.c). */
export interface FrameFile {
  /**
   * Reads the words of `count` frames from `first` on.
   *
   * @returns little-endian words, valid until the next call; fewer where the file ends
   * @throws {HostError} `unreadable`
   */
  words(first: number, count: number): Buffer;
  close(): void;
}

/**
 * @param limit maximum number of frames per read
 * @throws {HostError} `gone`, `denied`, `unreadable`
 */
export function openFrameFile(path: string, limit: number): FrameFile {
  const file = attempt(path, () => openSync(path, 'r'));
  // A container may mount /dev/null over it.
  if (!fstatSync(file).isFile()) {
    closeSync(file);
    throw new HostError('unreadable', `${path}: not a regular file`);
  }
  const buffer = Buffer.alloc(limit * WORD);
  return {
    words: (first, count) => {
      if (count > limit) throw new RangeError(`${count} frames at once`);
      // The kernel accepts only aligned reads of entire words, and may return fewer bytes.
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
