import type { Finding } from '../../diagnosis/finding.js';
import { STALE_CODES } from '../../diagnosis/verdict.js';
import type { Holder } from '../../host/proc/holders.js';
import type { ProcessRecord } from '../../host/proc/process.js';
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
  const byPid = new Map<number, NonNullable<SkcheckReport['totals']['worstOwner']>>();
  for (const finding of findings) {
    if (!STALE_CODES.includes(finding.verdict.verdict)) continue;
    const { via, holders } = ownersOf(finding);
    const [first, ...others] = holders;
    if (!first) continue;
    const owner = byPid.get(first.pid) ?? {
      pid: first.pid,
      comm: first.comm,
      sockets: 0,
      shared: 0,
      stopped: true,
      unaccepted: 0,
      likelyPinnedBytes: 0,
    };
    byPid.set(first.pid, owner);
    owner.sockets++;
    owner.stopped &&= holders.every(({ threadStates }) => /^T+$/.test(threadStates ?? ''));
    if (others.length > 0) owner.shared++;
    if (via === 'accept-queue') owner.unaccepted++;
    owner.likelyPinnedBytes += Math.round(finding.pinned.likely);
  }
  return [...byPid.values()].reduce<SkcheckReport['totals']['worstOwner']>(
    (worst, each) => (worst && worst.likelyPinnedBytes >= each.likelyPinnedBytes ? worst : each),
    null,
  );
}
