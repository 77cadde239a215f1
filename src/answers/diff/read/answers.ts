import { z } from 'zod';
import type { Flaw, HostState, Item, Listing, ListName } from '../../../diff/state.js';
import { namesOf, sameBoot, secondsOf } from '../../../diff/times.js';
import { memoryAnswer, memoryState } from './memory.js';
import { contradiction, count, incompleteness, listOf, type ParsedState, warningsPart } from './parts.js';
import { procsAnswer, procsState } from './procs.js';
import { socketKey, socketsAnswer, socketsState, twiceWords } from './sockets.js';

const skcheckAnswer = z.object({
  schema: z.literal('skcheck/1'),
  host: z.object({
    name: z.string(),
    release: z.string(),
    takenAt: z.iso.datetime(),
    takenAtKnown: z.boolean(),
    bootId: z.string().nullish(),
    uptimeSeconds: z.number().nonnegative().nullish(),
  }),
  sockets: listOf(
    z.object({
      pid: count.nullable(),
      comm: z.string().nullable(),
      fds: listOf(count),
      family: z.string(),
      protocol: z.string(),
      local: z.string(),
      peer: z.string(),
      inode: count,
      netns: count.nullable(),
      unreadBytes: count,
      pinned: z.object({ likely: count }),
    }),
  ),
  totals: z.object({ verdicts: z.record(z.string(), z.unknown()), countedBy: z.enum(['row', 'descriptor']) }),
  complete: z.boolean(),
  warnings: warningsPart,
});

/** Parses an answer of skcheck: the estimated memory that sockets pin. */
function skcheckState(answer: z.infer<typeof skcheckAnswer>): ParsedState {
  const { host, sockets, complete, warnings } = answer;
  const items = new Map<string, Item>();
  let twice = 0;
  for (const socket of sockets) {
    const { pid, comm, fds, inode, netns, family, protocol, local, peer } = socket;
    const [fd] = fds;
    const key = socketKey(socket, family, local, peer);
    if (items.has(key)) twice++;
    items.set(key, {
      who: {
        kind: 'socket',
        inode,
        netns,
        family,
        protocol,
        local,
        peer,
        holder: pid === null || fd === undefined ? null : { pid, comm, fd },
      },
      sizes: { estimated: socket.pinned.likely, unread: socket.unreadBytes },
      ofBoot: true,
      began: null,
    });
  }
  return {
    origin: {
      at: host.takenAtKnown ? host.takenAt : null,
      host: host.name || null,
      bootId: host.bootId ?? null,
      uptimeSeconds: host.uptimeSeconds ?? null,
    },
    release: host.release || null,
    pageSize: null,
    memory: null,
    lists: { sockets: { items, whole: isWhole(answer) && twice === 0, withoutEmpty: true } },
    flaws: [...incompleteness(complete, warnings, 'not everything was scanned'), ...twiceWords(twice)],
  };
}

/** Whether all sockets with queued data are listed. `--top`, `--pid` and verdict filters omit some. */
function isWhole({ sockets, totals }: z.infer<typeof skcheckAnswer>): boolean {
  const judged = Object.values(totals.verdicts).reduce(
    (all: number, value) => all + count.catch(Number.NaN).parse(value),
    0,
  );
  return totals.countedBy === 'row' && judged === sockets.length;
}

/** Maximum time between answers of one sample, in seconds. */
const FAR = 60;

/** Merges several answers of one sample; if two report the same fact, the first is used. */
function merged(all: readonly ParsedState[]): ParsedState {
  const first = <T>(pick: (state: ParsedState) => T | null): T | null =>
    all.map(pick).find((value) => value !== null) ?? null;
  return {
    origin: {
      at: first(({ origin }) => origin.at),
      host: first(({ origin }) => origin.host),
      bootId: first(({ origin }) => origin.bootId),
      uptimeSeconds: first(({ origin }) => origin.uptimeSeconds),
    },
    release: first(({ release }) => release),
    pageSize: first(({ pageSize }) => pageSize),
    memory: first(({ memory }) => memory),
    lists: listsOf(all),
    flaws: [...all.flatMap(({ flaws }) => flaws), ...apart(all)],
  };
}

function listsOf(all: readonly ParsedState[]): ParsedState['lists'] {
  const lists: Partial<Record<ListName, Listing>> = {};
  for (const { lists: own } of all)
    for (const [name, list] of Object.entries(own)) {
      const before = lists[name as ListName];
      // The list contains both the charges of a cgroup and the sums of its processes.
      if (before && name === 'cgroups') lists.cgroups = both(before, list);
      else lists[name as ListName] ??= list;
    }
  return lists;
}

function both(listing: Listing, other: Listing): Listing {
  const items = new Map(listing.items);
  for (const [key, item] of other.items) {
    const known = items.get(key);
    items.set(key, known ? { ...known, sizes: { ...item.sizes, ...known.sizes } } : item);
  }
  return { items, whole: listing.whole && other.whole };
}

function apart(all: readonly ParsedState[]): Flaw[] {
  const pairs = all.flatMap((state, at) => all.slice(at + 1).map((other) => [state, other] as const));
  const times = all.flatMap(({ origin }) => secondsOf(origin) ?? []);
  const spread = times.length === 0 ? 0 : Math.max(...times) - Math.min(...times);
  return [
    ...(pairs.some(([state, other]) => sameBoot(state, other) === false)
      ? [contradiction('answers of different boots')]
      : []),
    ...(pairs.some(([state, other]) => areOfTwoHosts(state, other))
      ? [contradiction('answers of different hosts')]
      : []),
    ...(spread > FAR ? [{ code: 'spread' as const, words: `answers captured ${Math.round(spread)} s apart` }] : []),
  ];
}

/**
 * Whether two answers are from different hosts. Host names of one boot may differ, since a container has its
 * own.
 */
function areOfTwoHosts(state: ParsedState, other: ParsedState): boolean {
  const { bootId } = state.origin;
  return namesOf([state, other]).length > 1 && (bootId === null || bootId !== other.origin.bootId);
}

/** Error: a file cannot be compared. */
export class AnswersError extends Error {}

const answer = z.discriminatedUnion('schema', [memoryAnswer, procsAnswer, socketsAnswer, skcheckAnswer]);

/** Maximum nesting depth. Categories are three levels deep; deeper nesting is not output of kdump-mem. */
const MAX_LEVELS = 32;

/** Maximum number of JSON values, about three times as many as an answer with 50,000 sockets contains. */
const MAX_VALUES = 10_000_000;

/**
 * Parses `--json` output of memory, procs, sockets or skcheck. Several concatenated answers belong to one
 * sample.
 *
 * @param text untrusted
 * @throws {AnswersError}
 */
export function stateOfAnswers(name: string, text: string): HostState {
  return stateOfValues(name, valuesOf(text));
}

/**
 * Does the same with values that were not serialized.
 *
 * @throws {AnswersError}
 */
export function stateOfValues(name: string, values: readonly unknown[]): HostState {
  const seen = new Set<string>();
  const states = values.map((value): ParsedState => {
    const parsed = answer.safeParse(value);
    if (!parsed.success) throw new AnswersError(wordsOf(parsed.error, value));
    const { data } = parsed;
    if (seen.has(data.schema)) throw new AnswersError(`two answers ${data.schema} (save each in its own file)`);
    seen.add(data.schema);
    return stateOf(data);
  });
  return { name, ...merged(states) };
}

function stateOf(data: z.infer<typeof answer>): ParsedState {
  switch (data.schema) {
    case 'kdump-mem.memory/1':
      return memoryState(data);
    case 'kdump-mem.procs/1':
      return procsState(data);
    case 'kdump-mem.sockets/1':
      return socketsState(data);
    case 'skcheck/1':
      return skcheckState(data);
  }
}

/** @throws {AnswersError} */
function valuesOf(text: string): unknown[] {
  if (text.trim() === '') throw new AnswersError('empty file');
  // A small file may need a lot of memory once parsed.
  let commas = 0;
  for (let at = text.indexOf(','); at >= 0; at = text.indexOf(',', at + 1)) commas++;
  if (commas > MAX_VALUES) throw new AnswersError(`more than ${MAX_VALUES} values`);
  return piecesOf(text).map((piece) => {
    let value: unknown;
    try {
      value = JSON.parse(piece);
    } catch {
      throw new AnswersError('malformed JSON (truncated?)');
    }
    if (levelsOf(value) > MAX_LEVELS) throw new AnswersError(`nested more than ${MAX_LEVELS} levels deep`);
    return value;
  });
}

/** Splits concatenated answers. Our JSON either ends with a brace in the first column or is a single line. */
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

/** Computes the nesting depth of a value without recursion, and stops at the maximum. */
function levelsOf(value: unknown): number {
  let [level, levels]: [unknown[], number] = [[value], 0];
  while (level.length > 0 && levels <= MAX_LEVELS) {
    levels++;
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
  return levels;
}

function wordsOf({ issues }: z.ZodError, value: unknown): string {
  const [first] = issues;
  const schema = z.object({ schema: z.string() }).safeParse(value);
  if (!schema.success) return 'no field `schema` (not an answer of kdump-mem)';
  if (first?.path[0] === 'schema') return `unsupported answer ${schema.data.schema.slice(0, 80)}`;
  return `malformed ${schema.data.schema} (saved by another version of kdump-mem?): ${first?.path.join('.')}: ${first?.message}`;
}
