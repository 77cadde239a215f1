import { AcceptQueues, belongsTo } from '../host/accept-queues.js';
import type { Observation } from '../host/observation.js';
import { type SocketRecord, socketKey } from '../host/socket.js';
import type { Ages } from './ages.js';
import { markDeadlockedPairs } from './deadlocked-pairs.js';
import { type FdLeak, findFdLeaks } from './fd-leak.js';
import { type Finding, findingOf, localPeersOf } from './finding.js';
import { unreadBytes } from './judge.js';
import { judgeOthers, judgeReader } from './judge-socket.js';
import { type PinnedEstimate, sumPinned } from './pinned.js';
import { SocketHistory } from './socket-history.js';
import { bySeverity, isProblem, STALE_CODES, VERDICT_CODES, type VerdictCode } from './verdict.js';

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
