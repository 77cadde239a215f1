import { type CensusEntry, ownersOf } from '../account/owners.js';
import type { CensusAnswer } from '../account/sockets.js';
import { hex } from '../base/util.js';
import type { Figures, Group } from '../contracts/sockets.js';
import { type Finding, found, severityOf } from './finding.js';

/**
 * Owners of a large part of the memory in socket queues: a single socket, otherwise a process with many,
 * otherwise many processes.
 *
 * @param memory bytes of the machine
 */
export function queuedData(
  { sockets, processes, totals }: Pick<CensusAnswer, 'sockets' | 'processes' | 'totals'>,
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
    ...many.map((group) => {
      const holding = sockets.filter(({ total }) => total.pinnedBytes > 0).filter(heldBy(group));
      return ofProcess(group, holding.length, memory);
    }),
    ...(isMuch(together(rest, totals)) ? [ofMachine({ processes, totals }, memory)] : []),
  ];
}

/**
 * Bytes that these sockets pin. Shared memory counts several times, but the result is limited to the total.
 */
function together(some: readonly CensusEntry[], whole: Sum): number {
  const bytes = some.reduce((sum, { total }) => sum + total.pinnedBytes, 0);
  return Math.min(bytes, whole.pinnedBytes);
}

function heldBy({ pid }: Group): (entry: CensusEntry) => boolean {
  return (entry) => ownersOf(entry).some((owner) => owner.pid === pid);
}

type Sum = Pick<Figures, 'pinnedBytes' | 'payloadBytes' | 'skbs'>;

function figuresOf({ pinnedBytes, payloadBytes, skbs }: Sum, memory: number) {
  return { pinnedBytes, payloadBytes, skbs, share: pinnedBytes / memory };
}

function ofSocket({ socket, holders, total, queues }: CensusEntry, memory: number): Finding {
  const [holder] = holders;
  const [queue] = Object.entries(queues).toSorted(([, a], [, b]) => b.pinnedBytes - a.pinnedBytes);
  const figures = {
    ...figuresOf(total, memory),
    queue: queue?.[0] ?? null,
    sock: hex(socket.sock),
    family: socket.family,
    protocol: socket.protocol,
    pid: holder?.pid ?? null,
    comm: holder?.comm ?? null,
    fd: holder?.fd ?? null,
  };
  const next = holder ? `skb --pid ${holder.pid} --fd ${holder.fd}` : `skb --sock ${hex(socket.sock)}`;
  return found('queued-data', severityOf(total.pinnedBytes, memory) ?? 'note', figures, next);
}

/** @param sockets number of its sockets that pin memory */
function ofProcess({ pid, comm, total, freedIfKilled }: Group, sockets: number, memory: number): Finding {
  const freedIfKilledBytes = freedIfKilled?.low ?? null;
  const figures = { ...figuresOf(total, memory), sockets, pid, comm, freedIfKilledBytes };
  return found('queued-data-of-process', severityOf(total.pinnedBytes, memory) ?? 'note', figures, `skb --pid ${pid}`);
}

function ofMachine({ processes, totals }: Pick<CensusAnswer, 'processes' | 'totals'>, memory: number): Finding {
  const [most] = processes;
  const figures = {
    ...figuresOf(totals, memory),
    sockets: totals.sockets,
    pid: most?.pid ?? null,
    comm: most?.comm ?? null,
    mostBytes: most?.total.pinnedBytes ?? null,
  };
  const severity = severityOf(totals.pinnedBytes, memory) ?? 'note';
  return found('queued-data-of-machine', severity, figures, 'sockets --by process');
}
