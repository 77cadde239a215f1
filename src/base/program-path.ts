import fs from 'node:fs';
import path from 'node:path';

const SYSTEM = '/usr/bin:/bin';

/**
 * PATH without elements that are empty or relative: they name the current folder, which may be anybody's. Where none
 * is left the system's folders are searched, since an empty PATH means the current folder too.
 */
export function safePath(path: string | undefined = process.env.PATH): string {
  const parts = (path ?? '').split(':').filter((part) => part.startsWith('/'));
  return parts.length === 0 ? SYSTEM : parts.join(':');
}

/** The same and the folders of system commands, which a user's PATH may lack. */
export function searchPath(path: string | undefined = process.env.PATH): string {
  return `${safePath(path)}:/usr/sbin:/usr/bin:/sbin:/bin`;
}

/** Where a program is, looked for as a shell does; undefined: there is none that could be run. */
export function programPath(name: string): string | undefined {
  const candidates = name.includes('/')
    ? [path.resolve(name)]
    : safePath()
        .split(path.delimiter)
        .map((folder) => path.join(folder, name));
  return candidates.find((candidate) => {
    try {
      fs.accessSync(candidate, fs.constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
