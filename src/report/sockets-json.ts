import type { CensusEntry, Grouping } from '../account/census-entry.js';
import type { CensusAnswer } from '../account/sockets.js';
import { hex } from '../kernel/hex.js';
import { kernelJson } from './kernel-json.js';
import type { CensusEntryJson, SocketsJson } from './schema.js';
import { accountJson } from './skb-json.js';

/** The answer to `sockets` as the JSON contract has it. */
export function socketsJson(
  answer: CensusAnswer,
  entries: readonly CensusEntry[],
  by?: Grouping,
  limit = Number.POSITIVE_INFINITY,
): SocketsJson {
  const groups = by && answer.groups[by];
  return {
    schema: 'kdump-mem.sockets/1',
    kernel: kernelJson(answer.kernel),
    sockets: entries.slice(0, limit).map(censusEntryJson),
    omitted: Math.max(0, (groups ?? entries).length - limit),
    ...(groups
      ? {
          groups: groups
            .slice(0, limit)
            .map(({ ownership, ...group }) => ({ ...group, ...ownership })),
        }
      : {}),
    totals: { sockets: answer.sockets.length, ...answer.total },
    unexplained: [...answer.unexplained],
    warnings: [...answer.warnings],
  };
}

/** One socket: an element of `sockets`, or a line of `--ndjson`. */
export function censusEntryJson(entry: CensusEntry): CensusEntryJson {
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
