import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { core } from 'zod';
import { KdumpMemError } from '../../base/errors.js';
import { unknownNames } from './names.js';
import { type Rules, rulesSchema } from './schema.js';

/** An invalid rules file; `message` names the line and the field. */
export class RulesError extends KdumpMemError<'wrong-rules'> {
  constructor(message: string) {
    super('wrong-rules', message);
  }
}

/** Maximum size of a rules file. */
export const MAX_RULES_BYTES = 2 ** 20;

/** Maximum number of errors reported for one file. */
const MAX_TOLD = 1;

/**
 * Parses a rules file, YAML or JSON.
 *
 * @param name of the file, for the message
 * @throws {RulesError}
 */
export function readRules(name: string, text: string): Rules {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, logLevel: 'error', uniqueKeys: true });
  const [broken] = document.errors;
  if (broken) {
    const [reason = ''] = broken.message.split('\n');
    throw new RulesError(`${name}: ${reason.replace(/:$/, '')}`);
  }
  const at = (path: readonly PropertyKey[]) => {
    const offset = offsetOf(document.contents, path);
    return `${name}:${lines.linePos(offset).line}: ${fieldOf(path)}`;
  };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    // Too many aliases, which could expand without bound.
    if (!(error instanceof ReferenceError)) throw error;
    throw new RulesError(`${name}: ${error.message}`);
  }
  const { data, error } = rulesSchema.safeParse(value);
  if (error) {
    const listed = error.issues.slice(0, MAX_TOLD).map((issue) => {
      const { path, words } = issueOf(issue);
      return `${at(path)}: ${words}`;
    });
    const left = error.issues.length - MAX_TOLD;
    throw new RulesError(`${listed.join('; ')}${left > 0 ? ` (and ${left} more)` : ''}`);
  }
  for (const [index, rule] of data.rules.entries()) {
    const [wrong] = unknownNames(rule);
    if (wrong) throw new RulesError(`${at(['rules', index, ...wrong.path])}: ${wrong.words}`);
  }
  return data;
}

function issueOf(issue: core.$ZodIssue): { path: readonly PropertyKey[]; words: string } {
  if (issue.code === 'unrecognized_keys') {
    const [key = ''] = issue.keys;
    return { path: [...issue.path, key], words: 'unknown field' };
  }
  const { path, message } = issue;
  return { path, words: message.slice(0, 1).toLowerCase() + message.slice(1) };
}

/** Offset of the deepest existing part of a path: for a field, of its name. */
function offsetOf(contents: unknown, path: readonly PropertyKey[]): number {
  let node = contents;
  let offset = rangeOf(node);
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(key) === String(step));
      if (!pair) return offset;
      offset = rangeOf(pair.key);
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = rangeOf(node);
    } else return offset;
  }
  return offset;
}

function rangeOf(node: unknown): number {
  return (node as Node | null | undefined)?.range?.[0] ?? 0;
}

/** `rules[2].when.memory`; for the complete file `the file`. */
function fieldOf(path: readonly PropertyKey[]): string {
  const words = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`));
  return words.join('').replace(/^\./, '') || 'the file';
}
