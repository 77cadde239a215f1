import type { Condition, Rule } from './schema.js';

/** Figures that each condition gives when it is met, beside what its pattern captures. */
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

/** `{name}` of a sentence. */
export const PLACE = /\{([a-zA-Z][a-zA-Z0-9]{0,31})\}/g;

interface Wrong {
  readonly path: readonly string[];
  readonly words: string;
}

/** What a rule's sentence names and no condition of it gives, and captures that hide a figure. */
export function unknownNames({ when, message, advice }: Rule): Wrong[] {
  const { any = [], not: _, ...all } = when;
  const asked = [all, ...any];
  const wrong: Wrong[] = [];
  const names = new Set<string>(
    asked.flatMap((each) => keysOf(each).flatMap((key) => [...GIVEN[key]])),
  );
  for (const name of asked.flatMap(capturesOf)) {
    if (RESERVED.has(name))
      wrong.push({
        path: ['when'],
        words: `{${name}} is the name of a figure: choose another name`,
      });
    names.add(name);
  }
  // A finding's figures are what its code has.
  if (asked.some(({ finding }) => finding !== undefined)) return wrong;
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
  return [log, panic, release, module, owner?.name, stack?.symbol].flatMap(
    (pattern) => pattern?.names ?? [],
  );
}
