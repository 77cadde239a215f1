import { spawnSync } from 'node:child_process';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  statSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { exhaustionOf } from '../exhaustion.js';
import { asExhausted } from './child.js';
import { ExhaustedError, HostError } from './error.js';
import type { HostSource, OnBytes } from './host-source.js';
import { runSs, searchPath } from './ss/run.js';

/** The host that this process runs on: its network namespace, its /proc. */
export const liveHost: HostSource = {
  ss: runSs,
  readText: (path) => attempt(path, () => readFileSync(path, 'utf8')),
  readTextIn,
  readBytes: (path, onBytes) => attempt(path, () => readPieces(path, onBytes)),
  readLink: (path) => attempt(path, () => readlinkSync(path)),
  list: (path) => attempt(path, () => readdirSync(path)),
  size: (path) => attempt(path, () => statSync(path).size),
  inode: (path) => attempt(path, () => statSync(path).ino),
  now: () => performance.now(),
  sleep: async (ms) => {
    await delay(ms);
  },
};

const ENTER_TIMEOUT_MS = 5000;

function readTextIn(netns: string, path: string): string {
  const { status, stdout, error } = spawnSync('nsenter', [`--net=${netns}`, '--', 'cat', path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: ENTER_TIMEOUT_MS,
    env: { ...process.env, PATH: searchPath() },
  });
  const exhausted = asExhausted('nsenter', error);
  if (exhausted) throw exhausted;
  if (status !== 0) throw new HostError('netns-closed', `${path} cannot be read in ${netns}`);
  return stdout;
}

const PIECE_BYTES = 1024 * 1024;

function readPieces(path: string, onBytes: OnBytes): void {
  const file = openSync(path, 'r');
  try {
    const piece = Buffer.alloc(PIECE_BYTES);
    for (let read = 1; read > 0; ) {
      read = readSync(file, piece);
      if (read > 0) onBytes(piece.subarray(0, read));
    }
  } finally {
    closeSync(file);
  }
}

/** Reads something of a path. @throws {HostError} `gone`, `denied`, `unreadable`; {@link ExhaustedError} */
export function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    // Of whoever is told the bytes.
    if (cause instanceof HostError) throw cause;
    const lacking = exhaustionOf(cause);
    if (lacking !== undefined)
      throw new ExhaustedError(`${path} cannot be read: ${lacking}`, { cause });
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    switch (code) {
      case 'ENOENT':
      case 'ESRCH':
      case 'ENOTDIR':
        throw new HostError('gone', `${path} is not there`, { cause });
      case 'EACCES':
      case 'EPERM':
        throw new HostError('denied', `${path} may not be read`, { cause });
      default:
        if (typeof code !== 'string') throw cause;
        throw new HostError('unreadable', `${path} cannot be read (${code})`, { cause });
    }
  }
}
