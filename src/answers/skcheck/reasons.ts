import type { ProcessRecord } from '../../host/proc/process.js';
import type { FdLeak } from '../../skcheck/diagnose.js';
import type { Finding, LocalPeer } from '../../skcheck/finding.js';
import type { Evidence } from '../../skcheck/verdict.js';

/**
 * Codes of evidence: about the socket, further facts, the owner's state, why there is no owner, about the
 * process.
 */
export const SKCHECK_REASON_CODES = [
  'consumed-nothing',
  'consumed',
  'consumed-part',
  'newest-data',
  'came-since',
  'did-not-run',
  'partly-idle',
  'queue-was-read',
  'both-ran',
  'acknowledged-nothing',
  'accepted-nothing',
  'backlog-full',
  'dropped',
  'waits-for-each-other',
  'no-holder',
  'no-tcp-info',
  'raced',
  'first-sample-torn',
  'one-sample',
  'also-dropped',
  'dropped-before',
  'local-peer',
  'owner-spins',
  'owner-busy',
  'owner-lacks-cpu',
  'owner-stopped',
  'owner-traced',
  'owner-frozen',
  'owner-runs',
  'owner-blocked',
  'owner-sleeps',
  'owner-exited',
  'owner-in-state',
  'owner-state-unknown',
  'in-accept-queue',
  'unaccepted',
  'orphan',
  'owner-not-shown',
  'owner-not-found',
  'descriptors-grew',
  'exited',
] as const;
type ReasonCode = (typeof SKCHECK_REASON_CODES)[number];

interface Of<Code extends ReasonCode, Figures = Record<never, never>> {
  readonly code: Code;
  readonly figures: Figures;
}

/**
 * Evidence from kernel counters that changed or did not. Units (milliseconds, bytes, counts) are in the
 * names.
 */
export type SeenReason =
  | Of<'consumed-nothing', { watchedMs: number }>
  | Of<'consumed', { readBytes: number; watchedMs: number }>
  | Of<'consumed-part', { readBytes: number; receivedBytes: number; watchedMs: number }>
  | Of<'newest-data', { ageMs: number }>
  | Of<'came-since', { watchedMs: number }>
  | Of<'did-not-run', { side: 'reader' | 'writer' | 'either'; watchedMs: number; holdersComplete: boolean }>
  | Of<'partly-idle', { idleMs: number; watchedMs: number }>
  | Of<'queue-was-read' | 'no-holder' | 'no-tcp-info' | 'raced' | 'first-sample-torn'>
  | Of<'one-sample'>
  | Of<'both-ran', { protocol: string; watchedMs: number }>
  | Of<'acknowledged-nothing', { unsentBytes: number; windowClosed: boolean; expired: number; watchedMs: number }>
  | Of<'accepted-nothing', { waiting: number; watchedMs: number }>
  | Of<'backlog-full', { waiting: number; limit: number; refused: number }>
  | Of<'dropped', { packets: number; queueBytes: number | null; limitBytes: number | null; watchedMs: number }>
  | Of<'waits-for-each-other', { peerInode: number; peerPid: number | null; watchedMs: number }>;

/** Evidence from the process that opened the socket first. Shares: 1 is all of one CPU’s time. */
export type OwnerReason =
  | Of<'owner-spins' | 'owner-busy' | 'owner-lacks-cpu', { cpuUsedShare: number; cpuWaitedShare: number }>
  | Of<'owner-stopped' | 'owner-traced' | 'owner-frozen' | 'owner-runs', { threads: number }>
  | Of<'owner-exited', { threads: number }>
  | Of<'owner-blocked' | 'owner-sleeps', { threads: number; waitsIn: string | null }>
  | Of<'owner-in-state', { threads: number; state: string }>
  | Of<'owner-state-unknown'>;

/** Why no process is known that has the socket open. */
export type OwnerlessReason =
  | Of<'in-accept-queue', { listeners: number; holders: number }>
  | Of<'unaccepted' | 'orphan' | 'owner-not-shown' | 'owner-not-found'>;

export type LeakReason =
  | Of<'descriptors-grew', { samples: number; from: number; to: number; watchedMs: number }>
  | Of<'exited'>;

export type SkcheckReason =
  | SeenReason
  | Of<'also-dropped', { packets: number }>
  | Of<'dropped-before', { packets: number; watchedMs: number | null }>
  | Of<
      'local-peer',
      { peerInode: number; peerPid: number | null; peerComm: string | null } & {
        peerFd: number | null;
        unsentBytes: number;
        likelyPinnedBytes: number;
      }
    >
  | OwnerReason
  | OwnerlessReason
  | LeakReason;

/** Returns the reasons for a verdict: observations first, then the owner's activity. */
export function reasonsOf(finding: Finding): SkcheckReason[] {
  const { verdict, socket, dropped } = finding;
  const reasons: SkcheckReason[] = [seenReason(verdict.evidence, socket.protocol)];
  if (dropped > 0 && verdict.verdict !== 'udp-dropping' && socket.state !== 'LISTEN')
    reasons.push({ code: 'also-dropped', figures: { packets: dropped } });
  if (finding.localPeer) reasons.push(peerReason(finding.localPeer));
  if (finding.droppedBefore) reasons.push({ code: 'dropped-before', figures: finding.droppedBefore });
  if (verdict.verdict === 'reading') return reasons;
  const owner = ownerReason(finding) ?? ownerlessReason(finding);
  return owner ? [...reasons, owner] : reasons;
}

function peerReason({ inode, holder, process, unsent, pinned }: LocalPeer): SkcheckReason {
  return {
    code: 'local-peer',
    figures: {
      peerInode: inode,
      peerPid: holder?.pid ?? null,
      peerComm: process?.comm ?? null,
      peerFd: holder?.fds[0] ?? null,
      unsentBytes: unsent,
      likelyPinnedBytes: Math.round(pinned.likely),
    },
  };
}

/** Returns the reasons for a descriptor leak; `lives`: the name of the process could be read. */
export function leakReasons(leak: FdLeak, lives: boolean): LeakReason[] {
  const { samples, from, to } = leak;
  const grew: LeakReason = {
    code: 'descriptors-grew',
    figures: { samples, from, to, watchedMs: Math.floor(leak.watchedMs) },
  };
  return lives ? [grew] : [grew, { code: 'exited', figures: {} }];
}

export function seenReason(evidence: Evidence, protocol: string): SeenReason {
  const watchedMs = 'watchedMs' in evidence ? Math.floor(evidence.watchedMs) : 0;
  switch (evidence.kind) {
    case 'consumed-nothing':
    case 'came-since':
      return { code: evidence.kind, figures: { watchedMs } };
    case 'consumed':
      return { code: 'consumed', figures: { readBytes: evidence.bytes, watchedMs } };
    case 'consumed-part': {
      const { bytes: readBytes, received: receivedBytes } = evidence;
      return { code: 'consumed-part', figures: { readBytes, receivedBytes, watchedMs } };
    }
    case 'newest-data':
      return { code: 'newest-data', figures: { ageMs: Math.floor(evidence.ageMs) } };
    case 'did-not-run': {
      const { side, holdersComplete } = evidence;
      return { code: 'did-not-run', figures: { side, watchedMs, holdersComplete } };
    }
    case 'partly-idle':
      return { code: 'partly-idle', figures: { idleMs: Math.floor(evidence.idleMs), watchedMs } };
    case 'both-ran':
      return { code: 'both-ran', figures: { protocol, watchedMs } };
    case 'acknowledged-nothing': {
      const { unsentBytes, probing: windowClosed, expired } = evidence;
      const figures = { unsentBytes, windowClosed, expired, watchedMs };
      return { code: 'acknowledged-nothing', figures };
    }
    case 'accepted-nothing':
      return { code: 'accepted-nothing', figures: { waiting: evidence.waiting, watchedMs } };
    case 'backlog-full': {
      const { waiting, limit, dropped: refused } = evidence;
      return { code: 'backlog-full', figures: { waiting, limit, refused } };
    }
    case 'dropped':
      return {
        code: 'dropped',
        figures: {
          packets: evidence.packets,
          queueBytes: evidence.queue?.bytes ?? null,
          limitBytes: evidence.queue?.limit ?? null,
          watchedMs,
        },
      };
    case 'waits-for-each-other': {
      const { peerInode, peerPid } = evidence;
      return { code: 'waits-for-each-other', figures: { peerInode, peerPid, watchedMs } };
    }
    case 'queue-was-read':
    case 'no-holder':
    case 'no-tcp-info':
    case 'raced':
    case 'first-sample-torn':
    case 'one-sample':
      return { code: evidence.kind, figures: {} };
  }
}

/** CPU share above which a process is considered busy: if it reads nothing, with something else. */
const SPINNING = 0.8;

/** Returns the owner's activity; undefined: no process is known. */
function ownerReason({ verdict, processes, cpuShare }: Finding): OwnerReason | undefined {
  const [process] = processes;
  if (!process) return undefined;
  if (cpuShare && cpuShare.used + cpuShare.waited >= SPINNING) {
    const reads = verdict.verdict === 'udp-dropping' || verdict.verdict === 'slow-reader';
    const lacks = cpuShare.waited > cpuShare.used;
    return {
      code: !reads ? 'owner-spins' : lacks ? 'owner-lacks-cpu' : 'owner-busy',
      figures: { cpuUsedShare: share(cpuShare.used), cpuWaitedShare: share(cpuShare.waited) },
    };
  }
  if (process.threadStates !== '') return threadReason(process);
  return process.comm === '' ? undefined : { code: 'owner-state-unknown', figures: {} };
}

const share = (value: number) => Math.round(value * 1e4) / 1e4;

function threadReason({ threadStates, waitsIn }: ProcessRecord): OwnerReason {
  const threads = threadStates.length;
  if (/^T+$/.test(threadStates)) return { code: 'owner-stopped', figures: { threads } };
  if (/^[Tt]+$/.test(threadStates)) return { code: 'owner-traced', figures: { threads } };
  if (isFrozen(threadStates, waitsIn)) return { code: 'owner-frozen', figures: { threads } };
  const [state = '?'] = threadStates;
  switch (state) {
    case 'R':
      return { code: 'owner-runs', figures: { threads } };
    case 'D':
      return { code: 'owner-blocked', figures: { threads, waitsIn } };
    case 'S':
    case 'I':
      return { code: 'owner-sleeps', figures: { threads, waitsIn } };
    case 'Z':
    case 'X':
      return { code: 'owner-exited', figures: { threads } };
    default:
      return { code: 'owner-in-state', figures: { threads, state } };
  }
}

/**
 * Whether all threads are frozen. Frozen threads sleep in __refrigerator (v1 freezer) or do_freezer_trap (v2
 * freezer). Newer compilers inline the latter into get_signal, where a thread in state S sleeps for no other
 * reason.
 */
function isFrozen(threadStates: string, waitsIn: string | null): boolean {
  if (waitsIn === '__refrigerator' || waitsIn === 'do_freezer_trap') return true;
  return waitsIn === 'get_signal' && threadStates.startsWith('S');
}

const OWNERLESS = {
  unaccepted: 'unaccepted',
  orphan: 'orphan',
  denied: 'owner-not-shown',
  none: 'owner-not-found',
} as const;

function ownerlessReason({ acceptQueue, ownerless }: Finding): OwnerlessReason | undefined {
  if (acceptQueue) {
    const { listeners, holders } = acceptQueue;
    const figures = { listeners: listeners.length, holders: holders.length };
    return { code: 'in-accept-queue', figures };
  }
  return ownerless === null ? undefined : { code: OWNERLESS[ownerless], figures: {} };
}
