import { escapeText } from '../../answers/text/escape.js';

type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** A part of an answer: items of one list, which is a path such as `findings[2].evidence`. */
export interface Part {
  readonly list: string;
  readonly from: number;
}

/** A list of which items are missing. */
export interface Omission extends Part {
  readonly shown: number;
  readonly total: number;
}

interface Cut {
  readonly answer: JsonObject;
  readonly omitted: readonly Omission[];
  /** Whether the answer has the list of the requested part. */
  readonly hasPart: boolean;
}

/** Maximum numbers of items of lists within items of other lists. */
const INNER = [Number.POSITIVE_INFINITY, 8, 3, 1, 0];
/** So many items of outer lists are worth more than those of inner lists. */
const ENOUGH = 8;
const MOST_STEP = 2 ** 15;

/**
 * Cuts an answer to a number of bytes. Lists are sorted by rank, so each keeps its first items. Fields, and with them
 * totals and `complete`, are never cut.
 */
export function cutJson(answer: JsonObject, bytes: number, part?: Part): Cut {
  let best = { outer: 0, inner: 0 };
  for (const inner of INNER) {
    let outer = 0;
    for (let step = MOST_STEP; step >= 1; step /= 2)
      if (sizeOf(cut(answer, outer + step, inner, part).answer) <= bytes) outer += step;
    if (outer > best.outer) best = { outer, inner };
    if (outer >= ENOUGH) break;
  }
  const found = cut(answer, best.outer, best.inner, part);
  if (sizeOf(found.answer) <= bytes) return found;
  return { ...found, answer: { schema: answer.schema ?? '', complete: isComplete(answer) } };
}

/** Whether an answer is complete; null: it does not say. */
export function isComplete({ complete, total, totals }: JsonObject): boolean | null {
  const within = [total, totals].map(
    (one) => (one as { complete?: Json } | null | undefined)?.complete,
  );
  const known = [complete, ...within].filter((one) => typeof one === 'boolean');
  return known.length === 0 ? null : known.every((one) => one);
}

export function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function cut(answer: JsonObject, outer: number, inner: number, part?: Part): Cut {
  const omitted: Omission[][] = [[], []];
  let hasPart = false;
  const copy = (value: Json, path: string, depth: number): Json => {
    if (value === null || typeof value !== 'object') return value;
    if (isList(value)) return copyList(value, path, depth);
    const name = (key: string) => (path === '' ? key : `${path}.${key}`);
    const entries = Object.entries(value);
    return Object.fromEntries(entries.map(([key, each]) => [key, copy(each, name(key), depth)]));
  };
  const copyList = (list: readonly Json[], path: string, depth: number): Json => {
    const items = (from: number, count: number, below: number) =>
      list.slice(from, from + count).map((one, at) => copy(one, `${path}[${from + at}]`, below));
    // Of lists around the part, only the item that contains it is left.
    if (part?.list.startsWith(`${path}[`))
      return items(Number.parseInt(part.list.slice(path.length + 1), 10), 1, 0);
    const isPart = part?.list === path;
    hasPart ||= isPart;
    if (part && !isPart && !path.startsWith(`${part.list}[`)) return [];
    const from = isPart ? part.from : 0;
    const shown = items(from, depth === 0 ? outer : inner, depth + 1);
    if (from + shown.length < list.length)
      omitted[Math.min(depth, 1)]?.push({
        list: path,
        from,
        shown: shown.length,
        total: list.length,
      });
    return shown;
  };
  const fields = Object.entries(answer).map(([key, value]) => [key, copy(value, key, 0)]);
  return { answer: Object.fromEntries(fields), omitted: omitted.flat(), hasPart };
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** A longer string is cut. */
const MOST_LETTERS = 1000;

/** Escapes every string of an answer, names of fields too, and shortens long ones. */
export function escapeJson(value: Json): Json {
  if (typeof value === 'string') return escapeText(shorten(value, MOST_LETTERS));
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return value.map(escapeJson);
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([key, each]) => [escapeText(key), escapeJson(each)]));
}

/** Cuts text at the last space before a limit, so that no figure is divided, and says how much is missing. */
function shorten(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = Math.max(0, text.lastIndexOf(' ', limit));
  return `${text.slice(0, end)} (${text.length - end} more characters left out)`.trimStart();
}

/** Returns lines of text from one on, as many as fit: at least one. */
export function cutLines(lines: readonly string[], from: number, bytes: number): string[] {
  const found: string[] = [];
  let room = bytes;
  for (const line of lines.slice(from)) {
    const shown = shorten(line, Math.max(bytes >> 1, 200));
    room -= sizeOf(shown) + 1;
    if (room < 0 && found.length > 0) break;
    found.push(shown);
  }
  return found;
}
