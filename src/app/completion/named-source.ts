import type { Command } from 'commander';
import type { SourceOptions } from '../kit/kernel-source.js';
import { dumpsAmong } from './suggest.js';

/** Options that name a file, and as what; the last counts. */
const FILE_OPTIONS = {
  symbols: 'symbols',
  btf: 'types',
  types: 'types',
  vmlinux: 'vmlinux',
  map: 'map',
} as const;

/**
 * The dump that a command line names, and what helps to read it; this machine, where it names none. Null where it
 * names a snapshot: what this machine knows is not what that knows.
 *
 * @param words all before the one that is being typed, without quotes
 */
export function namedSource(program: Command, words: readonly string[]): SourceOptions | null {
  const after = (name: string) =>
    words.flatMap((word, index) => {
      if (word.startsWith(`--${name}=`)) return [atHome(word.slice(name.length + 3))];
      return word === `--${name}` ? words.slice(index + 1, index + 2).map(atHome) : [];
    });
  if (words.some((word) => /^--from(?:-samples)?(?:=|$)/.test(word))) return null;
  const vmcore = [...after('vmcore'), ...dumpsAmong(program, words).map(atHome)];
  const aids = Object.entries(FILE_OPTIONS).flatMap(([name, as]) =>
    after(name).map((file) => [as, file] as const),
  );
  return {
    engine: 'auto',
    ...Object.fromEntries(aids),
    ...(vmcore.length > 0 ? { vmcore } : { live: true }),
  };
}

/** Shells hand words on as they are typed. */
function atHome(file: string): string {
  const { HOME } = process.env;
  return HOME && file.startsWith('~/') ? `${HOME}${file.slice(1)}` : file;
}
