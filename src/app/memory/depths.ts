import { type Command, Option } from 'commander';
import type { NoDetails } from '../../account/memory/answer.js';
import type { MoreOfMemory } from '../../account/memory/memory.js';
import type { DepthText } from '../../answers/memory/depths/depth.js';

/** A part of the answer that `memory` tells in more detail, in place of its tree. */
export interface MemoryDepth {
  /** Of the option, without its dashes. */
  readonly name: string;
  readonly help: string;
  /** What its table is headed by among others; without, it is not among them. */
  readonly title?: string;
  /** What the option takes. */
  readonly choices?: readonly string[];
  /** Nothing but the kernel's own memory can tell it. */
  readonly needsFrames: boolean;
  /** What takes a while, and is looked at for this alone. */
  readonly asks?: MoreOfMemory;
  /** The part of the answer that it is of, where lists of /proc tell that too. */
  readonly part?: keyof NoDetails;
  /** It comes after the tree. */
  readonly withTree?: true;
  text(): Promise<DepthText>;
}

const DEPTHS: readonly MemoryDepth[] = [
  {
    name: 'caches',
    help: 'list slab caches',
    title: 'Slab caches',
    needsFrames: false,
    part: 'caches',
    text: async () => (await import('../../answers/memory/depths/caches.js')).cachesTable,
  },
  {
    name: 'vmalloc',
    help: 'list who asked for memory of vmalloc’s address space',
    title: 'Who asked for memory of vmalloc’s address space',
    needsFrames: false,
    part: 'callers',
    text: async () => (await import('../../answers/memory/depths/callers.js')).callersTable,
  },
  {
    name: 'files',
    help: 'list files and block devices by page cache and shared memory',
    title: 'Whose the page cache and shared memory are',
    needsFrames: true,
    asks: { files: true },
    text: async () => (await import('../../answers/memory/depths/files.js')).filesTable,
  },
  {
    name: 'cgroups',
    help: 'list memory cgroups by what is charged to them, those that are dying too',
    title: 'Whom memory is charged to',
    needsFrames: true,
    asks: { cgroups: true },
    text: async () => (await import('../../answers/memory/depths/cgroups.js')).cgroupsTable,
  },
  {
    name: 'nodes',
    help: 'list zones of NUMA nodes, with free blocks by order',
    title: 'Zones, with free blocks by order',
    needsFrames: false,
    part: 'zones',
    text: async () => (await import('../../answers/memory/depths/zones.js')).zonesTable,
  },
  {
    name: 'as',
    help: 'show how the figures that these show come from the categories',
    choices: ['free', 'meminfo'],
    needsFrames: false,
    asks: { counted: true },
    text: async () => (await import('../../answers/memory/depths/familiar.js')).familiarTable,
  },
];

const LISTS = DEPTHS.filter(({ title }) => title !== undefined);

const ALL: MemoryDepth = {
  name: 'all',
  help: 'show the categories, and all that can be listed of them',
  needsFrames: true,
  asks: Object.assign({}, ...LISTS.map(({ asks }) => asks)),
  withTree: true,
  text: async () => {
    const texts = await Promise.all(
      LISTS.map(async ({ title, text }) => [title, await text()] as const),
    );
    return (answer, options) =>
      texts.map(([title, text]) => `${title}:\n\n${text(answer, options)}`).join('\n\n');
  },
};

const OFFERED: readonly MemoryDepth[] = [...DEPTHS, ALL];

/** Names of all depths, for options that mean nothing beside one. */
export const DEPTH_NAMES: readonly string[] = OFFERED.map(({ name }) => name);

/** Adds an option for each, of which one may be given. */
export function addDepthOptions(command: Command): Command {
  for (const [index, { name, help, choices }] of OFFERED.entries()) {
    const flags = choices === undefined ? `--${name}` : `--${name} <${choices.join('|')}>`;
    const option = new Option(flags, help).conflicts(DEPTH_NAMES.slice(index + 1));
    command.addOption(choices === undefined ? option : option.choices([...choices]));
  }
  return command;
}

/** The depth that the options ask for; undefined: the tree of categories. */
export function depthAsked(options: object): MemoryDepth | undefined {
  return OFFERED.find(({ name }) => name in options);
}
