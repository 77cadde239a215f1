import { existsSync } from 'node:fs';
import path from 'node:path';
import { escapeText } from '../../base/escape.js';
import { programPath, shellPath } from '../../base/shell.js';
import { nearestNames } from '../../walk/values/place.js';

const PROGRAMS: readonly string[] = ['kdump-mem', 'skcheck'];
/**
 * A command at the end of a printed sentence: `Next: kdump-mem …`, `List all codes: kdump-mem …`. On another machine it is
 * elsewhere.
 */
const COMMAND =
  /(?<![Oo]n that machine: )(?<=^(?: {2}Next {5}| *More:|(?:.*[.)] )?[A-Z][^:]*:) )(?:kdump-mem|skcheck)(?= [a-z-]|$)/gm;

/**
 * Rewrites the commands in printed text so that they run as printed: `./kdump-mem` if this process was
 * started that way.
 */
export function asCalled(text: string): string {
  return text.replace(COMMAND, (program) => calledAs(program));
}

/**
 * Returns how to call a program from the current directory: by name, or by its path next to the running
 * program.
 */
function calledAs(program: string): string {
  const { argv, argv0 } = process;
  // For an executable with embedded node, argv0 is the program. Otherwise argv0 is node, and argv[1] is the
  // program.
  const running = PROGRAMS.includes(path.basename(argv0)) ? argv0 : (argv[1] ?? '');
  if (!running.includes('/') || !PROGRAMS.includes(path.basename(running))) return program;
  const file = path.join(path.dirname(path.resolve(running)), program);
  if (!existsSync(file) || programPath(program) === file) return program;
  const near = path.relative('', file);
  const relative = near.startsWith('../') ? near : `./${near}`;
  return shellPath(relative.length < file.length ? relative : file);
}

/**
 * Joins commander's usage error into one line: its suggestions (`(Did you mean --vmcore?)`) are on a line of
 * their own. Commander also suggests names that are not close: these are omitted.
 */
export function usageSentences(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replace(
      /^(.* '-*(.*)')\.?\n\(Did you mean (?:one of )?([^\n]*)\?\)$/,
      (_, words: string, wanted: string, names: string) => {
        const [dashes = ''] = /^-*/.exec(names) ?? [];
        const all = names.split(', ').map((name) => name.replace(/^-*/, ''));
        const near = nearestNames(wanted, all).map((name) => `${dashes}${name}`);
        if (near.length === 0) return words;
        return `${words}. Did you mean ${near.length > 1 ? 'one of ' : ''}${near.join(', ')}?`;
      },
    )
    .replaceAll('command-argument value', 'the argument');
}

/**
 * Escapes commander's usage error, which quotes arguments unchanged. The line break before commander's
 * suggestion and the final one remain; any other belongs to an argument.
 */
export function escapeUsage(text: string): string {
  const { words = '', suggestion = '' } =
    /^(?<words>.*?)(?<suggestion>\n\(Did you mean [^\n]*\?\))?\n?$/s.exec(text)?.groups ?? {};
  const lines = suggestion === '' ? [words] : [words, suggestion.slice(1)];
  return `${lines.map(escapeText).join('\n')}\n`;
}
