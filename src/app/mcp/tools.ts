import type { Argument, Command, Option } from 'commander';
import type { ToolCall } from '../../answers/mcp/schema.js';
import { registerDiff } from '../diff/command.js';
import { kdumpMemCommand } from '../kdump-mem.js';
import { UsageError } from '../kit/failure.js';
import { registerLeaks } from '../leaks/command.js';
import { registerLog } from '../log/command.js';
import { registerMemory } from '../memory/command.js';
import { registerProcs } from '../procs/command.js';
import { registerRead } from '../read/command.js';
import { registerSkb } from '../skb/command.js';
import { registerSockets } from '../sockets/command.js';
import { registerStacks } from '../stacks/command.js';
import { registerStruct } from '../struct/command.js';
import { registerTriage } from '../triage/command.js';
import { registerWhatis } from '../whatis/command.js';

/** What a tool reads: a kernel or snapshot, the same by `--vmcore`, or several files of its own. */
type Reads = 'argument' | '--vmcore' | '--from' | 'arguments';

/** A tool: commands, and those of their options that neither write files nor name them. */
interface Declared {
  readonly name: string;
  readonly commands: readonly ((program: Command) => void)[];
  readonly options: readonly string[];
  readonly reads: Reads;
  /** Name of the property that selects one of several commands. */
  readonly title?: string;
}

const SIZED = ['limit', 'verbose'];

/**
 * The tools, in the order of an investigation: at most 12. A new tool is a line here; a new command beside one of
 * these is a function in its `commands`.
 */
const DECLARED: readonly Declared[] = [
  { name: 'triage', commands: [registerTriage], options: ['verbose', 'boot'], reads: 'argument' },
  {
    name: 'memory',
    commands: [registerMemory],
    options: ['caches', 'vmalloc', 'files', 'cgroups', 'nodes', 'all', 'as', ...SIZED],
    reads: 'argument',
  },
  {
    name: 'procs',
    commands: [registerProcs],
    options: ['pid', 'container', 'by', 'sort', ...SIZED],
    reads: 'argument',
  },
  {
    name: 'sockets',
    commands: [registerSockets],
    options: ['by', 'minBytes', 'pid', 'netns', 'state', 'port', 'all', ...SIZED],
    reads: 'argument',
  },
  {
    name: 'skb',
    commands: [registerSkb],
    options: ['pid', 'fd', 'sock', 'verbose'],
    reads: 'argument',
  },
  {
    name: 'stacks',
    commands: [registerStacks],
    options: ['pid', 'cpu', 'state', ...SIZED],
    reads: 'argument',
  },
  {
    name: 'log',
    commands: [registerLog],
    options: ['level', 'facility', 'since', 'until', 'decode', 'callers', 'boot'],
    reads: 'argument',
  },
  { name: 'whatis', commands: [registerWhatis], options: [], reads: '--vmcore' },
  {
    name: 'inspect',
    title: 'show a kernel type or an instance with its values (struct), or raw memory (read)',
    commands: [registerStruct, registerRead],
    options: ['hex', 'elements', 'phys', 'length', 'zeroExcluded'],
    reads: '--vmcore',
  },
  {
    name: 'leaks',
    commands: [registerLeaks],
    options: ['type', 'interval', 'windows', 'limit'],
    reads: '--from',
  },
  { name: 'diff', commands: [registerDiff], options: SIZED, reads: 'arguments' },
];

/** Properties of every tool that select a part of a long answer. */
const PART = {
  list: {
    type: 'string',
    description: 'part to return of a long answer: a list as `omitted` names it, or text',
  },
  from: {
    type: 'integer',
    minimum: 0,
    description: 'first item, or line of text, to return of `list`',
  },
} as const;

type Schema = Readonly<Record<string, unknown>>;

/** A tool with the command lines that its arguments become. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  readonly reads: Reads;
  readonly inputSchema: {
    readonly type: 'object';
    readonly properties: Record<string, Schema>;
    readonly required: string[];
    readonly additionalProperties: false;
  };
  readonly commands: readonly Command[];
  readonly options: readonly string[];
}

/** Returns the tools. @param source declaration of the property that names a file */
export function toolsFor(source: Schema): readonly Tool[] {
  return DECLARED.map(({ name, title, commands: registrars, options, reads }) => {
    const { commands: all } = kdumpMemCommand(...registrars);
    const commands = all.filter((command) => command.name() !== 'help');
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    if (commands.length > 1) {
      properties.command = { type: 'string', enum: commands.map((command) => command.name()) };
      required.push('command');
    }
    for (const command of commands) {
      if (takesFiles(reads)) break;
      for (const argument of command.registeredArguments) {
        properties[argument.name()] = argumentSchema(argument);
        if (argument.required && commands.length === 1) required.push(argument.name());
      }
    }
    for (const key of options)
      for (const command of commands) {
        const option = optionOf(command, key);
        if (option) properties[key] = optionSchema(option);
      }
    if (takesFiles(reads)) {
      const minItems = reads === 'arguments' ? 2 : 1;
      properties.sources = { type: 'array', items: source, minItems, maxItems: MOST_FILES };
      required.push('sources');
    } else properties.source = source;
    Object.assign(properties, PART);
    return {
      name,
      description: title ?? commands.map((command) => command.description()).join('; '),
      reads,
      inputSchema: { type: 'object', properties, required, additionalProperties: false },
      commands,
      options,
    };
  });
}

export const MOST_FILES = 16;

/** Whether a tool reads files that it names itself, instead of one kernel or snapshot. */
export function takesFiles(reads: Reads): boolean {
  return reads === '--from' || reads === 'arguments';
}

function optionOf(command: Command, key: string): Option | undefined {
  return command.options.find((option) => option.attributeName() === key);
}

/** Placeholders of options whose value is a number. */
const NUMBERS = /<(?:n|pid|fd|cpu|port|inode)>/;

function optionSchema(option: Option): Schema {
  const { flags, description, argChoices, defaultValue, required } = option;
  const about = { description, ...(defaultValue === undefined ? {} : { default: defaultValue }) };
  if (argChoices) return { type: 'string', enum: argChoices, ...about };
  if (!required) return { type: 'boolean', ...about };
  return NUMBERS.test(flags)
    ? { type: 'integer', minimum: 0, ...about }
    : { type: 'string', ...about };
}

function argumentSchema({ variadic, description }: Argument): Schema {
  const items = { type: 'string', description };
  return variadic ? { type: 'array', items, minItems: 1, maxItems: MOST_FILES } : items;
}

/** Arguments of a call, as the client sent them. */
export type Given = Readonly<Record<string, unknown>>;

/** A command line without its files. */
export interface CommandLine {
  readonly name: string;
  readonly options: readonly string[];
  readonly places: readonly string[];
}

/**
 * Returns the command line of a call. The command itself checks the values.
 *
 * @throws {UsageError}
 */
export function commandLine(tool: Tool, given: Given): CommandLine {
  const { properties, required } = tool.inputSchema;
  for (const key of Object.keys(given))
    if (!Object.hasOwn(properties, key))
      throw new UsageError(`${key}: unknown argument`, `Use ${Object.keys(properties).join(', ')}`);
  for (const key of required)
    if (given[key] === undefined) throw new UsageError(`${key}: missing argument`);
  const command =
    tool.commands.length === 1
      ? tool.commands[0]
      : tool.commands.find((each) => each.name() === given.command);
  if (!command) throw new UsageError('command: unknown value');
  const options = tool.options.flatMap((key) => {
    const [value] = wordsOf(key, given[key]);
    if (value === undefined) return [];
    const option = optionOf(command, key);
    if (!option) throw new UsageError(`${key}: ${command.name()} has no such argument`);
    return option.required ? [`${option.long}=${value}`] : [`${option.long}`];
  });
  const places = takesFiles(tool.reads)
    ? []
    : command.registeredArguments.flatMap((argument) => {
        const words = wordsOf(argument.name(), given[argument.name()]);
        if (words.length === 0 && argument.required)
          throw new UsageError(`${argument.name()}: missing argument`);
        return words;
      });
  return { name: command.name(), options, places };
}

const MOST_LETTERS = 1000;

/** The values of an argument as words of a command line: none if it is not given, or false. */
function wordsOf(key: string, value: unknown): string[] {
  if (value === undefined || value === null || value === false) return [];
  const values = Array.isArray(value) ? value : [value];
  if (values.length > MOST_FILES)
    throw new UsageError(`${key}: too many values (limit ${MOST_FILES})`);
  return values.map((one: unknown) => {
    const word = typeof one === 'number' || one === true ? String(one) : one;
    if (typeof word !== 'string' || word === '' || word.includes('\0'))
      throw new UsageError(`${key}: malformed value`);
    if (word.length > MOST_LETTERS)
      throw new UsageError(`${key}: too long (limit ${MOST_LETTERS} characters)`);
    return word;
  });
}

/** Options of printed commands that name the source, which the call names itself. */
const OF_SOURCE = /^--(?:vmcore|from|vmlinux|symbols|types|map)$/;

/**
 * Returns the call that does what a printed command does. Undefined if no tool does.
 *
 * @param words a command as an answer prints it, without the program: `skb --pid 177 --vmcore vmcore`
 */
export function callOf(tools: readonly Tool[], words: string): ToolCall | undefined {
  const [name, ...rest] = words.trim().split(/\s+/);
  for (const tool of tools) {
    const command = tool.commands.find((each) => each.name() === name);
    if (!command || takesFiles(tool.reads)) continue;
    const found: Record<string, string | number | boolean> = {};
    if (tool.commands.length > 1) found.command = command.name();
    const places = command.registeredArguments.values();
    for (let at = 0; at < rest.length; at++) {
      const word = rest[at] ?? '';
      const option = command.options.find(({ short, long }) => word === short || word === long);
      if (OF_SOURCE.test(word)) at++;
      else if (word === '--live') continue;
      else if (word.startsWith('-')) {
        const key = option?.attributeName() ?? '';
        if (!option || !tool.options.includes(key)) return undefined;
        const value = option.required ? (rest[++at] ?? '') : true;
        found[key] = NUMBERS.test(option.flags) && /^\d+$/.test(`${value}`) ? Number(value) : value;
      } else {
        const place = places.next().value;
        if (!place) return undefined;
        found[place.name()] = word;
      }
    }
    return { tool: tool.name, arguments: found };
  }
  return undefined;
}
