import type { Observation } from '../host/observation.js';
import { AcceptQueues, belongsTo, dropsAreLosses, OtherEnds, type SocketRecord, socketKey } from '../host/socket.js';
import { type Finding, findingOf, localPeersOf } from './finding.js';
import { judge, judgeAccepting, judgeBacklog, judgeSender, unreadBytes } from './judge.js';
import { type PinnedEstimate, type SocketPinned, sumPinned } from './pinned.js';
import { type Ages, SocketHistory } from './socket-history.js';
import { bySeverity, isProblem, STALE_CODES, VERDICT_CODES, type Verdict, type VerdictCode } from './verdict.js';

export interface Diagnosis {
  /** Most severe verdict first, then by pinned memory. */
  readonly findings: readonly Finding[];
  readonly fdLeaks: readonly FdLeak[];
  /** Number of sockets examined, including idle and listening ones. */
  readonly examined: number;
  /** Number of sockets that are no longer read. */
  readonly stalled: number;
  readonly undecided: number;
  readonly counts: Readonly<Record<VerdictCode, number>>;
  /** Totals over the sockets that are no longer read. */
  readonly totals: {
    readonly unread: number;
    /** Number of them without a known upper bound. */
    readonly unbounded: number;
    /** Number of local peers that are stalled senders. */
    readonly stalledSenders: number;
    /** Number of listeners that never accept, and whose queues contain some of these sockets. */
    readonly listeners: number;
  } & PinnedTogether;
}

/** What several findings pin. */
export interface PinnedTogether {
  readonly pinned: PinnedEstimate;
  /** Memory pinned by the send queues of their local peers, if not included in `pinned`. */
  readonly localPeers: { readonly sockets: number; readonly unsent: number; readonly pinned: PinnedEstimate };
}

export function pinnedTogether(findings: readonly Finding[], host: Observation['host']): PinnedTogether {
  const sumOf = (pins: readonly SocketPinned[]) =>
    sumPinned(
      pins.map(({ pinned }) => pinned),
      pins.reduce((sum, { charge }) => sum + charge, 0),
      host,
    );
  const peers = localPeersOf(findings);
  const unsent = peers.reduce((sum, peer) => sum + peer.unsent, 0);
  return { pinned: sumOf(findings), localPeers: { sockets: peers.length, unsent, pinned: sumOf(peers) } };
}

export interface DiagnoseOptions {
  /** Minimum unread data in bytes (default 1). */
  readonly minBytes?: number;
  /** Minimum known duration of a problem in milliseconds (default 0). */
  readonly minAgeMs?: number;
  readonly accepts?: (socket: SocketRecord) => boolean;
  /** Conclusions of earlier samples. */
  readonly ages?: Ages;
  /** Order within a verdict: by pinned memory, or by growth. */
  readonly sort?: 'pinned' | 'growth';
}

/** Derives verdicts from an observation. */
export function diagnose(observation: Observation, options: DiagnoseOptions = {}): Diagnosis {
  const { onlyInodes } = observation;
  const newest = observation.last ?? observation.first;
  const history = new SocketHistory(observation);
  const findings: Finding[] = [];
  const belongs = belongsTo(onlyInodes, new AcceptQueues(newest.sockets));
  let unaccepted = 0;
  for (const socket of newest.sockets) {
    if (!belongs(socket)) continue;
    if (onlyInodes && !onlyInodes.has(socket.inode)) unaccepted++;
    if (!(options.accepts?.(socket) ?? true)) continue;
    const hasUnread = unreadBytes(socket) >= Math.max(1, options.minBytes ?? 1);
    const [single, ...rest] = [
      ...(hasUnread ? [judgeReader(socket, history)] : []),
      ...judgeOthers(socket, history),
    ].map((verdict) => options.ages?.extend(socketKey(socket), verdict, newest.startedMs) ?? verdict);
    if (!single) continue;
    const finding = findingOf(socket, [single, ...rest], observation, history);
    const { verdict, waitedMs } = finding.verdict;
    const age = options.minAgeMs ?? 0;
    if (age > 0 && isProblem(verdict) && (waitedMs === null || waitedMs < age)) continue;
    findings.push(finding);
  }
  markDeadlockedPairs(observation, findings);
  findings.sort(
    (a, b) =>
      bySeverity(a.verdict, b.verdict) ||
      (options.sort === 'growth' ? b.grew - a.grew : 0) ||
      b.pinned.likely - a.pinned.likely ||
      b.unread - a.unread,
  );
  options.ages?.note(findings, newest.startedMs);
  const stalled = findings.filter((finding) => STALE_CODES.includes(finding.verdict.verdict));
  const counts = Object.fromEntries(VERDICT_CODES.map((code) => [code, 0])) as Record<VerdictCode, number>;
  for (const finding of findings) counts[finding.verdict.verdict]++;
  const peers = new Set(localPeersOf(stalled).map(({ socket }) => socket));
  const queues = new Set(stalled.flatMap(({ acceptQueue }) => acceptQueue?.listeners ?? []));
  const among = (sockets: ReadonlySet<SocketRecord>, code: VerdictCode) =>
    findings.filter(({ verdict, socket }) => verdict.verdict === code && sockets.has(socket)).length;
  return {
    findings,
    fdLeaks: findFdLeaks(observation),
    examined: onlyInodes ? onlyInodes.size + unaccepted : newest.total,
    stalled: stalled.length,
    undecided: counts.undecided,
    counts,
    totals: {
      unread: stalled.reduce((sum, finding) => sum + finding.unread, 0),
      unbounded: stalled.filter(({ pinned }) => pinned.atMost === null).length,
      stalledSenders: among(peers, 'stalled-sender'),
      listeners: among(queues, 'never-accepting'),
      ...pinnedTogether(stalled, observation.host),
    },
  };
}

/** Turns two stalled readers that are each other's peers, and have both sent data, into a deadlocked pair. */
function markDeadlockedPairs(observation: Observation, findings: Finding[]): void {
  const { last } = observation;
  if (!last) return;
  const stalled = findings.filter((finding) => finding.verdict.verdict === 'stalled-reader');
  const bySocket = new Map(stalled.map((finding) => [finding.socket, finding] as const));
  const ends = new OtherEnds(stalled.map((finding) => finding.socket));
  for (const [index, finding] of findings.entries()) {
    if (!bySocket.has(finding.socket)) continue;
    const otherEnd = ends.of(finding.socket);
    const peer = otherEnd && bySocket.get(otherEnd);
    if (!peer) continue;
    const tcp = finding.socket.protocol === 'TCP';
    const stuck = (finding: Finding) => finding.also.some(({ verdict }) => verdict === 'stalled-sender');
    if (tcp && !(stuck(finding) && stuck(peer))) continue;
    const waited = [finding.verdict.waitedMs, peer.verdict.waitedMs];
    findings[index] = {
      ...finding,
      verdict: {
        verdict: 'deadlocked-pair',
        certainty: tcp ? finding.verdict.certainty : 'likely',
        waitedMs: waited.includes(null) ? null : Math.min(...waited.map((wait) => wait ?? 0)),
        evidence: {
          kind: 'waits-for-each-other',
          peerInode: peer.socket.inode,
          peerPid: peer.holders[0]?.pid ?? null,
          watchedMs: Math.max(0, last.startedMs - observation.first.endedMs),
        },
      },
      also: [finding.verdict, ...finding.also],
    };
  }
}

/** Judges whether a socket with unread data is being read. */
function judgeReader(socket: SocketRecord, history: SocketHistory): Verdict {
  return judge({
    first: history.first(socket),
    last: history.last(socket),
    firstIsTorn: history.firstIsTorn(socket),
    windows: history.windows(socket),
  });
}

/** Finds further problems: as a listener, as a sender, or because of drops. */
function judgeOthers(socket: SocketRecord, history: SocketHistory): Verdict[] {
  const verdicts =
    socket.state === 'LISTEN'
      ? judgeListener(socket, history)
      : [judgeSender(history.first(socket), history.last(socket)), judgeDropping(socket, history)];
  return verdicts.filter((verdict) => verdict !== null);
}

function judgeListener(socket: SocketRecord, history: SocketHistory): (Verdict | null)[] {
  const first = history.first(socket);
  const last = history.last(socket);
  if (!first || !last) return [];
  const accepting = judgeAccepting({
    first,
    last,
    ...history.waiting(first.socket, socket),
    windows: history.windows(socket),
  });
  return [accepting, judgeBacklog(first.socket, socket)];
}

function judgeDropping(socket: SocketRecord, history: SocketHistory): Verdict | null {
  const first = history.first(socket);
  const last = history.last(socket);
  const packets = history.dropped(socket);
  if (packets === 0 || !first || !last || !dropsAreLosses(socket.protocol)) return null;
  const watchedMs = Math.max(0, last.startedMs - first.endedMs);
  return {
    verdict: 'udp-dropping',
    certainty: 'proved',
    waitedMs: null,
    evidence: {
      kind: 'dropped',
      packets,
      queue: socket.skmem && { bytes: socket.skmem.rmem, limit: socket.skmem.rcvbuf },
      watchedMs,
    },
  };
}

/** A process whose number of open descriptors grew from each sample to the next. */
export interface FdLeak {
  readonly pid: number;
  readonly from: number;
  readonly to: number;
  readonly samples: number;
  readonly watchedMs: number;
}

/** Smaller growth is normal. */
const MIN_GROWTH = 10;
const MIN_SAMPLES = 3;

/**
 * Finds processes that had more descriptors at each of three or more samples than at the one before. A server
 * that is warming up looks the same, so this is a hint, never proof.
 */
function findFdLeaks({ descriptors, first, last }: Observation): FdLeak[] {
  const counts = descriptors[0];
  if (!counts || !last || descriptors.length < MIN_SAMPLES) return [];
  const leaks: FdLeak[] = [];
  for (const [pid, from] of counts) {
    let before = -1;
    const grew = descriptors.every((sample) => {
      const now = sample.get(pid) ?? -1;
      const increased = now > before;
      before = now;
      return increased;
    });
    if (grew && before - from >= MIN_GROWTH)
      leaks.push({
        pid,
        from,
        to: before,
        samples: descriptors.length,
        watchedMs: Math.max(0, last.startedMs - first.endedMs),
      });
  }
  return leaks.sort((a, b) => b.to - b.from - (a.to - a.from));
}
