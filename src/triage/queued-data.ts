import { type CensusEntry, ownersOf } from '../account/owners.js';
import { countByProgram } from '../account/processes/groups.js';
import type { CensusAnswer } from '../account/sockets.js';
import { hex } from '../base/util.js';
import type { Figures, Group } from '../contracts/sockets.js';
import { type Finding, found, severityOf } from './finding.js';
import { THRESHOLDS } from './thresholds.js';

type Census = Pick<CensusAnswer, 'sockets' | 'processes' | 'totals'>;

/** Findings of the census. @param memory bytes of the machine */
export const censusFindings = (census: Census, memory: number): Finding[] => [
  ...queuedData(census, memory),
  ...unlistedSockets(census, memory),
];

/**
 * Owners of a large part of the memory in socket queues: a single socket, otherwise a process with many,
 * otherwise many processes.
 *
 * @param memory bytes of the machine
 */
export function queuedData({ sockets, processes, totals }: Census, memory: number): Finding[] {
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

/** Programs with many sockets that no table of the kernel has: `ss -a` does not list them. */
function unlistedSockets({ sockets, processes, totals }: Census, memory: number): Finding[] {
  const unlisted = sockets.filter(isUnlisted);
  const names = new Map<number, string | null>();
  const held = new Map<number, Set<CensusEntry>>();
  for (const entry of unlisted)
    for (const { pid, comm } of entry.holders) {
      names.set(pid, comm);
      held.set(pid, (held.get(pid) ?? new Set()).add(entry));
    }
  return countByProgram([...held], (pid) => names.get(pid) ?? null)
    .filter(({ count }) => count >= THRESHOLDS['unlisted-sockets'].note)
    .map(({ count, ...program }) => {
      const { pid, comm } = program;
      const own = unlisted.filter(({ holders }) =>
        holders.some((holder) => holder.pid === pid || (comm !== null && holder.comm === comm)),
      );
      const pinnedBytes = together(own, totals);
      const openSockets = processes.find((group) => group.pid === pid)?.sockets ?? null;
      const isOne = program.processes === undefined;
      const ofAll = { openSockets: isOne ? openSockets : null, allSockets: unlisted.length };
      const severity = severityOf(pinnedBytes, memory) === undefined ? 'note' : 'warning';
      const figures = { ...program, sockets: count, ...ofAll, pinnedBytes };
      const next = `sockets ${isOne ? `--pid ${pid} --all` : '--by process'} --state UNCONN`;
      return found('unlisted-sockets', severity, figures, next);
    });
}

/**
 * TCP sockets are in a table from bind or connect until they are closed or reset, UDP sockets while they have a port
 * (inet_hash, net/ipv4/inet_hashtables.c; udp_lib_get_port, net/ipv4/udp.c). `ss -a` leaves out those of TCP that
 * are only bound.
 */
function isUnlisted({ socket }: CensusEntry): boolean {
  const { protocol, state, localPort } = socket;
  if (protocol === 'TCP' || protocol === 'MPTCP') return state === 'CLOSE';
  return protocol === 'UDP' && (localPort ?? 0) === 0;
}
