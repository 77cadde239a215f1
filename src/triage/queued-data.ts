import type { CensusEntry, Group } from '../account/census-entry.js';
import { ownersOf } from '../account/owners.js';
import type { CensusAnswer } from '../account/sockets.js';
import { hex } from '../base/hex.js';
import type { Finding } from './finding.js';
import { severityOf } from './severity-of.js';

/**
 * Who holds a notable part of the memory in queues of sockets: one socket; else a process, in many of them; else
 * many processes.
 *
 * @param memory bytes that the machine has
 */
export function queuedData(
  {
    sockets,
    processes,
    total,
    count,
  }: Pick<CensusAnswer, 'sockets' | 'processes' | 'total' | 'count'>,
  memory: number,
): Finding[] {
  const isMuch = (bytes: number) => severityOf(bytes, memory) !== undefined;
  const [single, small] = [true, false].map((wanted) =>
    sockets.filter(({ total }) => isMuch(total.pinnedBytes) === wanted),
  ) as [CensusEntry[], CensusEntry[]];
  const many = processes.filter(
    (group) =>
      group.pid !== null &&
      isMuch(group.total.pinnedBytes) &&
      isMuch(together(small.filter(heldBy(group)), group.total)),
  );
  const rest = small.filter((entry) => !many.some((group) => heldBy(group)(entry)));
  return [
    ...single.map((entry) => ofSocket(entry, memory)),
    ...many.map((group) => ofProcess(group, memory)),
    ...(isMuch(together(rest, total)) ? [ofMachine({ processes, total, count }, memory)] : []),
  ];
}

/** What these pin, bytes: of what several share more than there is, but no more than all of it. */
function together(some: readonly CensusEntry[], whole: Sum): number {
  const bytes = some.reduce((sum, { total }) => sum + total.pinnedBytes, 0);
  return Math.min(bytes, whole.pinnedBytes);
}

function heldBy({ pid }: Group): (entry: CensusEntry) => boolean {
  return (entry) => ownersOf(entry).some((owner) => owner.pid === pid);
}

type Sum = Pick<CensusAnswer['total'], 'pinnedBytes' | 'payloadBytes' | 'skbs'>;

function figuresOf({ pinnedBytes, payloadBytes, skbs }: Sum, memory: number) {
  return { pinnedBytes, payloadBytes, skbs, share: pinnedBytes / memory };
}

function ofSocket({ socket, holders, total, queues }: CensusEntry, memory: number): Finding {
  const [holder] = holders;
  const [queue] = Object.entries(queues).toSorted(([, a], [, b]) => b.pinnedBytes - a.pinnedBytes);
  return {
    code: 'queued-data',
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
    next: `skb --sock ${hex(socket.sock)}`,
  };
}

function ofProcess({ pid, comm, sockets, total, freedIfKilled }: Group, memory: number): Finding {
  return {
    code: 'queued-data-of-process',
    severity: severityOf(total.pinnedBytes, memory) ?? 'note',
    figures: {
      ...figuresOf(total, memory),
      sockets,
      pid,
      comm,
      freedIfKilledBytes: freedIfKilled?.low ?? null,
    },
    evidence: [],
    next: `skb --pid ${pid}`,
  };
}

function ofMachine(
  { processes, total, count }: Pick<CensusAnswer, 'processes' | 'total' | 'count'>,
  memory: number,
): Finding {
  const [most] = processes;
  return {
    code: 'queued-data-of-machine',
    severity: severityOf(total.pinnedBytes, memory) ?? 'note',
    figures: {
      ...figuresOf(total, memory),
      sockets: count,
      pid: most?.pid ?? null,
      comm: most?.comm ?? null,
      mostBytes: most?.total.pinnedBytes ?? null,
    },
    evidence: [],
    next: 'sockets --by process',
  };
}
