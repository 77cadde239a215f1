import type { Argument, Command, Option } from 'commander';
import type { ToolCall } from '../../answers/mcp/schema.js';
import { ALL_COMMANDS } from '../completion/all-commands.js';
import { kdumpMemCommand } from '../kdump-mem.js';
import { UsageError } from '../kit/failure.js';

/**
 * Each tool in the order of an investigation (at most 12): its name, its commands where they have others, and those of
 * their options that neither write nor name files.
 */
const DECLARED: readonly (readonly [string, string])[] = [
  ['triage', 'verbose boot'],
  ['memory', 'caches vmalloc files cgroups nodes all as limit verbose'],
  ['procs', 'pid fds container by sort limit verbose'],
  ['sockets', 'by minBytes pid netns state port all limit verbose'],
  ['skb', 'pid fd sock verbose'],
  ['stacks', 'pid cpu state limit verbose'],
  ['blocked', 'all limit verbose'],
  ['log', 'level facility since until decode callers boot'],
  ['whatis=whatis,refs', 'cache category limit'],
  ['inspect=struct,read', 'hex elements phys length zeroExcluded'],
  ['leaks', 'type interval windows limit'],
  ['diff', 'limit verbose'],
];

type Schema = Readonly<Record<string, unknown>>;

/** A tool, and the commands that its calls become. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: { type: 'object'; properties: Record<string, Schema>; required: string[] };
  readonly commands: readonly Command[];
  readonly options: readonly string[];
  /** Whether it reads several files instead of one source. */
  readonly readsFiles: boolean;
}

export const MOST_FILES = 16;

/** Returns the tools. @param source declaration of the argument that names a file */
export function toolsFor(source: Schema): readonly Tool[] {
  const all = kdumpMemCommand(...ALL_COMMANDS).commands;
  return DECLARED.map(([declared, words]) => {
    const [name = '', names = name] = declared.split('=');
    const commands = names
      .split(',')
      .flatMap((one) => all.find((each) => each.name() === one) ?? []);
    const options = words.split(' ');
    const readsFiles = !commands.some((command) => optionOf(command, 'vmcore'));
    const places = readsFiles ? [] : commands.flatMap((command) => command.registeredArguments);
    const several = commands.length > 1;
    const declarations = options.flatMap((key) =>
      commands.flatMap((one) => optionOf(one, key) ?? []),
    );
    const about = (one: Command) => `${several ? `${one.name()}: ` : ''}${one.description()}`;
    return {
      name,
      description: commands.map(about).join('; '),
      inputSchema: {
        type: 'object',
        properties: {
          ...(several ? { command: { type: 'string', enum: names.split(',') } } : {}),
          ...Object.fromEntries(places.map((place) => [place.name(), argumentSchema(place)])),
          ...Object.fromEntries(
            declarations.map((one) => [one.attributeName(), optionSchema(one)]),
          ),
          ...(readsFiles
            ? { sources: { type: 'array', items: source, minItems: 1, maxItems: MOST_FILES } }
            : { source }),
          list: { type: 'string', description: 'list of a long answer to continue, or text' },
          from: { type: 'integer', minimum: 0, description: 'first item of list to return' },
        },
        required: readsFiles
          ? ['sources']
          : several
            ? ['command']
            : places.flatMap((one) => (one.required ? one.name() : [])),
        additionalProperties: false,
      },
      commands,
      options,
      readsFiles,
    };
  });
}

function optionOf(command: Command, key: string): Option | undefined {
  return command.options.find((option) => option.attributeName() === key);
}

/** Placeholders of options whose value is a number. */
const NUMBERS = /<(?:n|pid|fd|cpu|port|inode)>/;

function optionSchema({ flags, description, argChoices, defaultValue, required }: Option): Schema {
  const about = { description, ...(defaultValue === undefined ? {} : { default: defaultValue }) };
  if (argChoices) return { type: 'string', enum: argChoices, ...about };
  if (!required) return { type: 'boolean', ...about };
  return { type: NUMBERS.test(flags) ? 'integer' : 'string', ...about };
}

function argumentSchema({ variadic, description }: Argument): Schema {
  const items = { type: 'string', description };
  return variadic ? { type: 'array', items, minItems: 1, maxItems: MOST_FILES } : items;
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
  const { properties, required } = tool.inputSchema;
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(properties, key));
  if (unknown !== undefined)
    throw new UsageError(
      `${unknown}: unknown argument`,
      `Use ${Object.keys(properties).join(', ')}.`,
    );
  const missing = required.find((key) => given[key] === undefined);
  if (missing !== undefined) throw new UsageError(`${missing}: missing argument`);
  const name = tool.commands.length > 1 ? given.command : tool.name;
  const command = tool.commands.find((each) => each.name() === name);
  if (!command) throw new UsageError('command: unknown value');
  const options = tool.options.flatMap((key) => {
    const [value] = valuesOf(key, given[key]);
    if (value === undefined) return [];
    const option = optionOf(command, key);
    if (!option) throw new UsageError(`${key}: ${command.name()} has no such argument`);
    return option.required ? `${option.long}=${value}` : `${option.long}`;
  });
  const places = tool.readsFiles
    ? []
    : command.registeredArguments.flatMap((place) => valuesOf(place.name(), given[place.name()]));
  const hasPlaces = command.registeredArguments.length > 0;
  const byName = tool.readsFiles ? !hasPlaces : hasPlaces;
  const flag = tool.readsFiles ? '--from' : '--vmcore';
  const source = paths === null ? ['--live'] : byName ? paths.map((path) => `${flag}=${path}`) : [];
  const others = byName || paths === null ? places : paths;
  return [command.name(), ...options, ...source, ...(others.length > 0 ? ['--', ...others] : [])];
}

const MOST_LETTERS = 1000;

/** The values of an argument as words of a command line: none if it is not given, or false. */
function valuesOf(key: string, value: unknown): string[] {
  if (value === undefined || value === null || value === false) return [];
  const values = Array.isArray(value) ? value.slice(0, MOST_FILES) : [value];
  return values.map((one: unknown) => {
    const word = typeof one === 'string' ? one : String(one);
    const isPlain = typeof one !== 'object' && word !== '' && !word.includes('\0');
    if (!isPlain || word.length > MOST_LETTERS) throw new UsageError(`${key}: malformed value`);
    return word;
  });
}

/** Options of printed commands that name the source, and their values. */
const SOURCE_WORDS =
  / --(?:live|(?:vmcore|from|vmlinux|symbols|types|map) (?:'[^']*'|\S+))(?= |$)/g;

/**
 * Returns the call that does what a printed command does. Undefined if no tool does.
 *
 * @param printed as an answer prints it, without the program: `skb --pid 177 --vmcore vmcore`
 */
export function callOf(tools: readonly Tool[], printed: string): ToolCall | undefined {
  const [name, ...words] = printed.trim().replaceAll(SOURCE_WORDS, '').split(/\s+/);
  const tool = tools.find(({ commands }) => commands.some((command) => command.name() === name));
  const command = tool?.commands.find((each) => each.name() === name);
  if (!tool || !command || tool.readsFiles) return undefined;
  const found: Record<string, string | number | boolean> =
    tool.commands.length > 1 ? { command: command.name() } : {};
  const places = [...command.registeredArguments];
  while (words.length > 0) {
    const word = words.shift() ?? '';
    const option = command.options.find(({ short, long }) => word === short || word === long);
    const key = word.startsWith('-') ? option?.attributeName() : places.shift()?.name();
    if (key === undefined || (option && !tool.options.includes(key))) return undefined;
    const value = option ? (option.required ? (words.shift() ?? '') : true) : word;
    found[key] = option && NUMBERS.test(option.flags) ? Number(value) : value;
  }
  return { tool: tool.name, arguments: found };
}
