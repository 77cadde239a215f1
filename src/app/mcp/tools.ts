import { type Argument, type CommandUnknownOpts, Option } from 'commander';
import type { ToolCall } from '../../answers/mcp/schema.js';
import { lineWords } from '../completion/command-line.js';
import { ALL_COMMANDS } from '../completion/generated.js';
import { kdumpMemCommand } from '../kdump-mem.js';
import { UsageError } from '../kit/failure.js';

/**
 * Each tool in the order of an investigation (at most 12): its name, the options of its commands that neither write
 * nor name files, and its commands where they have other names.
 */
const DECLARED: readonly (readonly [name: string, options: string, ...commands: string[]])[] = [
  ['triage', 'verbose boot'],
  ['memory', 'caches vmalloc files cgroups nodes all as limit verbose'],
  ['procs', 'pid fds container by sort limit verbose'],
  ['sockets', 'by minBytes pid netns state port all limit verbose'],
  ['skb', 'pid fd sock verbose'],
  ['stacks', 'pid cpu state limit verbose'],
  ['blocked', 'all limit verbose'],
  ['log', 'level facility since until decode callers boot'],
  ['whatis', 'cache category limit', 'whatis', 'refs'],
  ['inspect', 'hex elements phys length zeroExcluded', 'struct', 'read'],
  ['leaks', 'type interval windows limit'],
  ['diff', 'limit verbose'],
];

type Schema = Readonly<Record<string, unknown>>;
type Parameter = Option | Argument;

/** A tool, and the commands that its calls become. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: { type: 'object'; properties: Record<string, Schema>; required: string[] };
  /** Options and arguments that agents may use, by name, of each command. */
  readonly commands: ReadonlyMap<string, ReadonlyMap<string, Parameter>>;
  /** Whether it reads several files instead of one source. */
  readonly readsFiles: boolean;
  /** Option that names a file; undefined: files are arguments. */
  readonly fileOption: string | undefined;
}

export const MAX_FILES = 16;
/** Maximum length of a text that a call passes. */
export const MAX_TEXT = 2 ** 20;

/** Returns the tools. @param source declaration of the argument that names a file */
export function toolsFor(source: Schema): readonly Tool[] {
  const all = kdumpMemCommand(...ALL_COMMANDS).commands;
  return DECLARED.map(([name, words, ...others]) => {
    const names = others.length > 0 ? others : [name];
    const offered = names.flatMap((name) => all.find((command) => command.name() === name) ?? []);
    const readsFiles = !offered.some(({ options }) => options.some(({ long }) => long === '--vmcore'));
    const hasPlaces = offered.some(({ registeredArguments }) => registeredArguments.length > 0);
    const isOpen = (option: Option) => words.split(' ').includes(option.attributeName());
    const commands = new Map(
      offered.map(({ options, registeredArguments }, at) => {
        const parameters = [...options.filter(isOpen), ...(readsFiles ? [] : registeredArguments)];
        return [names[at] ?? '', new Map(parameters.map((parameter) => [keyOf(parameter), parameter]))];
      }),
    );
    const about = (command: CommandUnknownOpts) =>
      (names.length > 1 ? `${command.name()}: ` : '') + command.description();
    const parameters = [...commands.values()].flatMap((command) => [...command]);
    const properties: Record<string, Schema> = {
      ...(names.length > 1 ? { command: { type: 'string', enum: names } } : {}),
      ...Object.fromEntries(parameters.map(([key, parameter]) => [key, schemaOf(parameter)])),
      ...(readsFiles ? { sources: listOf(source) } : { source }),
      ...(!readsFiles && offered.some(({ options }) => options.some(({ long }) => long === '--from'))
        ? { text: TEXT }
        : {}),
      list: { type: 'string', description: 'list of a long answer to continue, or text' },
      from: { type: 'integer', minimum: 0, description: 'first item of list to return' },
    };
    const required = ['command', 'sources'].filter((key) => key in properties);
    return {
      name,
      description: offered.map(about).join('; '),
      inputSchema: { type: 'object', properties, required, additionalProperties: false },
      commands,
      readsFiles,
      fileOption: readsFiles === hasPlaces ? undefined : readsFiles ? '--from' : '--vmcore',
    };
  });
}

const TEXT: Schema = {
  type: 'string',
  maxLength: MAX_TEXT,
  description:
    'pasted text to read instead of a source: output of free, ss, ps aux, cat /proc/meminfo and others, log lines',
};

function keyOf(parameter: Parameter): string {
  return parameter instanceof Option ? parameter.attributeName() : parameter.name();
}

/** Placeholders of options whose value is a number. */
const NUMBERS = /<(?:n|pid|fd|cpu|port|inode)>/;

function schemaOf(parameter: Parameter): Schema {
  const { description, argChoices, defaultValue, required, variadic } = parameter;
  const about = { description, ...(defaultValue === undefined ? {} : { default: defaultValue }) };
  if (argChoices) return { type: 'string', enum: argChoices, ...about };
  if (variadic) return listOf({ type: 'string', ...about });
  if (!(parameter instanceof Option)) return { type: 'string', ...about };
  return { type: !required ? 'boolean' : NUMBERS.test(parameter.flags) ? 'integer' : 'string', ...about };
}

function listOf(items: Schema): Schema {
  return { type: 'array', items, minItems: 1, maxItems: MAX_FILES };
}

/** Arguments of a call, as the client sent them. */
export type Given = Readonly<Record<string, unknown>>;

/**
 * Returns the arguments of kdump-mem that answer a call. No value of the client can become an option; the command
 * checks the values.
 *
 * @param paths files to read; null: the running kernel
 * @throws {UsageError}
 */
export function wordsFor(tool: Tool, given: Given, paths: readonly string[] | null): string[] {
  const { commands, fileOption, inputSchema } = tool;
  const name = commands.size > 1 ? given.command : tool.name;
  const parameters = commands.get(String(name));
  if (!parameters) throw new UsageError(`command: ${name === undefined ? 'missing argument' : 'unknown value'}`);
  const foreign = [...commands.values()].flatMap((command) => [...command.keys()]);
  const usable = Object.keys(inputSchema.properties).filter((key) => parameters.has(key) || !foreign.includes(key));
  const unknown = Object.keys(given).find((key) => !usable.includes(key));
  if (unknown !== undefined)
    throw new UsageError(`${unknown}: unknown argument of ${name}`, `Use ${usable.join(', ')}.`);
  for (const [key, schema] of Object.entries(inputSchema.properties))
    if (given[key] !== undefined && !conforms(schema, given[key])) throw new UsageError(`${key}: malformed value`);
  const words = [String(name)];
  const places: string[] = [];
  for (const [key, parameter] of parameters) {
    const values = valuesOf(key, given[key], parameter.variadic ? MAX_FILES : 1);
    if (parameter instanceof Option)
      words.push(...values.map((value) => `${parameter.long}${parameter.required ? `=${value}` : ''}`));
    else if (parameter.required && values.length === 0) throw new UsageError(`${key}: missing argument`);
    else places.push(...values);
  }
  if (paths === null) words.push('--live');
  else if (fileOption === undefined) places.push(...paths);
  else words.push(...paths.map((path) => `${fileOption}=${path}`));
  return [...words, '--', ...places];
}

/** Whether a value is of its declared type. */
function conforms({ type, items, enum: choices }: Schema, value: unknown): boolean {
  if (type === 'array')
    return Array.isArray(value) && value.length > 0 && value.every((item) => conforms(items as Schema, item));
  if (Array.isArray(choices)) return choices.includes(value);
  return type === 'integer' ? Number.isSafeInteger(value) : typeof value === type;
}

const MAX_LETTERS = 1000;

/** The values of an argument as words of a command line: none if it is not given, or false. */
function valuesOf(key: string, value: unknown, most: number): string[] {
  const values = (Array.isArray(value) ? value : [value ?? false]).filter((item) => item !== false);
  if (values.length > most) throw new UsageError(`${key}: too many values (maximum ${most})`);
  return values.map((item: unknown) => {
    const word = String(item);
    const isPlain = typeof item !== 'object' && word !== '' && !word.includes('\0');
    if (!isPlain || word.length > MAX_LETTERS) throw new UsageError(`${key}: malformed value`);
    return word;
  });
}

/** Options of printed commands that name the source. */
const OF_SOURCE = /^--(live|vmcore|from|vmlinux|symbols|types|map)$/;

/**
 * Returns the call that does what a printed command does. Undefined if no tool does.
 *
 * @param printed as an answer prints it, without the program: `skb --pid 177 --vmcore vmcore`
 */
export function callOf(tools: readonly Tool[], printed: string): ToolCall | undefined {
  const [name = '', ...words] = lineWords(printed);
  const tool = tools.find(({ commands, readsFiles }) => commands.has(name) && !readsFiles);
  if (!tool) return undefined;
  const given: Record<string, ToolCall['arguments'][string]> = {};
  if (tool.commands.size > 1) given.command = name;
  const parameters = [...(tool.commands.get(name)?.values() ?? [])];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const known = parameters.find((parameter) =>
      parameter instanceof Option
        ? word === parameter.short || word === parameter.long
        : !word.startsWith('-') && !(parameter.name() in given),
    );
    if (OF_SOURCE.test(word)) {
      if (word !== '--live') words.shift();
      continue;
    }
    if (!known) return undefined;
    const value = !(known instanceof Option) ? word : known.required ? (words.shift() ?? '') : true;
    const isNumber = known instanceof Option && NUMBERS.test(known.flags);
    given[keyOf(known)] = isNumber ? Number(value) : known.variadic ? [String(value)] : value;
  }
  return { tool: tool.name, arguments: given };
}
