import type { McpAnswerJson } from '../../answers/mcp/schema.js';
import { cutWords } from '../../answers/text/cut.js';
import { isNote } from '../../walk/warnings.js';

type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A part of an answer: items of one list, which is a path such as `findings[2].evidence`. */
export type Part = NonNullable<McpAnswerJson['part']>;

/** A list of which items are missing. */
export type Omission = Omit<McpAnswerJson['omitted'][number], 'more'>;

export interface Cut {
  readonly answer: JsonObject;
  /** Outer lists first. */
  readonly omitted: readonly Omission[];
  /** Whether the answer has the list of the requested part. */
  readonly hasPart: boolean;
}

/** Maximum numbers of items of lists within items of other lists. */
const INNER = [Number.POSITIVE_INFINITY, 8, 3, 1, 0];
/** So many items of outer lists are worth more than those of inner lists. */
const ENOUGH = 8;
const MAX_STEP = 2 ** 15;

/**
 * Cuts an answer to a number of bytes. Lists are sorted by rank, so each keeps its first items. Fields, and with them
 * totals and `complete`, are never cut.
 */
export function cutJson(answer: JsonObject, bytes: number, part?: Part): Cut {
  let best: Limits = { outer: 0, inner: 0 };
  for (const inner of INNER) {
    let outer = 0;
    for (let step = MAX_STEP; step >= 1; step /= 2)
      if (sizeOf(cut(answer, { outer: outer + step, inner }, part).answer) <= bytes) outer += step;
    if (outer > best.outer) best = { outer, inner };
    if (outer >= ENOUGH) break;
  }
  const shortened = cut(answer, best, part);
  if (sizeOf(shortened.answer) <= bytes) return shortened;
  return { ...shortened, answer: { schema: answer.schema ?? '', complete: isComplete(answer) } };
}

/** Whether an answer lacks no data: by its own word, or else by its warnings. */
export function isComplete({ complete, total, totals, warnings }: JsonObject): boolean {
  const flags = [complete, Object(total).complete, Object(totals).complete];
  const known = flags.filter((flag) => typeof flag === 'boolean');
  if (known.length > 0) return known.every(Boolean);
  return itemsOf(warnings).every(({ code }) => isNote({ code: String(code) }));
}

/** Items of a list of objects: none if the answer lacks it. */
export function itemsOf(list: Json | undefined): readonly JsonObject[] {
  return Array.isArray(list) ? list : [];
}

export function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

type Limits = Readonly<Record<'outer' | 'inner', number>>;

/** Keeps the first items of lists; of a part, only its list. */
function cut(answer: JsonObject, limits: Limits, part?: Part): Cut {
  const omitted: Record<keyof Limits, Omission[]> = { outer: [], inner: [] };
  let hasPart = false;
  const copy = (value: Json, path: string, level: keyof Limits): Json => {
    if (value === null || typeof value !== 'object') return value;
    if (isList(value)) return copyList(value, path, level);
    const name = (key: string) => (path === '' ? key : `${path}.${key}`);
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, item]) => [key, copy(item, name(key), level)]));
  };
  const copyList = (list: readonly Json[], path: string, level: keyof Limits): Json => {
    const items = (from: number, count: number, below: keyof Limits) =>
      list.slice(from, from + count).map((item, at) => copy(item, `${path}[${from + at}]`, below));
    // Of lists around the part, only the item that contains it is left.
    if (part?.list.startsWith(`${path}[`))
      return items(Number.parseInt(part.list.slice(path.length + 1), 10), 1, level);
    const isPart = part?.list === path;
    hasPart ||= isPart;
    if (part && !isPart && !path.startsWith(`${part.list}[`)) return [];
    const from = isPart ? part.from : 0;
    const total = list.length;
    const shown = Math.min(limits[level], Math.max(0, total - from));
    if (from + shown < total) omitted[level].push({ list: path, from, shown, total });
    return items(from, shown, 'inner');
  };
  const left = copy(answer, '', 'outer') as JsonObject;
  return { answer: left, omitted: [...omitted.outer, ...omitted.inner], hasPart };
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** Parses the JSON of a command. @param show applied to each string, and to names of fields */
export function parseJson(text: string, show: (text: string) => string): JsonObject {
  return JSON.parse(text, (_, value: Json) => {
    if (typeof value === 'string') return show(value);
    if (value === null || typeof value !== 'object' || isList(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [show(key), item]));
  });
}

/** A longer string is cut. */
const MAX_LETTERS = 1000;

/** Cuts text between words, with a figure and its unit, and says how much is missing. */
export function shorten(text: string, limit = MAX_LETTERS): string {
  if (text.length <= limit) return text;
  const shown = cutWords(text.slice(0, limit + 1), limit).replace(/ *\u2026$/, '');
  return `${shown} (${text.length - shown.length} more characters left out)`;
}
