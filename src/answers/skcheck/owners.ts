import type { Holder } from '../../host/proc/holders.js';
import type { ProcessRecord } from '../../host/proc/process.js';
import { type Finding, localPeersOf } from '../../skcheck/finding.js';
import { STALE_CODES } from '../../skcheck/verdict.js';
import type { SkcheckReport, SkcheckSocket } from './schema.js';

type Owners = Pick<SkcheckSocket, 'via' | 'holders'>;

/**
 * Who could read a socket: those who have it open, else those who have the listener open that has not
 * accepted it. Where several listeners may have it, nobody, unless one process has all of them.
 */
export function ownersOf({ holders, processes, acceptQueue }: Finding): Owners {
  if (holders.length > 0) return { via: 'descriptor', holders: entries(holders, processes) };
  if (!acceptQueue) return { via: null, holders: [] };
  const known = acceptQueue.listeners.length === 1 || acceptQueue.holders.length === 1;
  return {
    via: 'accept-queue',
    holders: known ? entries(acceptQueue.holders, acceptQueue.processes) : [],
  };
}

function entries(
  holders: readonly Holder[],
  processes: readonly ProcessRecord[],
): SkcheckSocket['holders'] {
  return holders.map(({ pid, fds }) => {
    const process = processes.find((each) => each.pid === pid);
    return {
      pid,
      comm: process?.comm ?? null,
      fds: [...fds],
      threadStates: process?.threadStates ?? null,
      waitsIn: process?.waitsIn ?? null,
      nsPids: [...(process?.nsPids ?? [])],
      cgroup: process?.cgroup?.path ?? null,
      container: process?.cgroup?.container ?? null,
      runtime: process?.cgroup?.runtime ?? null,
      pod: process?.cgroup?.pod ?? null,
    };
  });
}

/**
 * The process whose stalled sockets pin most, and how much of the whole that is. A socket that several
 * hold is told of the first of them, as its row is.
 */
export function worstOwnerOf(findings: readonly Finding[]): SkcheckReport['totals']['worstOwner'] {
  const byPid = new Map<number, { owner: WorstOwner; findings: Finding[] }>();
  for (const finding of findings) {
    if (!STALE_CODES.includes(finding.verdict.verdict)) continue;
    const { via, holders } = ownersOf(finding);
    const [first, ...others] = holders;
    if (!first) continue;
    const entry = byPid.get(first.pid) ?? { owner: ownerWithout(first), findings: [] };
    byPid.set(first.pid, entry);
    entry.findings.push(finding);
    const { owner } = entry;
    owner.sockets++;
    owner.stopped &&= holders.every(({ threadStates }) => /^T+$/.test(threadStates ?? ''));
    if (others.length > 0) owner.shared++;
    if (via === 'accept-queue') owner.unaccepted++;
    owner.likelyPinnedBytes += Math.round(finding.pinned.likely);
  }
  const owners = [...byPid.values()].map(({ owner, findings: own }) => {
    const peers = localPeersOf(own);
    const likely = peers.reduce((sum, { pinned }) => sum + Math.round(pinned.likely), 0);
    return { ...owner, localPeers: peers.length, likelyLocalPeersBytes: likely };
  });
  return owners.reduce<WorstOwner | null>(
    (worst, each) => (worst && comesBack(worst) >= comesBack(each) ? worst : each),
    null,
  );
}

type WorstOwner = NonNullable<SkcheckReport['totals']['worstOwner']>;

function ownerWithout({ pid, comm }: SkcheckSocket['holders'][number]): WorstOwner {
  return {
    pid,
    comm,
    sockets: 0,
    shared: 0,
    stopped: true,
    unaccepted: 0,
    likelyPinnedBytes: 0,
    localPeers: 0,
    likelyLocalPeersBytes: 0,
  };
}

/** What is freed when an owner reads or exits, its local peers' send queues included. */
export function comesBack(owner: WorstOwner): number {
  return owner.likelyPinnedBytes + owner.likelyLocalPeersBytes;
}
