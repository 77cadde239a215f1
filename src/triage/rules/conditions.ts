import { type Category, leaves, type Owner } from '../../account/memory/tree.js';
import type { StackGroup } from '../../contracts/task-stacks.js';
import { taintFlags } from '../../walk/machine-facts.js';
import type { Finding } from '../finding.js';
import { evidenceOf } from '../kernel-findings.js';
import { LOG_CODES } from '../log/log-findings.js';
import type { RuleFacts } from './facts.js';
import { all, any, isMeant, type Match, met, NOT_MET, unknown } from './match.js';
import type { Condition } from './schema.js';

type Operand<Key extends keyof Condition> = NonNullable<Condition[Key]>;

/** Evaluation of each condition, except `log` (see apply.ts). */
type Tests = {
  readonly [Key in Exclude<keyof Condition, 'log'>]: (asked: Operand<Key>, facts: RuleFacts) => Match;
};

const TESTS: Tests = {
  panic: (pattern, { answer: { machine, findings } }) => {
    const { state } = machine.panic;
    if (state === 'running') return NOT_MET;
    const reason = findings.find(({ code }) => code === 'panic')?.figures.reason;
    if (state === 'unknown') return unknown('panic-unknown', 'whether the kernel panicked is unknown');
    if (typeof reason !== 'string') return unknown('panic-unknown', 'the reason of the panic is unknown');
    const match = pattern.match(reason);
    return match ? met({ panicReason: reason, ...match }) : NOT_MET;
  },
  release: (pattern, { answer: { kernel } }) => {
    if (kernel.release === '') return unknown('release-unknown', 'the kernel release is unknown');
    const match = pattern.match(kernel.release);
    return match ? met({ kernelRelease: kernel.release, ...match }) : NOT_MET;
  },
  taint: (letters, { answer: { machine } }) => {
    if (machine.taint === undefined) return unknown('taint-unreadable', 'the taint flags cannot be read');
    const set = taintFlags(machine.taint).map(({ letter }) => letter);
    return [...letters].every((letter) => set.includes(letter)) ? met({ taintFlags: set.join('') }) : NOT_MET;
  },
  module: (pattern, { answer: { machine } }) => {
    if (machine.modules === undefined) return unknown('modules-unreadable', 'the list of modules cannot be read');
    for (const name of machine.modules) {
      const match = pattern.match(name);
      if (match) return met({ moduleName: name, ...match });
    }
    return NOT_MET;
  },
  memory: (asked, { answer: { memory } }) => {
    if (!memory) return unknown('memory-unavailable', 'the memory breakdown is not available');
    const whole = memory.memory.bytes;
    const category = categoriesOf(memory.memory).find((leaf) => leaf.category === asked.category);
    // A kernel without the feature has no such category.
    const bytes = category?.bytes ?? 0;
    if (category?.complete === false)
      return unknown(
        'category-incomplete',
        `category ${asked.category} is incomplete: ${category.why ?? 'parts are missing'}`,
      );
    const share = bytes / whole;
    const { atLeastBytes = 0, atMostBytes = Infinity, atLeastShare = 0, atMostShare = 1 } = asked;
    const isWithin = bytes >= atLeastBytes && bytes <= atMostBytes && share >= atLeastShare && share <= atMostShare;
    return isWithin ? met({ memoryBytes: bytes, memoryShare: share }) : NOT_MET;
  },
  owner: (asked, { answer: { memory } }) => {
    if (!memory) return unknown('memory-unavailable', 'the memory breakdown is not available');
    const { bytes: whole } = memory.memory;
    const categories = leaves(memory.memory).filter(
      ({ category }) => asked.category === undefined || isWithin(memory.memory, asked.category, category),
    );
    return any(categories.map((category) => ownerIn(category, whole, asked)));
  },
  finding: (asked, { answer, logLacks }) => {
    const own = answer.findings.filter(({ code }) => code === asked.code);
    const verdict = any(own.map((finding) => meant(finding, asked)));
    if (verdict.met !== false) return verdict;
    const folded = own.some(({ figures: { others } }) => typeof others === 'number' && others > 0);
    if (folded) return unknown('findings-folded', `not all ${asked.code} findings are listed`);
    const lacks = LOG_CODES.has(asked.code) ? logLacks : undefined;
    if (lacks !== undefined) return unknown('log-incomplete', lacks);
    return answer.complete ? NOT_MET : unknown('answer-incomplete', 'the answer is incomplete');
  },
  stack: ({ symbol, state }, facts) => {
    const stacks = facts.stacks(state);
    if (stacks instanceof Error) return unknown('stacks-unreadable', `stacks cannot be read: ${stacks.message}`);
    const stackVerdict = any(stacks.stacks.map((group) => onStack(group, symbol)));
    if (stackVerdict.met !== false) return stackVerdict;
    if (!stacks.complete) return unknown('stacks-incomplete', 'some stacks cannot be read');
    const cut = stacks.stacks.some(({ end }) => end === 'stopped');
    return cut ? unknown('stacks-incomplete', 'some stack traces are incomplete') : NOT_MET;
  },
  tasks: ({ state, atLeast = 0, atMost = Infinity }, facts) => {
    const stacks = facts.stacks(state);
    if (stacks instanceof Error) return unknown('stacks-unreadable', `tasks cannot be read: ${stacks.message}`);
    // Tasks may be missing: the count is a lower bound.
    if (!stacks.complete && (stacks.tasks < atLeast || atMost < Infinity))
      return unknown('stacks-incomplete', 'some tasks cannot be read');
    const { tasks } = stacks;
    return tasks >= atLeast && tasks <= atMost ? met({ taskCount: tasks }) : NOT_MET;
  },
};

/** Whether all conditions hold, except lines of the log. */
export function matchOf(condition: Omit<Condition, 'log'>, facts: RuleFacts): Match {
  return all(
    (function* () {
      for (const key of Object.keys(TESTS) as (keyof Tests)[]) yield testOf(key, condition, facts);
    })(),
  );
}

function testOf<Key extends keyof Tests>(key: Key, condition: Omit<Condition, 'log'>, facts: RuleFacts): Match {
  const asked = condition[key] as Operand<Key> | undefined;
  return asked === undefined ? met() : TESTS[key](asked, facts);
}

function categoriesOf(category: Category): Category[] {
  return [category, ...category.children.flatMap(categoriesOf)];
}

/** Whether a category is the wanted one, or belongs to it. */
function isWithin(memory: Category, wanted: string, leaf: string): boolean {
  const outer = categoriesOf(memory).find(({ category }) => category === wanted);
  return outer !== undefined && categoriesOf(outer).some(({ category }) => category === leaf);
}

function ownerIn(category: Category, whole: number, asked: Operand<'owner'>): Match {
  const least = Math.max(asked.atLeastBytes ?? 0, (asked.atLeastShare ?? 0) * whole);
  const owners = category.owners.flatMap((owner) => {
    const captures = asked.name.match(owner.name);
    return captures && owner.bytes >= least ? [{ owner, captures }] : [];
  });
  const [first] = owners;
  if (first) return met({ ...ownerFigures(first.owner, whole), ...first.captures });
  if (!category.complete) return unknown('category-incomplete', `category ${category.category} is incomplete`);
  const named = category.owners.reduce((sum, { bytes }) => sum + bytes, 0);
  // An unnamed owner has at most the remainder.
  const rest = Math.max(0, category.bytes - named);
  return rest > 0 && rest >= least
    ? unknown('owners-unknown', `some owners of ${category.category} are unknown`)
    : NOT_MET;
}

function ownerFigures({ name, pid, bytes }: Owner, whole: number) {
  return { ownerName: name, ownerPid: pid ?? null, ownerBytes: bytes, ownerShare: bytes / whole };
}

function meant(finding: Finding, asked: Operand<'finding'>): Match {
  const is = isMeant(finding, asked, 'one');
  if (is === 'unknown') return unknown('figures-unknown', `some figures of ${asked.code} are unknown`);
  const { times: _, others: __, ...figures } = finding.figures;
  return is ? met(figures, finding.evidence) : NOT_MET;
}

function onStack(group: StackGroup, symbol: Operand<'stack'>['symbol']): Match {
  const { frames, tasks } = group;
  let guessed: string | undefined;
  for (const { symbol: named, guess } of frames) {
    const captures = named === null ? undefined : symbol.match(named);
    if (named === null || !captures) continue;
    guessed ??= named;
    if (guess) continue;
    const [first] = tasks;
    const who = { stackPid: first?.pid ?? null, stackComm: first?.comm ?? null };
    return met({ stackSymbol: named, stackTasks: tasks.length, ...who, ...captures }, [evidenceOf(group)]);
  }
  return guessed === undefined ? NOT_MET : unknown('frame-guessed', `${guessed} is a guess of the unwinder`);
}
