import { listedRow } from '../../account/outside-queues/row.js';
import { type CensusEntry, listedSocket } from '../../account/owners.js';
import type { CensusAnswer, CensusWhole } from '../../account/sockets.js';
import type { Origin } from '../../contracts/common.js';
import type { SocketLine, SocketsAnswer, SocketsEnd } from '../../contracts/sockets.js';

/** Returns the answer to `sockets`. @param entries the sockets to list, of those in the answer */
export function socketsJson(
  answer: CensusAnswer & { readonly origin?: Origin },
  entries: readonly CensusEntry[],
  limit = Number.POSITIVE_INFINITY,
): SocketsAnswer {
  const { kernel, groups, origin = null, totals, outsideQueues, warnings } = answer;
  const listed = entries.slice(0, limit);
  return {
    schema: 'kdump-mem.sockets/1',
    kernel,
    sockets: listed.map(listedSocket),
    omitted: Math.max(0, (groups ?? entries).length - limit),
    allListed: isWhole(answer.sockets, listed),
    ...(groups ? { groups: groups.slice(0, limit) } : {}),
    origin,
    totals,
    outsideQueues: outsideQueues.map(listedRow),
    warnings,
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
  const { kernel, totals, outsideQueues: rows, warnings } = whole;
  const outsideQueues = rows.map(listedRow);
  return { schema: 'kdump-mem.sockets-end/1', listed, omitted, kernel, origin, totals, outsideQueues, warnings };
}
