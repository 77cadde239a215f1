import { type OutsideRow, rowName } from '../../account/outside-queues/row.js';
import type { CensusEntry } from '../../account/owners.js';
import type { CensusAnswer, CensusWhole } from '../../account/sockets.js';
import { hex } from '../../base/util.js';
import { kernelIdentity } from '../../kernel/identity.js';
import { originJson } from '../origin.js';
import type { CensusEntryJson, SocketLineJson, SocketsEndJson, SocketsJson } from '../schema.js';
import { accountJson } from '../skb/json.js';
import { outsideQueuesWords } from './outside-queues.js';

/** Returns the answer to `sockets` according to the JSON contract. */
export function socketsJson(
  answer: CensusAnswer,
  entries: readonly CensusEntry[],
  limit = Number.POSITIVE_INFINITY,
): SocketsJson {
  const { groups } = answer;
  const { kernel, ...whole } = wholeJson(answer);
  const listed = entries.slice(0, limit);
  return {
    schema: 'kdump-mem.sockets/1',
    kernel,
    sockets: listed.map(censusEntryJson),
    omitted: Math.max(0, (groups ?? entries).length - limit),
    allListed: isWhole(answer.sockets, listed),
    ...(groups
      ? { groups: groups.slice(0, limit).map(({ ownership, ...group }) => ({ ...group, ...ownership })) }
      : {}),
    ...whole,
  };
}

function isWhole(all: readonly CensusEntry[], listed: readonly CensusEntry[]): boolean {
  const there = new Set(listed);
  return all.every((entry) => there.has(entry) || (entry.total.complete && entry.total.pinnedBytes === 0));
}

/** Returns a line of `--ndjson`: one socket. */
export function socketLine(entry: CensusEntry): SocketLineJson {
  return { schema: 'kdump-mem.socket/1', ...censusEntryJson(entry) };
}

/** The last line of `--ndjson`, with the number of sockets. */
export function socketsEnd(whole: CensusWhole, listed: number, omitted: number): SocketsEndJson {
  return { schema: 'kdump-mem.sockets-end/1', listed, omitted, ...wholeJson(whole) };
}

function wholeJson({ kernel, origin, count, total, outsideQueues, warnings }: CensusWhole) {
  return {
    kernel: kernelIdentity(kernel),
    origin: originJson(origin),
    totals: { sockets: count, ...total },
    outsideQueues: outsideQueues.map(outsideQueuesJson),
    warnings,
  };
}

function censusEntryJson(entry: CensusEntry): CensusEntryJson {
  return {
    ...accountJson(entry),
    holders: entry.holders,
    mappedBy: entry.mappedBy,
    foundBy: entry.foundBy,
    acceptedFrom: entry.acceptedFrom === undefined ? null : hex(entry.acceptedFrom),
    subflowOf: entry.subflowOf === undefined ? null : hex(entry.subflowOf),
    carriedBy: entry.carriedBy.map(hex),
    registeredWith: entry.registeredWith.flatMap(({ holders }) =>
      holders.map(({ task, fd }) => ({ pid: task.pid, comm: task.comm, fd })),
    ),
  };
}

/** A row of memory outside socket queues, for JSON. */
export function outsideQueuesJson(row: OutsideRow): SocketsJson['outsideQueues'][number] {
  const { objects, bytes, complete } = row;
  const [what, message] = [rowName(row), outsideQueuesWords(row)];
  // Keys stand where they always stood.
  return row.status === 'at-most' || row.status === 'not-counted'
    ? { what, objects, bytes, message, complete }
    : { what, complete, objects, bytes, message };
}
