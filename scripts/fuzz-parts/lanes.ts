import { basename, dirname } from 'node:path';
import { openNative } from '../../src/kernel/native/open.js';
import { Arm64Cases } from './arm64-cases.js';
import { FileCases } from './file-cases.js';
import { BLOCKED } from './meaning/blocked.js';
import { LISTS } from './meaning/lists.js';
import { LOG } from './meaning/log.js';
import { MeaningCases } from './meaning/meaning-cases.js';
import { MEMORY, SITES } from './meaning/memory.js';
import { PROCS } from './meaning/procs.js';
import { REFS, UNREACHABLE } from './meaning/references.js';
import { STACKS } from './meaning/stacks.js';
import { STRUCTURES_OF_ALL } from './meaning/structures.js';
import { TRIAGE } from './meaning/triage.js';
import { OpeningCases } from './opening-cases.js';
import { Random } from './random.js';
import { SyntheticCases } from './synthetic-cases.js';
import { WalkCases } from './walk-cases.js';

/** Kinds of damage: synthetic dumps, and for a dump the data that walkers read, its file, and its tables. */
export const KINDS = [
  'synthetic',
  'arm64',
  'walk',
  'file',
  'opening',
  'meaning',
  'memory',
  'procs',
  'log',
  'stacks',
  'triage',
  'lists',
  'blocked',
  'sites',
  'refs',
  'unreachable',
  'structures',
] as const;

export type Kind = (typeof KINDS)[number];

/** One kind of damage to one dump: its cases are numbered, and a seed repeats each. */
export interface Lane {
  /** `synthetic`, `arm64`, or a kind and a dump: `walk:6.1.vmcore`. */
  readonly name: string;
  readonly kind: Kind;
  /** The damaged dump; absent if each case creates its own. */
  readonly dump?: string;
}

/** A lane that is ready. */
export interface Runner {
  /** A description of the damage. @throws {Broken} */
  run(seed: number, index: number): Promise<readonly string[]>;
  dispose(): void;
}

/** @param whole dumps with the data that only the kinds below `meaning` read */
export function lanesOf(
  dumps: readonly string[],
  kinds: readonly Kind[] = KINDS,
  whole: readonly string[] = [],
): Lane[] {
  const lanes: Lane[] = [
    { name: 'synthetic', kind: 'synthetic' },
    { name: 'arm64', kind: 'arm64' },
  ];
  for (const dump of dumps) {
    for (const kind of ['walk', 'file', 'opening', 'meaning'] as const) {
      lanes.push({ name: `${kind}:${basename(dump)}`, kind, dump });
    }
  }
  const ofWhole = KINDS.slice(KINDS.indexOf('meaning') + 1);
  for (const dump of whole) for (const kind of ofWhole) lanes.push({ name: `${kind}:${nameOf(dump)}`, kind, dump });
  return lanes.filter(({ kind }) => kinds.includes(kind));
}

/** Dumps of the lab have the same name, each in its own folder. */
function nameOf(dump: string): string {
  const name = basename(dump);
  return name === 'elf.vmcore' ? `${basename(dirname(dump))}.vmcore` : name;
}

const CHOICES = {
  meaning: {},
  memory: MEMORY,
  procs: PROCS,
  log: LOG,
  stacks: STACKS,
  triage: TRIAGE,
  lists: LISTS,
  blocked: BLOCKED,
  sites: SITES,
  refs: REFS,
  unreachable: UNREACHABLE,
  structures: STRUCTURES_OF_ALL,
};

export async function openLane({ kind, dump = '' }: Lane): Promise<Runner> {
  if (kind === 'synthetic') {
    const cases = new SyntheticCases();
    return { run: (seed, index) => cases.run(new Random(seed, index)), dispose: () => cases.dispose() };
  }
  if (kind === 'arm64') {
    const cases = new Arm64Cases();
    return { run: async (seed, index) => cases.run(new Random(seed, index)), dispose() {} };
  }
  if (kind === 'opening') {
    const cases = new OpeningCases(dump);
    return { run: async (seed, index) => cases.run(new Random(seed, index)), dispose: () => cases.dispose() };
  }
  if (kind === 'file') {
    const cases = await FileCases.open(dump);
    return { run: (seed, index) => cases.run(new Random(seed, index)), dispose: () => cases.dispose() };
  }
  const kernel = openNative({ files: [dump] });
  if (kind !== 'walk') {
    const cases = await MeaningCases.open(kernel, CHOICES[kind]);
    return { run: (seed, index) => cases.run(seed, index), dispose: () => kernel.close() };
  }
  const cases = new WalkCases(kernel);
  return {
    async run(seed, index) {
      const { question, damage, outcome, silent } = cases.run(new Random(seed, index));
      const end = outcome.kind === 'refused' ? outcome.line : `complete: ${outcome.complete}`;
      return [question, ...damage, end, ...(silent ? ['another answer, without a word'] : [])];
    },
    dispose: () => kernel.close(),
  };
}
