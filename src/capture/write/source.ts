import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { attempt } from '../../base/errors.js';
import { searchPath } from '../../base/shell.js';
import type { HostSource } from '../../host/host-source.js';
import { isWhole, liveHost, memoryFiles } from '../../host/live.js';
import type { Piece } from '../../host/proc/memory-files.js';

/** A host to take a snapshot of. Errors as in `HostSource`. */
export interface SnapshotSource extends HostSource {
  /** Reads at most this many bytes of a file. */
  read(path: string, limit: number): Piece;
  /** The same for a file that requires `readSlowText`. */
  readSlow(path: string, limit: number): Promise<Piece>;
  /**
   * Reads the kernel log in pieces, in the format of /dev/kmsg or `dmesg -r`.
   *
   * @returns whether lines were lost while it was read
   */
  log(onBytes: (bytes: Buffer) => void): boolean;
}

const FIRST_BYTES = 64 * 1024;
let scratch = Buffer.alloc(FIRST_BYTES);

function room(filled: number, limit: number): Buffer {
  if (filled < scratch.length) return scratch;
  const larger = Buffer.alloc(Math.min(Math.max(limit + 1, FIRST_BYTES), scratch.length * 2));
  scratch.copy(larger, 0, 0, filled);
  scratch = larger;
  return larger;
}

function read(path: string, limit: number): Piece {
  return attempt(path, () => {
    // O_NONBLOCK: a fifo or device in place of the file must not block.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      let filled = 0;
      for (let isAll = false; !isAll && filled <= limit; ) {
        const buffer = room(filled, limit);
        const end = Math.min(buffer.length, limit + 1);
        const got = readSync(file, buffer, filled, end - filled, null);
        filled += got;
        isAll = isWhole(path, got, filled < end);
      }
      return { bytes: scratch.subarray(0, Math.min(filled, limit)), cut: filled > limit };
    } finally {
      closeSync(file);
    }
  });
}

const KMSG = '/dev/kmsg';
/** Maximum size of a record. */
const RECORD_BYTES = 16 * 1024;
const DMESG_TIMEOUT_MS = 5000;
const MAX_DMESG = 64 * 1024 * 1024;

function log(onBytes: (bytes: Buffer) => void): boolean {
  let file: number;
  try {
    file = openSync(KMSG, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { status, stdout } = spawnSync('dmesg', ['-r'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
      timeout: DMESG_TIMEOUT_MS,
      maxBuffer: MAX_DMESG,
    });
    if (status !== 0)
      return attempt(KMSG, () => {
        throw cause;
      });
    onBytes(stdout);
    return false;
  }
  try {
    return records(file, onBytes);
  } finally {
    closeSync(file);
  }
}

/** Reads one record at a time, until a read would block. */
function records(file: number, onBytes: (bytes: Buffer) => void): boolean {
  const record = Buffer.alloc(RECORD_BYTES);
  let lost = false;
  for (;;) {
    try {
      const got = readSync(file, record, 0, record.length, null);
      if (got === 0) return lost;
      onBytes(record.subarray(0, got));
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === 'EAGAIN') return lost;
      // The next record was overwritten: continues with the oldest one.
      if (code !== 'EPIPE')
        return attempt(KMSG, () => {
          throw cause;
        });
      lost = true;
    }
  }
}

export const liveSnapshot: SnapshotSource = {
  ...liveHost,
  read,
  readSlow: (path, limit) => memoryFiles.read(path, limit),
  log,
};
