import { type CommandUnknownOpts, Option } from 'commander';
import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { MemoryOptions } from '../../account/memory/memory.js';
import type { DepthText } from '../../answers/memory/depths/tables.js';

/** A part of the answer that `memory` can list in detail instead of its tree. */
export interface MemoryDepth {
  /** Option name without dashes. */
  readonly name: string;
  readonly help: string;
  /** Heading in --all; without one, --all omits it. */
  readonly title?: string;
  /** Values of the option. */
  readonly choices?: readonly string[];
  /** Whether it requires kernel memory. */
  readonly needsFrames: boolean;
  /** Additional walks that it requires. */
  readonly walks?: MemoryOptions;
  /** The part of the answer, if lists in /proc can provide it too. */
  readonly part?: keyof MemoryAnswer['noDetails'];
  /** Whether it is printed after the tree. */
  readonly withTree?: true;
  /** @param choice one of `choices` */
  text(choice?: string): Promise<DepthText>;
}

const DEPTHS: readonly MemoryDepth[] = [
  {
    name: 'caches',
    help: 'list slab caches',
    title: 'Slab caches',
    needsFrames: false,
    part: 'caches',
    text: async () => (await import('../../answers/memory/depths/tables.js')).cachesTable,
  },
  {
    name: 'vmalloc',
    help: 'list vmalloc areas by caller',
    title: 'vmalloc areas by caller',
    needsFrames: false,
    part: 'callers',
    text: async () => (await import('../../answers/memory/depths/tables.js')).callersTable,
  },
  {
    name: 'files',
    help: 'list files and block devices by page cache and shared memory',
    title: 'Page cache and shared memory by file',
    needsFrames: true,
    walks: { files: true },
    text: async () => (await import('../../answers/memory/depths/files.js')).filesTable,
  },
  {
    name: 'cgroups',
    help: 'list memory cgroups by charged memory, dying ones included',
    title: 'Memory by charged cgroup',
    needsFrames: true,
    // Files keep dying cgroups.
    walks: { cgroups: true, files: true },
    text: async () => (await import('../../answers/memory/depths/cgroups.js')).cgroupsTable,
  },
  {
    name: 'nodes',
    help: 'list zones of NUMA nodes, with free blocks by order',
    title: 'Zones, with free blocks by order',
    needsFrames: false,
    part: 'zones',
    text: async () => (await import('../../answers/memory/depths/tables.js')).zonesTable,
  },
  {
    name: 'huge',
    help: 'list processes by zeros in their transparent huge pages; reads the content of all of them',
    needsFrames: true,
    walks: { huge: true },
    text: async () => (await import('../../answers/memory/depths/tables.js')).hugePagesTable,
  },
  {
    name: 'as',
    help: 'show the figures of free(1) or /proc/meminfo, computed from the categories',
    choices: ['free', 'meminfo'],
    needsFrames: false,
    walks: { counted: true },
    text: async () => (await import('../../answers/memory/depths/tables.js')).figuresTable,
  },
  {
    name: 'by',
    help: 'list what each allocation site or module holds, where the kernel noted sites',
    choices: ['site', 'module'],
    needsFrames: true,
    walks: { sites: true },
    text: async (choice) => {
      const { modulesTable, sitesTable } = await import('../../answers/memory/depths/sites.js');
      return choice === 'module' ? modulesTable : sitesTable;
    },
  },
];

const LISTS = DEPTHS.filter(({ title }) => title !== undefined);

const ALL: MemoryDepth = {
  name: 'all',
  help: 'show the categories and all lists',
  needsFrames: true,
  walks: Object.assign({}, ...LISTS.map(({ walks: asks }) => asks)),
  withTree: true,
  text: async () => {
    const texts = await Promise.all(LISTS.map(async ({ title, text }) => [title, await text()] as const));
    return (answer, options) => texts.map(([title, text]) => `${title}:\n\n${text(answer, options)}`).join('\n\n');
  },
};

const OFFERED: readonly MemoryDepth[] = [...DEPTHS, ALL];

/** Names of all depths, for options that conflict with them. */
export const DEPTH_NAMES: readonly string[] = OFFERED.map(({ name }) => name);

/** Adds one option for each detail list; they exclude each other. */
export function addDepthOptions<Declared extends CommandUnknownOpts>(command: Declared): Declared {
  for (const [index, { name, help, choices }] of OFFERED.entries()) {
    const flags = choices === undefined ? `--${name}` : `--${name} <${choices.join('|')}>`;
    const option = new Option(flags, help).conflicts(DEPTH_NAMES.slice(index + 1));
    command.addOption(choices === undefined ? option : option.choices([...choices]));
  }
  return command;
}

/** Returns the detail list that the options request; undefined: the tree of categories. */
export function requestedDepth(options: object): MemoryDepth | undefined {
  const depth = OFFERED.find(({ name }) => name in options);
  const [, choice] = Object.entries(options).find(([name]) => name === depth?.name) ?? [];
  return depth && { ...depth, text: () => depth.text(String(choice)) };
}
