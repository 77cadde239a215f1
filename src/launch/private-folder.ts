import { lstatSync, mkdirSync, realpathSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * The folder for code that we will run: $XDG_CACHE_HOME/kdump-mem, or ~/.cache/kdump-mem. Whoever can
 * put a file there runs code as us, so it must be our own (mode 700, no link), and nobody but us and
 * root may be able to put another in its place. Root with another user's HOME has none.
 *
 * @param make whether to make it if it is not there
 * @throws whatever keeps it from being read or made
 */
export function privateFolder(make: boolean): string | null {
  const user = process.geteuid?.();
  // A set-user-ID program must not trust what its caller says of a home.
  if (user === undefined || user !== process.getuid?.()) return null;
  const base = cacheHome();
  if (base === null) return null;
  if (make) {
    if (!isOnlyOurs(realpathSync.native(dirname(base)), user)) return null;
    makeFolder(base);
  }
  const parent = realpathSync.native(base);
  if (!isOnlyOurs(parent, user)) return null;
  const folder = join(parent, 'kdump-mem');
  if (make) makeFolder(folder);
  const stat = lstatSync(folder);
  return stat.isDirectory() && stat.uid === user && (stat.mode & 0o777) === 0o700 ? folder : null;
}

/** Of the XDG Base Directory Specification, which wants relative paths ignored. */
function cacheHome(): string | null {
  const { XDG_CACHE_HOME: cache = '', HOME: home = '' } = process.env;
  if (isAbsolute(cache)) return cache;
  // Services often have / as home.
  return isAbsolute(home) && home !== '/' ? join(home, '.cache') : null;
}

/** Whether nobody but us and root can change what the names in a path without links lead to. */
function isOnlyOurs(path: string, user: number): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if (!isKept(lstatSync(folder), user)) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** In a sticky folder (/tmp) nobody moves what is another's. */
function isKept({ uid, mode }: Stats, user: number): boolean {
  return (
    (uid === user || uid === 0) && ((mode & WRITABLE_BY_OTHERS) === 0 || (mode & STICKY) !== 0)
  );
}

function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
