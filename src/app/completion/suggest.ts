import type { Argument, Command, Option } from 'commander';
import { SHELLS } from './scripts.js';

/** A word that may stand there, and what it is. */
export interface Candidate {
  readonly value: string;
  readonly description: string;
}

/** What only a dump or this machine can tell. */
export type ValueKind = 'pid' | 'type' | 'symbol' | 'code';

/** What may stand in place of the last word of a command line. */
export interface Suggestion {
  /** Words that begin as it does. */
  readonly candidates: readonly Candidate[];
  /** Files may stand there too. */
  readonly files: boolean;
  /** More that is looked up. */
  readonly values?: { readonly of: ValueKind; readonly prefix: string };
}

const NOTHING: Suggestion = { candidates: [], files: false };
const FILES: Suggestion = { candidates: [], files: true };

/** What options take that begins so in their flags: `--html <file>`. */
const TAKES_FILES = /<(?:file|path|dir)\b/;

/** Arguments that are one of few words. */
const ONE_OF: Readonly<Record<string, readonly string[]>> = { shell: SHELLS };

/** Arguments and options whose values are looked up, by what they are called. */
const LOOKED_UP: Readonly<Record<string, ValueKind>> = {
  pid: 'pid',
  type: 'type',
  place: 'symbol',
  code: 'code',
};

/**
 * What may be typed next.
 *
 * @param words all behind the program's name; the last one is being typed, and may be empty
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
  // bash takes --option=value for three words.
  const option = optionOf(command, before.at(before.at(-1) === '=' ? -2 : -1) ?? '');
  if (option?.required) return ofOption(option, typed, '');
  if (typed.startsWith('-')) return { candidates: optionsOf(command, typed, before), files: false };
  if (command === program && commands.length > 0) {
    const named = commands.map((each) => candidate(each.name(), each.description()));
    return { candidates: beginning(named, typed), files: false };
  }
  if (command.name() === 'help') {
    const named = commands.map((each) => candidate(each.name(), each.description()));
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

function ofArgument(command: Command, before: readonly string[], typed: string): Suggestion {
  const { registeredArguments } = command;
  // Commands without arguments of their own take dumps.
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

/** Files that stand beside the options of a command without arguments of its own: dumps. */
export function dumpsAmong(program: Command, words: readonly string[]): string[] {
  const command = commandAmong(program, words);
  const takes = command !== program && command.registeredArguments.length === 0;
  return takes ? argumentsAmong(command, words) : [];
}

function commandAmong(program: Command, words: readonly string[]): Command {
  const name = words.find((word) => !word.startsWith('-'));
  const commands = program.createHelp().visibleCommands(program);
  return commands.find((each) => each.name() === name) ?? program;
}

/** The arguments among the words of a command line: no options, none of their values, not its name. */
function argumentsAmong(command: Command, words: readonly string[]): string[] {
  const found: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (!word.startsWith('-')) found.push(word);
    else if (optionOf(command, word)?.required) at++;
  }
  return found.slice(1);
}

function optionsOf(command: Command, typed: string, before: readonly string[]): Candidate[] {
  const named = command
    .createHelp()
    .visibleOptions(command)
    .filter((option) => repeats(option) || !before.some((word) => isCalled(option, word)))
    .flatMap((option) => (option.long ? [candidate(option.long, option.description)] : []));
  return beginning(named, typed);
}

/** An option that may be repeated. */
function repeats({ description }: Option): boolean {
  return /\brepeat(able)?\b|again for/.test(description);
}

function optionOf(command: Command, word: string): Option | undefined {
  return word.startsWith('-')
    ? command.options.find((option) => isCalled(option, word))
    : undefined;
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
