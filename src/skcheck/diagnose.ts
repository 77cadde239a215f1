import { AcceptQueues, belongsTo } from '../host/accept-queues.js';
import type { Observation } from '../host/observation.js';
import { OtherEnds } from '../host/pairs.js';
import { dropsAreLosses, type SocketRecord, socketKey } from '../host/socket.js';
import type { Ages } from './ages.js';
import { type FdLeak, findFdLeaks } from './fd-leak.js';
import { type Finding, findingOf, localPeersOf } from './finding.js';
import { judge, unreadBytes } from './judge.js';
import { judgeAccepting, judgeBacklog } from './judge-listener.js';
import { judgeSender } from './judge-sender.js';
import { type PinnedEstimate, sumPinned } from './pinned.js';
import { SocketHistory } from './socket-history.js';
import {
  bySeverity,
  isProblem,
  STALE_CODES,
  VERDICT_CODES,
  type Verdict,
  type VerdictCode,
} from './verdict.js';

export interface Diagnosis {
  /** The worst verdict first, within it what pins most. */
  readonly findings: readonly Finding[];
  readonly fdLeaks: readonly FdLeak[];
  /** Sockets looked at, idle and listening ones too. */
  readonly examined: number;
  /** Sockets that nobody reads any more. */
  readonly stalled: number;
  readonly undecided: number;
  readonly counts: Readonly<Record<VerdictCode, number>>;
  /** Of the sockets that nobody reads any more. */
  readonly totals: {
    readonly unread: number;
    readonly pinned: PinnedEstimate;
    /** How many of them have no upper bound that is known. */
    readonly unbounded: number;
    /** What the send queues of their local peers keep, as far as `pinned` does not have it. */
    readonly localPeers: {
      readonly sockets: number;
      readonly unsent: number;
      readonly pinned: PinnedEstimate;
    };
  };
}

export interface DiagnoseOptions {
  /** Less unread data than this is passed over; 1. */
  readonly minBytes?: number;
  /** What is wrong for less time than this (or for an unknown one) is passed over; 0. */
  readonly minAgeMs?: number;
  readonly accepts?: (socket: SocketRecord) => boolean;
  /** What earlier looks concluded. */
  readonly ages?: Ages;
  /** Within one verdict: what pins most first, or what grew most. */
  readonly sort?: 'pinned' | 'growth';
}

/** Turns what was observed into verdicts. */
export function diagnose(observation: Observation, options: DiagnoseOptions = {}): Diagnosis {
  const { onlyInodes } = observation;
  const newest = observation.last ?? observation.first;
  const history = new SocketHistory(observation);
  const findings: Finding[] = [];
  const charges = new Map<Finding, number>();
  const belongs = belongsTo(onlyInodes, new AcceptQueues(newest.sockets));
  let unaccepted = 0;
  for (const socket of newest.sockets) {
    if (!belongs(socket)) continue;
    if (onlyInodes && !onlyInodes.has(socket.inode)) unaccepted++;
    if (!(options.accepts?.(socket) ?? true)) continue;
    const hasUnread = unreadBytes(socket) >= Math.max(1, options.minBytes ?? 1);
    const [one, ...others] = [
      ...(hasUnread ? [judgeReader(socket, history)] : []),
      ...judgeOthers(socket, history),
    ].map((each) => options.ages?.extend(socketKey(socket), each, newest.startedMs) ?? each);
    if (!one) continue;
    const { finding, charge } = findingOf(socket, [one, ...others], observation, history);
    const { verdict, waitedMs } = finding.verdict;
    const age = options.minAgeMs ?? 0;
    if (age > 0 && isProblem(verdict) && (waitedMs === null || waitedMs < age)) continue;
    findings.push(finding);
    charges.set(finding, charge);
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
  const stalled = findings.filter((each) => STALE_CODES.includes(each.verdict.verdict));
  const counts = Object.fromEntries(VERDICT_CODES.map((code) => [code, 0])) as Record<
    VerdictCode,
    number
  >;
  for (const each of findings) counts[each.verdict.verdict]++;
  const peers = localPeersOf(stalled);
  return {
    findings,
    fdLeaks: findFdLeaks(observation),
    examined: onlyInodes ? onlyInodes.size + unaccepted : newest.total,
    stalled: stalled.length,
    undecided: counts.undecided,
    counts,
    totals: {
      unread: stalled.reduce((sum, each) => sum + each.unread, 0),
      unbounded: stalled.filter(({ pinned }) => pinned.atMost === null).length,
      localPeers: {
        sockets: peers.length,
        unsent: peers.reduce((sum, each) => sum + each.unsent, 0),
        pinned: sumPinned(
          peers.map(({ pinned }) => pinned),
          peers.reduce((sum, each) => sum + each.charge, 0),
          observation.host,
        ),
      },
      pinned: sumPinned(
        stalled.map((each) => each.pinned),
        stalled.reduce((sum, each) => sum + (charges.get(each) ?? 0), 0),
        observation.host,
      ),
    },
  };
}

/** Makes a deadlocked pair of two stalled readers that are each other's peers and both have sent. */
function markDeadlockedPairs(observation: Observation, findings: Finding[]): void {
  const { last } = observation;
  if (!last) return;
  const stalled = findings.filter((each) => each.verdict.verdict === 'stalled-reader');
  const bySocket = new Map(stalled.map((each) => [each.socket, each] as const));
  const ends = new OtherEnds(stalled.map((each) => each.socket));
  for (const [index, finding] of findings.entries()) {
    if (!bySocket.has(finding.socket)) continue;
    const other = ends.of(finding.socket);
    const peer = other && bySocket.get(other);
    if (!peer) continue;
    const tcp = finding.socket.protocol === 'TCP';
    const stuck = (each: Finding) => each.also.some(({ verdict }) => verdict === 'stalled-sender');
    if (tcp && !(stuck(finding) && stuck(peer))) continue;
    const waited = [finding.verdict.waitedMs, peer.verdict.waitedMs];
    findings[index] = {
      ...finding,
      verdict: {
        verdict: 'deadlocked-pair',
        certainty: tcp ? finding.verdict.certainty : 'likely',
        waitedMs: waited.includes(null) ? null : Math.min(...waited.map((each) => each ?? 0)),
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

/** What is to be said of the reading of a socket with unread data. */
function judgeReader(socket: SocketRecord, history: SocketHistory): Verdict {
  return judge({
    first: history.first(socket),
    last: history.last(socket),
    firstIsTorn: history.firstIsTorn(socket),
    windows: history.windows(socket),
  });
}

/** What is wrong besides with its reading: as a listener, as a sender, or because it drops. */
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
