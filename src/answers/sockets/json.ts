import type { CensusEntry } from '../../account/census-entry.js';
import { type LedgerRow, rowName } from '../../account/ledger/row.js';
import type { CensusAnswer, CensusWhole } from '../../account/sockets.js';
import { hex } from '../../base/hex.js';
import { kernelJson } from '../kernel-json.js';
import { originJson } from '../origin-json.js';
import type { CensusEntryJson, SocketLineJson, SocketsEndJson, SocketsJson } from '../schema.js';
import { accountJson } from '../skb/json.js';
import { ledgerWords } from './ledger-words.js';

/** The answer to `sockets` as the JSON contract has it. */
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
      ? {
          groups: groups
            .slice(0, limit)
            .map(({ ownership, ...group }) => ({ ...group, ...ownership })),
        }
      : {}),
    ...whole,
  };
}

function isWhole(all: readonly CensusEntry[], listed: readonly CensusEntry[]): boolean {
  const there = new Set(listed);
  return all.every(
    (entry) => there.has(entry) || (entry.total.complete && entry.total.pinnedBytes === 0),
  );
}

/** A line of `--ndjson`: one socket. */
export function socketLine(entry: CensusEntry): SocketLineJson {
  return { schema: 'kdump-mem.socket/1', ...censusEntryJson(entry) };
}

/** The last line of `--ndjson`, after so many sockets. */
export function socketsEnd(whole: CensusWhole, listed: number, omitted: number): SocketsEndJson {
  return { schema: 'kdump-mem.sockets-end/1', listed, omitted, ...wholeJson(whole) };
}

function wholeJson({ kernel, origin, count, total, outsideQueues, warnings }: CensusWhole) {
  return {
    kernel: kernelJson(kernel),
    origin: originJson(origin),
    totals: { sockets: count, ...total },
    outsideQueues: outsideQueues.map(ledgerJson),
    warnings: [...warnings],
  };
}

function censusEntryJson(entry: CensusEntry): CensusEntryJson {
  return {
    ...accountJson(entry),
    holders: entry.holders.map((holder) => ({ ...holder })),
    mappedBy: entry.mappedBy.map((owner) => ({ ...owner })),
    foundBy: [...entry.foundBy],
    acceptedFrom: entry.acceptedFrom === undefined ? null : hex(entry.acceptedFrom),
    subflowOf: entry.subflowOf === undefined ? null : hex(entry.subflowOf),
    carriedBy: entry.carriedBy.map(hex),
    registeredWith: entry.registeredWith.flatMap(({ holders }) =>
      holders.map(({ task, fd }) => ({ pid: task.pid, comm: task.comm, fd })),
    ),
  };
}

/** A row of what is in no socket's queue as the JSON contract has it. */
export function ledgerJson(row: LedgerRow): SocketsJson['outsideQueues'][number] {
  const { objects, bytes, complete } = row;
  const [what, message] = [rowName(row), ledgerWords(row)];
  // Keys stand where they always stood.
  return row.status === 'at-most' || row.status === 'not-counted'
    ? { what, objects, bytes, message, complete }
    : { what, complete, objects, bytes, message };
}
