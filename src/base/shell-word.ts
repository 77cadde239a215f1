/** What a shell and a terminal take as it is. */
const PLAIN = /^[\w./+,:@%-]+$/;
/** What a terminal shows as it is, and lets nobody mistake for something else. */
const SHOWN = /^(?:(?!\p{Default_Ignorable_Code_Point})[\p{L}\p{N}\p{P}\p{S} ])*$/u;

/**
 * A word of a command that is printed to be copied: the shell makes the same of it again, and a
 * terminal only shows it. What it would obey stands as octal numbers in `$'…'` (bash, zsh, ksh).
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

/** The same of a file’s name, which no program may take for an option. */
export function shellPath(path: string): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}
