import type { Condition, Rule } from './schema.js';

/** Figures that each condition provides when it holds, in addition to the captures of its pattern. */
export const GIVEN = {
  log: ['logTimes'],
  panic: ['panicReason'],
  release: ['kernelRelease'],
  taint: ['taintFlags'],
  module: ['moduleName'],
  memory: ['memoryBytes', 'memoryShare'],
  owner: ['ownerName', 'ownerPid', 'ownerBytes', 'ownerShare'],
  finding: [],
  stack: ['stackSymbol', 'stackTasks', 'stackPid', 'stackComm'],
  tasks: ['taskCount'],
} as const satisfies Readonly<Record<keyof Condition, readonly string[]>>;

const RESERVED: ReadonlySet<string> = new Set([...Object.values(GIVEN).flat(), 'others', 'times']);

/** Placeholder `{name}` in a sentence. */
export const PLACE = /\{([a-zA-Z][a-zA-Z0-9]{0,31})\}/g;

interface Wrong {
  readonly path: readonly string[];
  readonly words: string;
}

/** Names in a rule's sentence that no condition defines, and captures that hide a figure. */
export function unknownNames({ when, message, advice }: Rule): Wrong[] {
  const { any = [], not: _, ...all } = when;
  const conditions = [all, ...any];
  const wrong: Wrong[] = [];
  const names = new Set<string>(conditions.flatMap((condition) => keysOf(condition).flatMap((key) => [...GIVEN[key]])));
  for (const name of conditions.flatMap(capturesOf)) {
    if (RESERVED.has(name))
      wrong.push({ path: ['when'], words: `{${name}} is the name of a figure: choose another name` });
    names.add(name);
  }
  // The figures of a finding depend on its code.
  if (conditions.some(({ finding }) => finding !== undefined)) return wrong;
  for (const [field, text] of Object.entries({ message, advice: advice ?? '' })) {
    for (const [, name = ''] of text.matchAll(PLACE))
      if (!names.has(name))
        wrong.push({
          path: [field],
          words: `unknown figure {${name}}; the conditions provide ${[...names].join(', ')}`,
        });
  }
  return wrong;
}

function keysOf(condition: Condition): (keyof Condition)[] {
  return (Object.keys(GIVEN) as (keyof Condition)[]).filter((key) => condition[key] !== undefined);
}

function capturesOf({ log, panic, release, module, owner, stack }: Condition): readonly string[] {
  return [log, panic, release, module, owner?.name, stack?.symbol].flatMap((pattern) => pattern?.names ?? []);
}
