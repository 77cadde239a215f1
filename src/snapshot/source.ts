import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { HostSource } from '../host/host-source.js';
import { attempt, liveHost } from '../host/live.js';
import { searchPath } from '../host/ss/run.js';

/** The beginning of a file. */
export interface Piece {
  /** Holds until the next read. */
  readonly bytes: Buffer;
  /** There was more. */
  readonly cut: boolean;
}

/** A host that a snapshot is taken of. Errors as those of `HostSource`. */
export interface SnapshotSource extends HostSource {
  /** So many bytes of a file at most. */
  read(path: string, most: number): Piece;
  /** The same of a file that the kernel may take its time with, such as smaps while memory is mapped. */
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

/** Reads that the kernel has not answered yet. */
const unanswered = new Set<Promise<Piece>>();

/**
 * Waits until the kernel has answered all reads that were given up.
 *
 * @param patience milliseconds
 * @returns how many it still keeps
 */
export async function unansweredReads(patience: number): Promise<number> {
  if (unanswered.size > 0) {
    const over = new AbortController();
    const late = delay(patience, undefined, { signal: over.signal }).catch(() => undefined);
    await Promise.race([Promise.allSettled(unanswered), late]);
    over.abort();
  }
  return unanswered.size;
}

function readSlow(path: string, most: number): Promise<Piece> {
  const answer = readAll(path, most);
  unanswered.add(answer);
  const answered = () => unanswered.delete(answer);
  answer.then(answered, answered);
  return answer;
}

async function readAll(path: string, most: number): Promise<Piece> {
  try {
    const file = await open(path, 'r');
    try {
      const pieces: Buffer[] = [];
      let filled = 0;
      for (let got = 1; got > 0 && filled <= most; filled += got) {
        const piece = Buffer.allocUnsafe(Math.min(FIRST_BYTES, most + 1 - filled));
        got = (await file.read(piece, 0, piece.length, null)).bytesRead;
        pieces.push(piece.subarray(0, got));
      }
      return { bytes: Buffer.concat(pieces).subarray(0, most), cut: filled > most };
    } finally {
      await file.close();
    }
  } catch (cause) {
    return attempt(path, () => {
      throw cause;
    });
  }
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
      ...{ timeout: DMESG_TIMEOUT_MS, maxBuffer: MOST_DMESG },
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
export const liveSnapshot: SnapshotSource = { ...liveHost, read, readSlow, log };
