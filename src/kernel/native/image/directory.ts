import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { KernelError } from '../../../base/errors.js';
import { shellPath } from '../../../base/shell.js';
import { errorCode } from './byte-source.js';

/**
 * Finds the dump in a directory such as /var/crash/127.0.0.1-2026-11-20-04:12:00: RHEL and SUSE
 * write `vmcore` (or `vmcore.flat`), Debian's kdump-tools `dump.YYYYMMDDHHMM`. If there is none,
 * also searches one level down, since each dump gets its own directory.
 *
 * @returns `path` itself if it is not a directory.
 * @throws {KernelError} if the directory contains no dump, or several.
 */
export function dumpIn(path: string): string {
  // Node treats such a name as a programming error.
  if (path.includes('\0'))
    throw new KernelError('no-such-file', 'the file name contains a NUL byte');
  if (!isDirectory(path)) return path;
  let found = candidates(path);
  const closed: string[] = [];
  if (found.length === 0) {
    found = entries(path)
      .map((name) => join(path, name))
      .filter(isDirectory)
      .flatMap((directory) => candidatesOrNone(directory, closed));
  }
  if (found.length === 0) {
    const why = closed.length > 0 ? `${closed[0]}: permission denied` : NAMES;
    const message = `${path}: no dump found (${why})`;
    throw new KernelError('no-such-file', message, { next: 'Name the file itself.' });
  }
  if (found.length === 1) return found[0]!;
  const named = found.slice(0, MAX_NAMED).join(', ');
  const suffix = found.length > MAX_NAMED ? ` and ${found.length - MAX_NAMED} more` : '';
  throw new KernelError('not-a-dump', `${path}: several dumps found (${named}${suffix})`, {
    next: `Name one: --vmcore ${shellPath(found[0]!)}`,
  });
}

const MAX_NAMED = 6;
/** Description of the names that {@link DUMP} matches. */
const NAMES = 'no vmcore, vmcore.*, *.vmcore or dump.YYYYMMDDHHMM there or one directory below';
/** Names that kdump and similar tools give to dumps. */
export const DUMP = /^(vmcore|vmcore\.(?!log$|txt$).*|.*\.vmcore|dump\.\d{8,14})$/;

/** A plain `vmcore` takes precedence over copies next to it (`vmcore.flat`, `vmcore.zst`). */
function candidates(directory: string): string[] {
  const named = entries(directory).filter((name) => DUMP.test(name));
  const best = named.includes('vmcore') ? ['vmcore'] : named.sort();
  return best.map((name) => join(directory, name)).filter((path) => !isDirectory(path));
}

/** Returns no candidates for a directory that cannot be listed (lost+found), and adds its path to `closed`. */
function candidatesOrNone(directory: string, closed: string[]): string[] {
  try {
    return candidates(directory);
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    closed.push(directory);
    return [];
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (cause) {
    const code = errorCode(cause);
    const denied = code === 'EACCES' || code === 'EPERM';
    if (!denied && code !== 'ENOENT') throw cause;
    const message = `${directory}: ${denied ? 'permission denied' : 'not found'}`;
    throw new KernelError(denied ? 'permission' : 'no-such-file', message, { cause });
  }
}
