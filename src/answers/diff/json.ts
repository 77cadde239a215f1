import type { DiffAnswer } from '../../diff/compare.js';
import type { CategoryDiff, Course, ListDiff } from '../../diff/lists.js';
import type { Loss } from '../../diff/loss.js';
import type { HostState, Who } from '../../diff/state.js';
import { socketEnds } from '../../records/socket-ends.js';
import { headline } from './headline.js';
import type { CategoryDiffJson, DiffJson } from './schema.js';
import { noteWords } from './words.js';

/** Returns the answer to `diff` according to the JSON contract. */
export function diffJson(answer: DiffAnswer): DiffJson {
  const { states, seconds, sameBoot, loss, categories, lists, notes, complete } = answer;
  return {
    schema: 'kdump-mem.diff/1',
    inputs: states.map(inputJson),
    seconds: seconds?.at(-1) ?? null,
    sameBoot,
    summary: headline(answer),
    loss: loss && lossJson(loss),
    categories: categories && categoryJson(categories),
    processes: listJson(lists.processes, (who) => (who.kind === 'process' ? without(who) : null)),
    sockets: listJson(lists.sockets, (who) =>
      who.kind === 'socket' ? { ...without(who), ...socketEnds(who, who.local, who.peer) } : null,
    ),
    caches: listJson(lists.caches, (who) => (who.kind === 'cache' ? without(who) : null)),
    callers: listJson(lists.callers, (who) => (who.kind === 'caller' ? without(who) : null)),
    cgroups: listJson(lists.cgroups, (who) => (who.kind === 'cgroup' ? without(who) : null)),
    complete,
    warnings: notes.map((note) => ({ code: note.code, message: noteWords(note) })),
  };
}

function inputJson({ name, origin, release, pageSize, memory }: HostState) {
  const { at, host, bootId, uptime } = origin;
  return {
    name,
    at: at?.toISOString() ?? null,
    host,
    bootId,
    uptimeSeconds: uptime,
    release,
    pageSize,
    source: memory?.depth ?? null,
  };
}

function lossJson({ lost, plugged, grew, shrank, unattributed, uncompared, explanation }: Loss) {
  return {
    lostBytes: lost,
    pluggedBytes: plugged,
    grewBytes: grew,
    shrankBytes: shrank,
    unattributedBytes: unattributed,
    uncomparedBytes: uncompared,
    explanation,
  };
}

function courseJson({ bytes, change, perSecond, trend, grewEachTime }: Course) {
  return {
    beforeBytes: bytes[0] ?? null,
    afterBytes: bytes.at(-1) ?? null,
    changeBytes: change,
    perMinuteBytes: perSecond === null ? null : perSecond * 60,
    bytes,
    growth: trend?.growth ?? null,
    course: trend?.course ?? null,
    grewEachTime,
  };
}

function categoryJson(diff: CategoryDiff): CategoryDiffJson {
  return {
    category: diff.category,
    ...courseJson(diff),
    uncomparedBytes: diff.uncompared,
    children: diff.children.map(categoryJson),
  };
}

/** @param whoOf returns null if the item is none of these */
function listJson<Fields extends object>(
  diff: ListDiff | null,
  whoOf: (who: Who) => Fields | null,
) {
  if (!diff) return null;
  const { items, grew, shrank, between, whole } = diff;
  return {
    items: items.flatMap((item) => {
      const who = whoOf(item.who);
      return who === null
        ? []
        : [{ ...who, ...courseJson(item), measure: item.by, status: item.status }];
    }),
    grewBytes: grew,
    shrankBytes: shrank,
    between,
    complete: whole,
  };
}

function without<W extends Who>({ kind: _, ...fields }: W): Omit<W, 'kind'> {
  return fields;
}
