import { z } from 'zod';
import type { HostState } from '../../../diff/state.js';
import { memoryAnswer, memoryTold } from './memory.js';
import { merged } from './merged.js';
import type { Told } from './parts.js';
import { procsAnswer, procsTold } from './procs.js';
import { skcheckAnswer, skcheckTold } from './skcheck.js';
import { socketsAnswer, socketsTold } from './sockets.js';

/** What is wrong with a file that nothing can be compared with it. */
export class AnswersError extends Error {}

const answer = z.discriminatedUnion('schema', [
  memoryAnswer,
  procsAnswer,
  socketsAnswer,
  skcheckAnswer,
]);

/** Drawers lie three deep; what is nested deeper than this is no answer of ours. */
const MOST_LEVELS = 32;

/** 50,000 sockets have a third of that. */
const MOST_VALUES = 10_000_000;

/**
 * Reads what `--json` of memory, procs, sockets or skcheck printed; several, one after the other, are of one time.
 *
 * @param text hostile
 * @throws {AnswersError}
 */
export function stateOfAnswers(name: string, text: string): HostState {
  return stateOfValues(name, valuesOf(text));
}

/**
 * The same of values that are not printed yet.
 *
 * @throws {AnswersError}
 */
export function stateOfValues(name: string, values: readonly unknown[]): HostState {
  const seen = new Set<string>();
  const told = values.map((value): Told => {
    const parsed = answer.safeParse(value);
    if (!parsed.success) throw new AnswersError(wordsOf(parsed.error, value));
    const { data } = parsed;
    if (seen.has(data.schema))
      throw new AnswersError(`it has two answers ${data.schema}: give each a file of its own`);
    seen.add(data.schema);
    return tell(data);
  });
  return { name, ...merged(told) };
}

function tell(data: z.infer<typeof answer>): Told {
  switch (data.schema) {
    case 'kdump-mem.memory/1':
      return memoryTold(data);
    case 'kdump-mem.procs/1':
      return procsTold(data);
    case 'kdump-mem.sockets/1':
      return socketsTold(data);
    case 'skcheck/1':
      return skcheckTold(data);
  }
}

/** @throws {AnswersError} */
function valuesOf(text: string): unknown[] {
  if (text.trim() === '') throw new AnswersError('it is empty');
  // What is small in a file may be large in memory.
  let commas = 0;
  for (let at = text.indexOf(','); at >= 0; at = text.indexOf(',', at + 1)) commas++;
  if (commas > MOST_VALUES) throw new AnswersError(`it has more than ${MOST_VALUES} values`);
  return piecesOf(text).map((piece) => {
    let value: unknown;
    try {
      value = JSON.parse(piece);
    } catch {
      throw new AnswersError('it is no whole JSON (cut off?)');
    }
    if (levelsOf(value) > MOST_LEVELS)
      throw new AnswersError(`it is nested more than ${MOST_LEVELS} levels deep`);
    return value;
  });
}

/** Our JSON has its last brace in the first column, or is one line. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let begins = 0;
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from);
    const to = newline < 0 ? text.length : newline + 1;
    const isWhole =
      text[from] === '{' &&
      text
        .slice(Math.max(from, to - 4), to)
        .trim()
        .endsWith('}');
    if (isWhole || text[from] === '}') {
      pieces.push(text.slice(begins, to));
      begins = to;
    }
    from = to;
  }
  const rest = text.slice(begins);
  return rest.trim() === '' ? pieces : [...pieces, rest];
}

/** How deep a value is nested, without going deeper itself; it stops at what is too deep. */
function levelsOf(value: unknown): number {
  let [level, levels]: [unknown[], number] = [[value], 0];
  while (level.length > 0 && levels <= MOST_LEVELS) {
    levels++;
    level = level.flatMap((one) =>
      typeof one === 'object' && one !== null ? Object.values(one) : [],
    );
  }
  return levels;
}

function wordsOf({ issues }: z.ZodError, value: unknown): string {
  const [first] = issues;
  const schema = z.object({ schema: z.string() }).safeParse(value);
  if (!schema.success) return 'it names no schema';
  if (first?.path[0] === 'schema')
    return `${schema.data.schema.slice(0, 80)} is nothing that diff can compare`;
  return `${first?.path.join('.')}: ${first?.message}`;
}
