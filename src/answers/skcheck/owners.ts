import { grouped } from '../../base/util.js';
import type { Observation } from '../../host/observation.js';
import type { Holder } from '../../host/proc/holders.js';
import type { ProcessRecord } from '../../host/proc/process.js';
import { type PinnedTogether, pinnedTogether } from '../../skcheck/diagnose.js';
import { type Finding, localPeersOf } from '../../skcheck/finding.js';
import type { PinnedEstimate } from '../../skcheck/pinned.js';
import { STALE_CODES } from '../../skcheck/verdict.js';
import type { SkcheckGrouping, SkcheckGroups, SkcheckReport, SkcheckSocket } from './schema.js';

type Owners = Pick<SkcheckSocket, 'via' | 'holders'>;

/**
 * Returns the processes that could read a socket: those that have it open, or, if it is not accepted, those
 * that have its listener open. If several listeners are possible, returns none unless one process has all of
 * them.
 */
export function ownersOf({ holders, processes, acceptQueue }: Finding): Owners {
  if (holders.length > 0) return { via: 'descriptor', holders: entries(holders, processes) };
  if (!acceptQueue) return { via: null, holders: [] };
  const known = acceptQueue.listeners.length === 1 || acceptQueue.holders.length === 1;
  return { via: 'accept-queue', holders: known ? entries(acceptQueue.holders, acceptQueue.processes) : [] };
}

function entries(holders: readonly Holder[], processes: readonly ProcessRecord[]): SkcheckSocket['holders'] {
  return holders.map(({ pid, fds }) => {
    const process = processes.find((candidate) => candidate.pid === pid);
    return {
      pid,
      comm: process?.comm ?? null,
      fds: [...fds],
      threadStates: process?.threadStates ?? null,
      waitsIn: process?.waitsIn ?? null,
      nsPids: process?.nsPids ?? [],
      cgroup: process?.cgroup?.path ?? null,
      container: process?.cgroup?.container ?? null,
      runtime: process?.cgroup?.runtime ?? null,
      pod: process?.cgroup?.pod ?? null,
    };
  });
}

/**
 * Returns the process whose stalled sockets pin most, and its share. A socket with several holders counts for
 * the first one, as in its row.
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
    (worst, owner) => (worst && comesBack(worst) >= comesBack(owner) ? worst : owner),
    null,
  );
}

type WorstOwnerJson = NonNullable<SkcheckReport['totals']['worstOwner']>;
/** A worst owner while its sums are computed. */
type WorstOwner = { -readonly [Key in keyof WorstOwnerJson]: WorstOwnerJson[Key] };

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

/** Returns the memory freed when an owner reads or exits, including the send queues of its local peers. */
export function comesBack(owner: WorstOwner): number {
  return owner.likelyPinnedBytes + owner.likelyLocalPeersBytes;
}

/** A finding, and its entry in the answer. */
interface Listed {
  readonly finding: Finding;
  readonly socket: SkcheckSocket;
}

/** Groups sockets; those with stalled ones first, then by the memory freed with them. */
export function groupsOf(
  listed: readonly Listed[],
  by: SkcheckGrouping,
  host: Observation['host'],
): SkcheckGroups['rows'] {
  const groups = grouped(listed, ({ socket }) => KEYS[by](socket));
  const freed = ({ pinned, localPeers }: SkcheckGroups['rows'][number]) => pinned.likely + localPeers.pinned.likely;
  return [...groups.values()]
    .map((members) => groupOf(members, by, host))
    .sort((a, b) => Number(b.stalled > 0) - Number(a.stalled > 0) || freed(b) - freed(a));
}

const KEYS: Record<SkcheckGrouping, (socket: SkcheckSocket) => number | string | null> = {
  process: ({ pid }) => pid,
  cgroup: ({ cgroup }) => cgroup,
  pod: ({ pod }) => pod,
};

function groupOf(
  members: readonly Listed[],
  by: SkcheckGrouping,
  host: Observation['host'],
): SkcheckGroups['rows'][number] {
  const sockets = members.map(({ socket }) => socket);
  const findings = members.map(({ finding }) => finding);
  const sum = (of: (socket: SkcheckSocket) => number) => sockets.reduce((all, socket) => all + of(socket), 0);
  const ages = sockets.flatMap(({ stalled }) => stalled.forMs ?? []);
  const { pinned, localPeers } = pinnedTogether(findings, host);
  const [first] = sockets;
  return {
    pid: (by === 'process' && first?.pid) || null,
    comm: (by === 'process' && first?.comm) || null,
    cgroup: (by === 'cgroup' && first?.cgroup) || null,
    pod: (by === 'pod' && first?.pod) || null,
    sockets: sockets.length,
    stalled: sum(({ stalled }) => Number(STALE_CODES.includes(stalled.verdict))),
    shared: sum(({ holders }) => Number(holders.length > 1)),
    unreadBytes: sum(({ unreadBytes }) => unreadBytes),
    unsentBytes: sum(({ unsentBytes }) => unsentBytes),
    drops: findings.reduce((all, { dropped }) => all + dropped, 0),
    forMs: ages.length === 0 ? null : Math.max(...ages),
    pinned: pinnedEntry(pinned),
    localPeers: peersEntry(localPeers),
  };
}

export function peersEntry({
  sockets,
  unsent,
  pinned,
}: PinnedTogether['localPeers']): SkcheckGroups['rows'][number]['localPeers'] {
  return { sockets, unsentBytes: unsent, pinned: pinnedEntry(pinned) };
}

/** An estimate in whole bytes. */
export function pinnedEntry(range: PinnedEstimate): SkcheckSocket['pinned'] {
  return {
    low: Math.floor(range.low),
    likely: Math.round(range.likely),
    high: Math.ceil(range.high),
    atMost: range.atMost === null ? null : Math.ceil(range.atMost),
  };
}
