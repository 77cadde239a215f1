import { statSync } from 'node:fs';
import type { Command, CommandUnknownOpts } from 'commander';
import { shellPath, shellWord } from '../../base/shell.js';
import { missingFile } from '../../base/util.js';
import { UsageError } from './failure.js';

/** Input options of a command, by option name. */
interface Named {
  readonly vmcore?: readonly string[];
  readonly live?: true;
  readonly from?: string;
}

/**
 * Accepts files and directories among the arguments as dumps, as if each followed `--vmcore`. Commands with
 * arguments of their own (`read ADDR`) cannot distinguish a symbol from a file of that name, so they reject
 * dumps with an error that prints the correct command.
 */
export function takeDumpArguments(command: Command): Command {
  return command.allowExcessArguments().hook('preAction', (_, invoked) => {
    if (invoked.registeredArguments.length > 0) return refuseDumpsAmong(invoked);
    if (invoked.args.length === 0) return;
    const { vmcore = [], live, from } = invoked.opts() as Named;
    for (const word of invoked.args) {
      if (word !== '-' && !isThere(word))
        throw new UsageError(`${invoked.name()} accepts only options and a dump: ${missingFile(word)}`);
    }
    if (from !== undefined) throw new UsageError(`--from and ${invoked.args[0]} cannot be combined`);
    if (live) throw new UsageError(`--live and ${invoked.args[0]} cannot be combined`);
    invoked.setOptionValueWithSource('vmcore', [...vmcore, ...invoked.args], 'cli');
  });
}

/**
 * Returns a parser for a command's own argument that first rejects dumps among all arguments.
 *
 * @param command called when there is an argument to parse
 */
export function besideDumps<T>(command: () => CommandUnknownOpts, parse: (text: string) => T): (text: string) => T {
  return (text) => {
    refuseDumpsAmong(command());
    return parse(text);
  };
}

/** @throws {UsageError} if a dump is among a command's own arguments, or there is an extra argument */
function refuseDumpsAmong(command: CommandUnknownOpts): void {
  const { args, registeredArguments } = command;
  const own = registeredArguments.map((argument) => argument.name().toUpperCase());
  const { vmcore, live } = command.opts() as Named;
  const extra = registeredArguments.at(-1)?.variadic ? undefined : args[own.length];
  if (vmcore === undefined && !live) {
    // The last match: an earlier argument may be a symbol that has the same name as a file.
    const dump = args.filter(isThere).at(-1);
    if (dump === undefined && extra === undefined) return;
    if (dump !== undefined) throw new UsageError(...withVmcore(command, dump, own));
  }
  if (extra !== undefined)
    throw new UsageError(`unexpected argument ${extra} (${command.name()} accepts ${own.join(' and ')})`);
}

function withVmcore(command: CommandUnknownOpts, dump: string, own: readonly string[]): [string, string] {
  const others = process.argv.slice(2);
  others.splice(others.lastIndexOf(dump), 1);
  const missing = command.args.length > 1 ? [] : own.slice(0, 1);
  const words = ['kdump-mem', ...others.map(shellWord), ...missing, '--vmcore', shellPath(dump)];
  const named = `${command.name()} needs --vmcore before the dump ${dump}`;
  return [named, `Run: ${words.join(' ')}`];
}

/**
 * Rejects a command line that begins with a dump or an option instead of a command.
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
    // A component of the path is not a directory, or not searchable. Opening the path reports which.
    return word.includes('/');
  }
}
