import { textOf } from './documents.js';

/** A row of docs/coming-from.md: commands of crash, and their equivalents. */
export interface CrashRow {
  readonly crash: readonly string[];
  readonly here: string;
  /** Command lines of kdump-mem in that cell, without the program name. */
  readonly commands: readonly string[];
}

/** Commands of kdump-mem that the page names. */
const COMMAND = /^(?:blocked|info|log|memory|procs|read|refs|skb|sockets|stacks|struct)(?: |$)/;

/** Returns the rows of the tables about crash. */
export function crashRows(): CrashRow[] {
  const text = textOf('docs/coming-from.md');
  const [, tables = ''] = text.split('A test runs each command');
  return tables
    .split('\n')
    .filter((line) => /^\| (?!---|in crash|scripts)/.test(line))
    .map((line) => {
      const [left = '', here = ''] = line.replace(/^\| | \|$/g, '').split(' | ');
      const code = (cell: string) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, one = '']) => one);
      return { crash: code(left), here, commands: code(here).filter((one) => COMMAND.test(one)) };
    });
}

/** Returns the words of a command line, with values in place of its placeholders. */
export function wordsOf(command: string, values: Readonly<Record<string, string>>): string[] {
  return command.split(' ').map((word) => values[word] ?? word);
}
