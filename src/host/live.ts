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
import { HostError } from './error.js';
import { type HostSource, linksOneByOne, type OnBytes, type OnLink } from './source.js';
import { runSs } from './ss/run.js';

/** The host that this process runs on: its network namespace, its /proc. */
export const liveHost: HostSource = {
  ss: runSs,
  readText: (path) => attempt(path, () => readFileSync(path, 'utf8')),
  readBytes: (path, onBytes) => attempt(path, () => readPieces(path, onBytes)),
  readLink: (path) => attempt(path, () => readlinkSync(path)),
  readLinks,
  list: (path) => attempt(path, () => readdirSync(path)),
  size: (path) => attempt(path, () => statSync(path).size),
  now: () => performance.now(),
  sleep: async (ms) => {
    await delay(ms);
  },
};

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

/** Fewer links than this are not worth a change of directory. */
const LEAST_LINKS = 16;

/**
 * From inside their directory: the kernel then looks up one name for each, not /proc, the process and
 * its table again and again. We are back where we were before anything else runs.
 */
function readLinks(directory: string, names: readonly string[], onLink: OnLink): void {
  const home = names.length < LEAST_LINKS ? null : enter(directory);
  if (home === null) {
    linksOneByOne(liveHost, directory, names, onLink);
    return;
  }
  try {
    for (const name of names) {
      let target: string | HostError | null;
      try {
        target = readlinkSync(name);
      } catch (cause) {
        const error = hostError(`${directory}/${name}`, cause);
        target = error.code === 'gone' ? null : error;
      }
      onLink(name, target);
    }
  } finally {
    process.chdir(home);
  }
}

/** Null where we cannot go, or could not come back from: in a worker, out of a directory that is gone. */
function enter(directory: string): string | null {
  try {
    const home = process.cwd();
    process.chdir(home);
    process.chdir(directory);
    return home;
  } catch {
    return null;
  }
}

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw hostError(path, cause);
  }
}

/** Throws what is no error of the system's. */
function hostError(path: string, cause: unknown): HostError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  switch (code) {
    case 'ENOENT':
    case 'ESRCH':
    case 'ENOTDIR':
      return new HostError('gone', `${path} is not there`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new HostError('denied', `${path} may not be read`, { cause });
    default:
      if (typeof code !== 'string') throw cause;
      return new HostError('unreadable', `${path} cannot be read (${code})`, { cause });
  }
}
