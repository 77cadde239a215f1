import type { Command } from 'commander';
import type { SourceOptions } from '../kit/kernel-source.js';
import { dumpsAmong } from './suggest.js';

/** Options that take a file, with the file's role. If several have the same role, the last applies. */
const FILE_OPTIONS = { symbols: 'symbols', btf: 'types', types: 'types', vmlinux: 'vmlinux', map: 'map' } as const;

/**
 * Returns the dump that a command line names, with the options for reading it, or this machine if it names
 * none. Null for a snapshot, since values of this machine do not apply to it.
 *
 * @param words all words before the one being typed, without quotes
 */
export function namedSource(program: Command, words: readonly string[]): SourceOptions | null {
  const after = (name: string) =>
    words.flatMap((word, index) => {
      if (word.startsWith(`--${name}=`)) return [atHome(word.slice(name.length + 3))];
      return word === `--${name}` ? words.slice(index + 1, index + 2).map(atHome) : [];
    });
  if (words.some((word) => /^--from(?:-samples)?(?:=|$)/.test(word))) return null;
  const vmcore = [...after('vmcore'), ...dumpsAmong(program, words).map(atHome)];
  const aids = Object.entries(FILE_OPTIONS).flatMap(([name, as]) => after(name).map((file) => [as, file] as const));
  return { engine: 'auto', ...Object.fromEntries(aids), ...(vmcore.length > 0 ? { vmcore } : { live: true }) };
}

/** Expands a leading `~/`: shells pass words as they were typed. */
function atHome(file: string): string {
  const { HOME } = process.env;
  return HOME && file.startsWith('~/') ? `${HOME}${file.slice(1)}` : file;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t' };

/** Whitespace, $'…', '…', "…", a backslash with the next character, or any other character. */
const PART = /(\s+)|\$'((?:[^\\']|\\.)*)'?|'([^']*)'?|"((?:[^\\"]|\\.)*)"?|\\(.?)|(.)/gs;

/**
 * Splits a command line into words as bash does, removing quotes and backslashes. Nothing is expanded or
 * evaluated. An unclosed quote extends to the end.
 */
export function lineWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (const [, space, ansi, single, double, escaped, plain] of line.matchAll(PART)) {
    if (space !== undefined) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (ansi !== undefined) {
      word = `${word ?? ''}${ansi.replaceAll(/\\(.)/gs, (_, of) => ESCAPES[of] ?? of)}`;
    } else if (double !== undefined) {
      word = `${word ?? ''}${double.replaceAll(/\\([$`"\\])/g, '$1')}`;
    } else {
      word = `${word ?? ''}${single ?? escaped ?? plain ?? ''}`;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}
