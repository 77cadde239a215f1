import { type OutsideRow, rowName } from '../../account/outside-queues/row.js';
import { type CensusEntry, listedSocket } from '../../account/owners.js';
import type { CensusAnswer, CensusWhole } from '../../account/sockets.js';
import type { Origin } from '../../contracts/common.js';
import type { SocketLine, SocketsAnswer, SocketsEnd } from '../../contracts/sockets.js';
import { outsideQueuesWords } from './outside-queues.js';

/** Returns the answer to `sockets`. @param entries the sockets to list, of those in the answer */
export function socketsJson(
  answer: CensusAnswer & { readonly origin?: Origin },
  entries: readonly CensusEntry[],
  limit = Number.POSITIVE_INFINITY,
): SocketsAnswer {
  const { groups, origin } = answer;
  const { kernel, ...whole } = wholeJson(answer, origin);
  const listed = entries.slice(0, limit);
  return {
    schema: 'kdump-mem.sockets/1',
    kernel,
    sockets: listed.map(listedSocket),
    omitted: Math.max(0, (groups ?? entries).length - limit),
    allListed: isWhole(answer.sockets, listed),
    ...(groups ? { groups: groups.slice(0, limit) } : {}),
    ...whole,
  };
}

function isWhole(all: readonly CensusEntry[], listed: readonly CensusEntry[]): boolean {
  const there = new Set(listed);
  return all.every((entry) => there.has(entry) || (entry.total.complete && entry.total.pinnedBytes === 0));
}

/** Returns a line of `--ndjson`: one socket. */
export function socketLine(entry: CensusEntry): SocketLine {
  return { schema: 'kdump-mem.socket/1', ...listedSocket(entry) };
}

/** The last line of `--ndjson`, with the number of sockets. */
export function socketsEnd(whole: CensusWhole, origin: Origin, listed: number, omitted: number): SocketsEnd {
  return { schema: 'kdump-mem.sockets-end/1', listed, omitted, ...wholeJson(whole, origin) };
}

function wholeJson({ kernel, totals, outsideQueues, warnings }: CensusWhole, origin: Origin | undefined) {
  return { kernel, origin: origin ?? null, totals, outsideQueues: outsideQueues.map(outsideQueuesJson), warnings };
}

/** A row of memory outside socket queues, for JSON. */
export function outsideQueuesJson(row: OutsideRow): SocketsAnswer['outsideQueues'][number] {
  const { objects, bytes, complete } = row;
  const [what, message] = [rowName(row), outsideQueuesWords(row)];
  // Keys stand where they always stood.
  return row.status === 'at-most' || row.status === 'not-counted'
    ? { what, objects, bytes, message, complete }
    : { what, complete, objects, bytes, message };
}
