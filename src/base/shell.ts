import fs from 'node:fs';
import path from 'node:path';

/** Characters without a meaning for shells and terminals. */
const PLAIN = /^[\w./+,:@%-]+$/;
/** Characters that a terminal shows literally and that are not misleading. */
const SHOWN = /^(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{N}\p{P}\p{S} ])*$/u;

/**
 * Quotes a word of a command that is printed for copying: a shell reproduces the word, and a terminal
 * only displays it. Control characters are written as octal numbers in `$'…'` (bash, zsh, ksh).
 */
export function shellWord(word: string): string {
  if (PLAIN.test(word)) return word;
  if (SHOWN.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  const bytes = Array.from(Buffer.from(word), (byte) => {
    const char = String.fromCharCode(byte);
    if (/[ -~]/.test(char) && !/['\\]/.test(char)) return char;
    return `\\${byte.toString(8).padStart(3, '0')}`;
  });
  return `$'${bytes.join('')}'`;
}

/** Like shellWord for a file name, which no program may take for an option. */
export function shellPath(path: string): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}

const SYSTEM = '/usr/bin:/bin';

/**
 * PATH without empty or relative elements: they name the current folder, which another user may
 * control. If none is left, the system's folders, since an empty PATH also means the current folder.
 */
export function safePath(path: string | undefined = process.env.PATH): string {
  const parts = (path ?? '').split(':').filter((part) => part.startsWith('/'));
  return parts.length === 0 ? SYSTEM : parts.join(':');
}

/** Like safePath, plus the folders of system commands, which a user's PATH may lack. */
export function searchPath(path: string | undefined = process.env.PATH): string {
  return `${safePath(path)}:/usr/sbin:/usr/bin:/sbin:/bin`;
}

/** Returns the path of a program, searched as a shell does; undefined: no executable was found. */
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
