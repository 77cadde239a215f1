import { escapeText } from '../../answers/text/escape.js';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export type JsonObject = { readonly [key: string]: Json };

/** A list of which items are missing. */
export interface Omission {
  /** Path of the list, such as `findings` or `findings[2].evidence`. */
  readonly list: string;
  readonly from: number;
  readonly shown: number;
  readonly total: number;
}

/** A part of an answer: items of one list. */
export interface Part {
  readonly list: string;
  readonly from: number;
}

/** Maximum number of items of a list, by depth. */
interface Limits {
  readonly outer: number;
  /** Of a list within an item of another. */
  readonly inner: number;
  readonly part: Part | undefined;
}

const INNER = [Number.POSITIVE_INFINITY, 8, 3, 1, 0];
/** So many items of outer lists are worth more than those in inner lists. */
const ENOUGH = 8;

/**
 * Cuts an answer to a number of bytes. Lists are sorted by rank, so each keeps its first items; fields, and with them
 * totals and `complete`, are never cut.
 */
export function cutJson(
  answer: JsonObject,
  bytes: number,
  part?: Part,
): { readonly answer: JsonObject; readonly omitted: readonly Omission[] } {
  let best: { outer: number; inner: number } | undefined;
  for (const inner of INNER) {
    const outer = most(
      (limit) => sizeOf(cut(answer, { outer: limit, inner, part }).answer) <= bytes,
    );
    if (outer > (best?.outer ?? -1)) best = { outer, inner };
    if (outer >= ENOUGH) break;
  }
  if (best) return cut(answer, { ...best, part });
  const { schema = '', complete } = answer;
  const rest = Object.keys(answer).length;
  return {
    answer: { schema, ...(complete === undefined ? {} : { complete }) },
    omitted: [{ list: 'text', from: 0, shown: 0, total: rest }],
  };
}

/** The largest number that fits; -1: not even zero. */
function most(fits: (limit: number) => boolean): number {
  if (!fits(0)) return -1;
  if (fits(Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
  let [low, high] = [0, 1];
  while (fits(high)) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle;
  }
  return low;
}

export function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

function cut(
  answer: JsonObject,
  limits: Limits,
): { answer: JsonObject; omitted: readonly Omission[] } {
  const omitted: { readonly depth: number; readonly omission: Omission }[] = [];
  const copy = (value: Json, path: string, depth: number): Json => {
    if (Array.isArray(value)) return copyList(value, path, depth);
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value);
    return Object.fromEntries(
      entries.map(([key, each]) => [key, copy(each, path === '' ? key : `${path}.${key}`, depth)]),
    );
  };
  const copyList = (list: readonly Json[], path: string, depth: number): Json => {
    const { part, outer, inner } = limits;
    const within = part !== undefined && (part.list === path || part.list.startsWith(`${path}[`));
    if (part && within && part.list !== path) {
      const at = Number(/^\[(\d+)\]/.exec(part.list.slice(path.length))?.[1]);
      return list.slice(at, at + 1).map((each) => copy(each, `${path}[${at}]`, 0));
    }
    // Lists of items of the part are inner ones.
    const isOther = part !== undefined && !within && !path.startsWith(`${part.list}[`);
    const from = within ? part.from : 0;
    const limit = isOther ? 0 : depth === 0 ? outer : inner;
    const shown = list.slice(from, from + limit);
    if (!isOther && from + shown.length < list.length)
      omitted.push({
        depth,
        omission: { list: path, from, shown: shown.length, total: list.length },
      });
    return shown.map((each, index) => copy(each, `${path}[${from + index}]`, depth + 1));
  };
  const copied = copy(answer, '', 0);
  return {
    answer: copied as JsonObject,
    omitted: omitted.toSorted((a, b) => a.depth - b.depth).map(({ omission }) => omission),
  };
}

/** A list at a path of an answer. Undefined if there is none. */
export function listAt(answer: JsonObject, path: string): readonly Json[] | undefined {
  let value: Json | undefined = answer;
  for (const word of path.split(/\.|(?=\[)/)) {
    const index = /^\[(\d{1,9})\]$/.exec(word)?.[1];
    if (value === null || typeof value !== 'object') return undefined;
    if (index !== undefined) value = Array.isArray(value) ? value[Number(index)] : undefined;
    else value = Object.hasOwn(value, word) ? (value as JsonObject)[word] : undefined;
    if (value === undefined) return undefined;
  }
  return Array.isArray(value) ? value : undefined;
}

/** A longer string is cut at a space, so that no figure is divided. */
const MOST_LETTERS = 1000;

/** Escapes every string of an answer, names of fields too, and shortens long ones. */
export function escapeJson(value: unknown): Json {
  if (typeof value === 'string') return escapeText(shorten(value));
  if (Array.isArray(value)) return value.map(escapeJson);
  if (typeof value !== 'object' || value === null) return value as Json;
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([key, each]) => [escapeText(key), escapeJson(each)]));
}

/** Cuts text at the last space before a limit, and says how much is missing. */
export function shorten(text: string, limit = MOST_LETTERS): string {
  if (text.length <= limit) return text;
  const end = Math.max(0, text.lastIndexOf(' ', limit));
  return `${text.slice(0, end)} (${text.length - end} more characters left out)`.trimStart();
}

/** Lines of text from one on, as many as fit, and the number of the first one that does not. */
export function cutLines(
  lines: readonly string[],
  from: number,
  bytes: number,
): { readonly lines: readonly string[]; readonly end: number } {
  const found: string[] = [];
  let room = bytes;
  let end = from;
  for (; end < lines.length; end++) {
    const line = shorten(lines[end] ?? '', Math.max(bytes >> 1, 200));
    room -= Buffer.byteLength(line) + 1;
    if (room < 0 && found.length > 0) break;
    found.push(line);
  }
  return { lines: found, end };
}
