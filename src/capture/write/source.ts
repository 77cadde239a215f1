import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { attempt } from '../../base/errors/host.js';
import { searchPath } from '../../base/program-path.js';
import type { HostSource } from '../../host/host-source.js';
import { liveHost, memoryFiles } from '../../host/live.js';
import type { Piece } from '../../host/proc/memory-files.js';

/** A host that a snapshot is taken of. Errors as those of `HostSource`. */
export interface SnapshotSource extends HostSource {
  /** So many bytes of a file at most. */
  read(path: string, most: number): Piece;
  /** The same of a file that `readSlowText` is for. */
  readSlow(path: string, most: number): Promise<Piece>;
  /**
   * The kernel's log, as /dev/kmsg or `dmesg -r` has it, piece by piece.
   *
   * @returns whether lines were lost while it was read
   */
  log(onBytes: (bytes: Buffer) => void): boolean;
}

const FIRST_BYTES = 64 * 1024;
let scratch = Buffer.alloc(FIRST_BYTES);

function room(filled: number, most: number): Buffer {
  if (filled < scratch.length) return scratch;
  const more = Buffer.alloc(Math.min(Math.max(most + 1, FIRST_BYTES), scratch.length * 2));
  scratch.copy(more, 0, 0, filled);
  scratch = more;
  return more;
}

function read(path: string, most: number): Piece {
  return attempt(path, () => {
    // A fifo or a device in the place of a file must not keep us waiting.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      let filled = 0;
      for (let got = 1; got > 0 && filled <= most; filled += got) {
        const buffer = room(filled, most);
        got = readSync(file, buffer, filled, Math.min(buffer.length, most + 1) - filled, null);
      }
      return { bytes: scratch.subarray(0, Math.min(filled, most)), cut: filled > most };
    } finally {
      closeSync(file);
    }
  });
}

const KMSG = '/dev/kmsg';
/** A record has no more. */
const RECORD_BYTES = 16 * 1024;
const DMESG_TIMEOUT_MS = 5000;
const MOST_DMESG = 64 * 1024 * 1024;

function log(onBytes: (bytes: Buffer) => void): boolean {
  let file: number;
  try {
    file = openSync(KMSG, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const { status, stdout } = spawnSync('dmesg', ['-r'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C', PATH: searchPath() },
      timeout: DMESG_TIMEOUT_MS,
      maxBuffer: MOST_DMESG,
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

/** A record a read, until it would have to wait for the next. */
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
      // What was to be read next has been overwritten: it goes on with what is oldest now.
      if (code !== 'EPIPE')
        return attempt(KMSG, () => {
          throw cause;
        });
      lost = true;
    }
  }
}

/** This machine. */
export const liveSnapshot: SnapshotSource = {
  ...liveHost,
  read,
  readSlow: (path, most) => memoryFiles.read(path, most),
  log,
};
