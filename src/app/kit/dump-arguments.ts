import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { missingFile } from '../../base/missing-file.js';
import { shellPath, shellWord } from '../../base/shell-word.js';
import { UsageError } from './failure.js';

/** What a command is asked to read; options of the same names say so. */
interface Named {
  readonly vmcore?: readonly string[];
  readonly live?: true;
  readonly from?: string;
}

/**
 * Takes files and folders that stand beside the options for the dump, as if `--vmcore` stood before
 * each. Where a command has arguments of its own (`read ADDR`) nothing tells a symbol from a file of
 * that name, and the error says what to write.
 */
export function takeDumpArguments(command: Command): Command {
  return command.allowExcessArguments().hook('preAction', (_, asked) => {
    if (asked.registeredArguments.length > 0) return refuseDumpsAmong(asked);
    if (asked.args.length === 0) return;
    const { vmcore = [], live, from } = asked.opts<Named>();
    for (const word of asked.args) {
      if (word !== '-' && !isThere(word))
        throw new UsageError(
          `${asked.name()} accepts only options and a dump: ${missingFile(word)}`,
        );
    }
    if (from !== undefined) throw new UsageError(`--from and ${asked.args[0]} cannot be combined`);
    if (live) throw new UsageError(`--live and ${asked.args[0]} cannot be combined`);
    asked.setOptionValueWithSource('vmcore', [...vmcore, ...asked.args], 'cli');
  });
}

/**
 * The parser of an argument that a command has for itself: looks for dumps among all of them first,
 * which are no such argument.
 *
 * @param command is asked for when there is something to parse
 */
export function besideDumps<T>(
  command: () => Command,
  parse: (text: string) => T,
): (text: string) => T {
  return (text) => {
    refuseDumpsAmong(command());
    return parse(text);
  };
}

/** @throws {UsageError} if a dump is among a command's own arguments, or one is too many */
function refuseDumpsAmong(command: Command): void {
  const { args, registeredArguments } = command;
  const own = registeredArguments.map((argument) => argument.name().toUpperCase());
  const { vmcore, live } = command.opts<Named>();
  const extra = args[own.length];
  if (vmcore === undefined && !live) {
    // The last of them: what a symbol is called, the file of a dump may be called, too.
    const dump = args.filter(isThere).at(-1);
    if (dump === undefined && extra === undefined) return;
    if (dump !== undefined) throw new UsageError(...withVmcore(command, dump, own));
  }
  if (extra !== undefined)
    throw new UsageError(
      `unexpected argument ${extra} (${command.name()} accepts ${own.join(' and ')})`,
    );
}

function withVmcore(command: Command, dump: string, own: readonly string[]): [string, string] {
  const others = process.argv.slice(2);
  others.splice(others.lastIndexOf(dump), 1);
  const missing = command.args.length > 1 ? [] : own.slice(0, 1);
  const words = ['kdump-mem', ...others.map(shellWord), ...missing, '--vmcore', shellPath(dump)];
  const named = `${command.name()} needs --vmcore before the dump ${dump}`;
  return [named, `Run: ${words.join(' ')}`];
}

/**
 * Refuses a command line that begins with what a command is to be asked of: a dump, or an option.
 *
 * @throws {UsageError}
 */
export function refuseWithoutCommand(program: Command, words: readonly string[]): void {
  const [first] = words;
  if (first === undefined || program.commands.some((command) => command.name() === first)) return;
  const isOption = first.startsWith('--') && !['--help', '--version', '--'].includes(first);
  if (!isOption && !(isThere(first) && !first.startsWith('-'))) return;
  const dump = isOption ? first : shellPath(first);
  const rest = words.slice(1).map(shellWord);
  throw new UsageError(
    `missing command before ${first}`,
    `Run: kdump-mem info ${[dump, ...rest].join(' ')} (or sockets, skb, …: see kdump-mem help)`,
  );
}

function isThere(word: string): boolean {
  try {
    return statSync(word, { throwIfNoEntry: false }) !== undefined;
  } catch {
    // A part of the path is no folder, or may not be looked into: whoever opens it says which.
    return word.includes('/');
  }
}
