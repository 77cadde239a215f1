import type { CensusEntry, Group } from '../account/census-entry.js';
import type { CensusAnswer } from '../account/sockets.js';
import { hex } from '../kernel/hex.js';
import type { Finding } from './finding.js';
import { severityOf } from './severity-of.js';

/**
 * Who holds a notable part of the memory in queues of sockets: one socket; else a process, in many of them; else
 * many processes.
 *
 * @param memory bytes that the machine has
 */
export function waitingData(
  {
    sockets,
    processes,
    total,
    count,
  }: Pick<CensusAnswer, 'sockets' | 'processes' | 'total' | 'count'>,
  memory: number,
): Finding[] {
  const isMuch = ({ total }: { total: { pinnedBytes: number } }) =>
    severityOf(total.pinnedBytes, memory) !== undefined;
  const single = sockets.filter(isMuch);
  const many = processes
    .filter(({ pid }) => pid !== null)
    .filter((group) => severityOf(besides(group, single), memory) !== undefined);
  // What two of them share is taken off twice: that may hide no more than what is told already.
  const told =
    sum(
      single.filter(
        ({ holders }) => !many.some(({ pid }) => holders.some((one) => one.pid === pid)),
      ),
    ) + sum(many);
  const rest = severityOf(total.pinnedBytes - told, memory);
  return [
    ...single.map((entry) => ofSocket(entry, memory)),
    ...many.map((group) => ofProcess(group, memory)),
    ...(rest === undefined ? [] : [ofMachine({ processes, total, count }, memory)]),
  ];
}

/** Bytes that a process has in sockets which are not told one by one. */
function besides({ pid, total }: Group, single: readonly CensusEntry[]): number {
  return (
    total.pinnedBytes - sum(single.filter(({ holders }) => holders.some((one) => one.pid === pid)))
  );
}

function sum(all: readonly { readonly total: { readonly pinnedBytes: number } }[]): number {
  return all.reduce((bytes, { total }) => bytes + total.pinnedBytes, 0);
}

type Sum = Pick<CensusAnswer['total'], 'pinnedBytes' | 'payloadBytes' | 'skbs'>;

function figuresOf({ pinnedBytes, payloadBytes, skbs }: Sum, memory: number) {
  return { pinnedBytes, payloadBytes, skbs, share: pinnedBytes / memory };
}

function ofSocket({ socket, holders, total, queues }: CensusEntry, memory: number): Finding {
  const [holder] = holders;
  const [queue] = Object.entries(queues).toSorted(([, a], [, b]) => b.pinnedBytes - a.pinnedBytes);
  return {
    code: 'waiting-data',
    severity: severityOf(total.pinnedBytes, memory) ?? 'note',
    figures: {
      ...figuresOf(total, memory),
      queue: queue?.[0] ?? null,
      sock: hex(socket.sock),
      family: socket.family,
      protocol: socket.protocol,
      pid: holder?.pid ?? null,
      comm: holder?.comm ?? null,
      fd: holder?.fd ?? null,
    },
    evidence: [],
    deeper: `skb --sock ${hex(socket.sock)}`,
  };
}

function ofProcess({ pid, comm, sockets, total, freedIfKilled }: Group, memory: number): Finding {
  return {
    code: 'waiting-data-of-process',
    severity: severityOf(total.pinnedBytes, memory) ?? 'note',
    figures: {
      ...figuresOf(total, memory),
      sockets,
      ...{ pid, comm },
      freedIfKilledBytes: freedIfKilled?.low ?? null,
    },
    evidence: [],
    deeper: `skb --pid ${pid}`,
  };
}

function ofMachine(
  { processes, total, count }: Pick<CensusAnswer, 'processes' | 'total' | 'count'>,
  memory: number,
): Finding {
  const [most] = processes;
  return {
    code: 'waiting-data-of-machine',
    severity: severityOf(total.pinnedBytes, memory) ?? 'note',
    figures: {
      ...figuresOf(total, memory),
      sockets: count,
      ...{ pid: most?.pid ?? null, comm: most?.comm ?? null },
      mostBytes: most?.total.pinnedBytes ?? null,
    },
    evidence: [],
    deeper: 'sockets --by process',
  };
}
