import type { Argument, Command, CommandUnknownOpts, Option } from 'commander';
import { KdumpMemError } from '../../base/errors.js';
import { isPacked } from '../../host/recognise.js';
import type { NativeKernel } from '../../kernel/native/kernel.js';
import type { SourceOptions } from '../kit/kernel-source.js';
import { SHELLS } from './scripts.js';

/** A completion candidate with its description. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** Kinds of values that are looked up in a dump or on this machine. */
export type ValueKind = 'pid' | 'type' | 'symbol' | 'code';

/** Completions of the last word of a command line. */
export interface Suggestion {
  /** Words that begin with the typed text. */
  readonly candidates: readonly Candidate[];
  /** Whether file names are valid too. */
  readonly files: boolean;
  /** Kind of values to look up in addition, and the prefix to put before each. */
  readonly values?: { readonly of: ValueKind; readonly prefix: string };
}

const NOTHING: Suggestion = { candidates: [], files: false };
const FILES: Suggestion = { candidates: [], files: true };

/** Matches the flags of options that take a file: `--html <file>`. */
const TAKES_FILES = /<(?:file|path|dir)\b/;

/** Arguments with a fixed set of values. */
const ONE_OF: Readonly<Record<string, readonly string[]>> = { shell: SHELLS };

/** Arguments and options with looked-up values, by name. */
const LOOKED_UP: Readonly<Record<string, ValueKind>> = { pid: 'pid', type: 'type', place: 'symbol', code: 'code' };

/**
 * Returns completions of the word being typed.
 *
 * @param words all words after the program's name; the last one is being typed, and may be empty
 */
export function suggest(program: Command, words: readonly string[]): Suggestion {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const commands = program.createHelp().visibleCommands(program);
  const command = commandAmong(program, before);
  const inlined = /^(--[\w-]+)=(.*)$/s.exec(typed);
  if (inlined) {
    const option = optionOf(command, inlined[1] ?? '');
    return option ? ofOption(option, inlined[2] ?? '', `${inlined[1]}=`) : NOTHING;
  }
  // bash splits --option=value into three words.
  const option = optionOf(command, before.at(before.at(-1) === '=' ? -2 : -1) ?? '');
  if (option?.required) return ofOption(option, typed, '');
  if (typed.startsWith('-')) return { candidates: optionsOf(command, typed, before), files: false };
  if (command === program && commands.length > 0) {
    const named = commands.map((command) => candidate(command.name(), command.description()));
    return { candidates: beginning(named, typed), files: false };
  }
  if (command.name() === 'help') {
    const named = commands.map((command) => candidate(command.name(), command.description()));
    return { candidates: beginning(named, typed), files: false };
  }
  return ofArgument(command, before, typed);
}

function ofOption(option: Option, typed: string, prefix: string): Suggestion {
  if (option.argChoices) {
    const named = option.argChoices.map((choice) => candidate(`${prefix}${choice}`, ''));
    return { candidates: beginning(named, `${prefix}${typed}`), files: false };
  }
  const of = LOOKED_UP[option.name()];
  if (of) return { ...NOTHING, values: { of, prefix } };
  return TAKES_FILES.test(option.flags) ? FILES : NOTHING;
}

function ofArgument(command: CommandUnknownOpts, before: readonly string[], typed: string): Suggestion {
  const { registeredArguments } = command;
  // Commands without arguments of their own accept dumps.
  if (registeredArguments.length === 0) return FILES;
  const given = argumentsAmong(command, before).length;
  const argument: Argument | undefined = registeredArguments[given] ?? registeredArguments.at(-1);
  if (!argument || (given >= registeredArguments.length && !argument.variadic)) return NOTHING;
  const choices = argument.argChoices ?? ONE_OF[argument.name()];
  if (choices) {
    const named = choices.map((choice) => candidate(choice, ''));
    return { candidates: beginning(named, typed), files: false };
  }
  const of = LOOKED_UP[argument.name()];
  return of ? { ...NOTHING, values: { of, prefix: '' } } : FILES;
}

/** Returns the file arguments of a command without arguments of its own: dumps. */
export function dumpsAmong(program: Command, words: readonly string[]): string[] {
  const command = commandAmong(program, words);
  const takes = command !== program && command.registeredArguments.length === 0;
  return takes ? argumentsAmong(command, words) : [];
}

function commandAmong(program: Command, words: readonly string[]): CommandUnknownOpts {
  const name = words.find((word) => !word.startsWith('-'));
  const commands = program.createHelp().visibleCommands(program);
  return commands.find((command) => command.name() === name) ?? program;
}

/** Returns the arguments in a command line, without options, option values and the command's name. */
function argumentsAmong(command: CommandUnknownOpts, words: readonly string[]): string[] {
  const values: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) values.push(word);
    else if (optionOf(command, word)?.required) at++;
  }
  return values.slice(1);
}

function optionsOf(command: CommandUnknownOpts, typed: string, before: readonly string[]): Candidate[] {
  const named = command
    .createHelp()
    .visibleOptions(command)
    .filter((option) => repeats(option) || !before.some((word) => isCalled(option, word)))
    .flatMap((option) => (option.long ? [candidate(option.long, option.description)] : []));
  return beginning(named, typed);
}

/** Whether an option may be repeated. */
function repeats({ description }: Option): boolean {
  return /\brepeat(able)?\b|again for/.test(description);
}

function optionOf(command: CommandUnknownOpts, word: string): Option | undefined {
  return word.startsWith('-') ? command.options.find((option) => isCalled(option, word)) : undefined;
}

function isCalled({ short, long }: Option, word: string): boolean {
  return word === short || word === long;
}

function beginning(candidates: readonly Candidate[], typed: string): Candidate[] {
  return candidates.filter(({ value }) => value.startsWith(typed));
}

function candidate(value: string, description: string): Candidate {
  return { value, description };
}

/** Maximum number of suggestions. */
const MOST = 500;

/**
 * Returns values of a dump or of this machine that begin with the typed text. Empty if the source cannot be
 * opened: completion prints no errors.
 *
 * @param source null if unknown
 */
export async function values(of: ValueKind, source: SourceOptions | null, typed: string): Promise<Candidate[]> {
  try {
    if (of === 'code') return await codes(typed);
    return source === null ? [] : await LOOKUPS[of](source, typed);
  } catch (error) {
    if (error instanceof KdumpMemError) return [];
    throw error;
  }
}

const LOOKUPS: Readonly<
  Record<Exclude<ValueKind, 'code'>, (source: SourceOptions, typed: string) => Promise<Candidate[]>>
> = {
  pid: async (source, typed) => (source.vmcore ? inKernel(source, (kernel) => tasks(kernel, typed)) : running(typed)),
  type: (source, typed) => inKernel(source, (kernel) => named(kernel.types.names(), typed)),
  symbol: (source, typed) => inKernel(source, (kernel) => named(kernel.symbolNames(), typed)),
};

async function codes(typed: string): Promise<Candidate[]> {
  const { allCodes } = await import('../../answers/explain/codes.js');
  return named(allCodes(), typed);
}

async function inKernel(
  source: SourceOptions,
  look: (kernel: NativeKernel) => Candidate[] | Promise<Candidate[]>,
): Promise<Candidate[]> {
  const { openNativeSource } = await import('../kit/kernel-source.js');
  // Unpacking a dump takes longer than a key.
  if (source.vmcore?.some(isPacked)) return [];
  const kernel = await openNativeSource(source);
  try {
    return await look(kernel);
  } finally {
    kernel.close();
  }
}

/** Returns the processes of a dump without kernel threads, which have no sockets and no memory. */
async function tasks(kernel: NativeKernel, typed: string): Promise<Candidate[]> {
  const { taskTable } = await import('../../walk/tasks/task-table.js');
  const candidates: Candidate[] = [];
  for (const { pid, comm, kernelThread } of taskTable(kernel).processes) {
    if (candidates.length >= MOST) break;
    if (!kernelThread && `${pid}`.startsWith(typed)) candidates.push({ value: `${pid}`, description: comm });
  }
  return candidates;
}

/** Returns the processes that run on this machine. */
async function running(typed: string): Promise<Candidate[]> {
  const { liveHost } = await import('../../host/live.js');
  const { listedPids } = await import('../../host/proc/process.js');
  const { optionalText } = await import('../../host/proc/process.js');
  return listedPids(liveHost)
    .filter((name) => name.startsWith(typed))
    .slice(0, MOST)
    .map((pid) => ({ value: pid, description: optionalText(liveHost, `/proc/${pid}/comm`).trim() }));
}

/**
 * Names that are offered: C identifiers with the characters that the kernel adds. The names in a dump are
 * untrusted.
 */
const WORD = /^[\w.$@-]{1,128}$/;

function named(names: Iterable<string>, typed: string): Candidate[] {
  const given = new Set<string>();
  for (const name of names) {
    if (given.size >= MOST) break;
    if (name.startsWith(typed) && WORD.test(name)) given.add(name);
  }
  return [...given].toSorted().map((value) => ({ value, description: '' }));
}
