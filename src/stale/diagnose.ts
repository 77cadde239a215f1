import type { Observation } from '../host/observe.js';
import type { Holder } from '../host/proc/holders.js';
import type { ProcessRecord } from '../host/proc/process.js';
import { queueIsTruesize, type SocketRecord, socketKey } from '../host/socket.js';
import type { Ages } from './ages.js';
import { type FdLeak, findFdLeaks } from './fd-leak.js';
import { judge, type Moment, type TrackWindow, unreadBytes } from './judge.js';
import { judgeAccepting, judgeBacklog, WaitingConnections } from './judge-listener.js';
import { judgeSender, unsentBytes } from './judge-sender.js';
import { OtherEnds } from './pairs.js';
import {
  estimatePinned,
  estimateUnixBacklog,
  NOTHING_PINNED,
  type PinnedEstimate,
  sumPinned,
} from './pinned.js';
import {
  isProblem,
  STALE_CODES,
  VERDICT_CODES,
  type Verdict,
  type VerdictCode,
} from './verdict.js';

/** One socket with something to say of, and all that is concluded about it. */
export interface Finding {
  readonly socket: SocketRecord;
  readonly holders: readonly Holder[];
  /** The processes of `holders`; one that ended meanwhile is not there. */
  readonly processes: readonly ProcessRecord[];
  /** Why `holders` is empty, when it is. */
  readonly ownerless: 'unaccepted' | 'orphan' | 'denied' | 'none' | null;
  /** Bytes: see `unreadBytes`. */
  readonly unread: number;
  /** Bytes sent or written that the peer has not acknowledged; 0 for what is not TCP. */
  readonly unsent: number;
  /** The worst of what is wrong. */
  readonly verdict: Verdict;
  /** What else is wrong. */
  readonly also: readonly Verdict[];
  /** Packets dropped between the samples (skmem `d`): for UDP what its queue had no room for. */
  readonly dropped: number;
  /** By how much the unread data became more between the samples; negative: less. */
  readonly grew: number;
  /**
   * How much of the time between the samples the first holder ran on a CPU (1 is one CPU's whole
   * time), and how much of it its main thread waited for one; null: not known.
   */
  readonly cpuShare: { readonly used: number; readonly waited: number } | null;
  readonly pinned: PinnedEstimate;
}

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
  readonly totals: { readonly unread: number; readonly pinned: PinnedEstimate };
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
  const view = new View(observation);
  const findings: Finding[] = [];
  const charges = new Map<Finding, number>();
  for (const socket of newest.sockets) {
    if (!(onlyInodes?.has(socket.inode) ?? true) || !(options.accepts?.(socket) ?? true)) continue;
    const unread = unreadBytes(socket);
    const verdicts: Verdict[] = [];
    if (unread >= Math.max(1, options.minBytes ?? 1)) verdicts.push(view.reader(socket));
    verdicts.push(...view.others(socket));
    if (verdicts.length === 0) continue;
    const { finding, charge } = view.finding(
      socket,
      verdicts.map(
        (each) => options.ages?.extend(socketKey(socket), each, newest.startedMs) ?? each,
      ),
    );
    const { verdict, waitedMs } = finding.verdict;
    const age = options.minAgeMs ?? 0;
    if (age > 0 && isProblem(verdict) && (waitedMs === null || waitedMs < age)) continue;
    findings.push(finding);
    charges.set(finding, charge);
  }
  markPairs(observation, findings);
  findings.sort(
    (a, b) =>
      rank(a.verdict) - rank(b.verdict) ||
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
  return {
    findings,
    fdLeaks: findFdLeaks(observation),
    examined: onlyInodes ? onlyInodes.size : newest.total,
    stalled: stalled.length,
    undecided: counts.undecided,
    counts,
    totals: {
      unread: stalled.reduce((sum, each) => sum + each.unread, 0),
      pinned: sumPinned(
        stalled.map((each) => each.pinned),
        stalled.reduce((sum, each) => sum + (charges.get(each) ?? 0), 0),
        observation.host.unplacedMemory,
      ),
    },
  };
}

function rank({ verdict }: Verdict): number {
  return VERDICT_CODES.indexOf(verdict);
}

/** An observation with what is looked up in it for each socket. */
class View {
  readonly #earlier: ReadonlyMap<string, SocketRecord>;
  readonly #unix: ReadonlyMap<number, SocketRecord>;
  readonly #waitingFirst: WaitingConnections;
  readonly #waitingLast: WaitingConnections;

  constructor(readonly observation: Observation) {
    const newest = observation.last ?? observation.first;
    const keys = new Set(newest.sockets.map(socketKey));
    this.#earlier = new Map(
      observation.first.sockets.flatMap((socket) => {
        const key = socketKey(socket);
        return keys.has(key) ? [[key, socket] as const] : [];
      }),
    );
    this.#unix = new Map(
      newest.sockets.flatMap((socket) =>
        socket.protocol === 'UNIX' ? [[socket.inode, socket] as const] : [],
      ),
    );
    this.#waitingFirst = new WaitingConnections(observation.first.sockets);
    this.#waitingLast = new WaitingConnections(newest.sockets);
  }

  reader(socket: SocketRecord): Verdict {
    return judge({
      first: this.#first(socket),
      last: this.#last(socket),
      windows: trackWindows(this.observation, socket),
    });
  }

  /** What is wrong besides with its reading. */
  others(socket: SocketRecord): Verdict[] {
    const first = this.#first(socket);
    const last = this.#last(socket);
    const verdicts: Verdict[] = [];
    if (socket.state === 'LISTEN') {
      if (first && last) {
        const accepting = judgeAccepting({
          first,
          last,
          waitingFirst: this.#waitingFirst.of(first.socket),
          waitingLast: this.#waitingLast.of(socket),
          windows: trackWindows(this.observation, socket),
        });
        const backlog = judgeBacklog(first.socket, socket);
        if (accepting) verdicts.push(accepting);
        if (backlog) verdicts.push(backlog);
      }
      return verdicts;
    }
    const sender = judgeSender(first, last);
    if (sender) verdicts.push(sender);
    const packets = this.#dropped(socket);
    if (packets > 0 && first && last && queueIsTruesize(socket.protocol))
      verdicts.push({
        verdict: 'udp-dropping',
        certainty: 'proved',
        waitedMs: null,
        evidence: {
          kind: 'dropped',
          packets,
          watchedMs: Math.max(0, last.startedMs - first.endedMs),
        },
      });
    return verdicts;
  }

  finding(
    socket: SocketRecord,
    verdicts: readonly Verdict[],
  ): { finding: Finding; charge: number } {
    const { holders, host, first, last } = this.observation;
    const [verdict, ...also] = [...verdicts].sort((a, b) => rank(a) - rank(b)) as [
      Verdict,
      ...Verdict[],
    ];
    const held = holders.byInode.get(socket.inode) ?? [];
    const unread = unreadBytes(socket);
    const unsent = socket.protocol === 'TCP' ? unsentBytes(socket) : 0;
    const receiveCharge = chargeOf(socket, this.#unix.get(socket.peerInode));
    const shared = { maxSkbFrags: host.maxSkbFrags, unplacedMemory: host.unplacedMemory };
    const sides: PinnedEstimate[] = [];
    let charge = 0;
    if (unread > 0) {
      sides.push(
        estimatePinned({
          ...shared,
          protocol: pinnedKind(socket),
          payload: queueIsTruesize(socket.protocol) ? 0 : unread,
          charge: receiveCharge,
          segments: segmentsOf(socket),
          payloadIsPart: payloadIsPart(socket),
        }),
      );
      charge += receiveCharge ?? 2 * unread;
    }
    if (verdicts.some((each) => each.verdict === 'stalled-sender')) {
      const sendCharge = socket.skmem?.wmemQueued ?? null;
      sides.push(
        estimatePinned({
          ...shared,
          protocol: 'TCP',
          payload: unsent,
          charge: sendCharge,
          segments: 0,
          payloadIsPart: false,
        }),
      );
      charge += sendCharge ?? 2 * unsent;
    }
    if (socket.state === 'LISTEN' && socket.protocol === 'UNIX') {
      const waiting = estimateUnixBacklog(socket.recvQ);
      sides.push(waiting);
      charge += waiting.high;
    }
    const [owner] = held;
    const cpu = owner ? this.observation.cpu.get(owner.pid) : undefined;
    const watchedMs = last ? last.startedMs - first.endedMs : 0;
    return {
      charge,
      finding: {
        socket,
        holders: held,
        processes: held.flatMap(({ pid }) => this.observation.processes.get(pid) ?? []),
        ownerless: held.length > 0 ? null : ownerless(socket, holders.denied.length),
        unread,
        unsent,
        verdict,
        also,
        dropped: this.#dropped(socket),
        grew: unread - unreadBytes(this.#earlier.get(socketKey(socket)) ?? socket),
        cpuShare:
          cpu === undefined || watchedMs < 500
            ? null
            : { used: cpu.usedMs / watchedMs, waited: cpu.waitedMs / watchedMs },
        pinned: sides.length === 0 ? NOTHING_PINNED : sumPinned(sides, charge, host.unplacedMemory),
      },
    };
  }

  #dropped(socket: SocketRecord): number {
    const earlier = this.#earlier.get(socketKey(socket))?.skmem;
    return earlier ? Math.max(0, (socket.skmem?.drops ?? 0) - earlier.drops) : 0;
  }

  #first(socket: SocketRecord): Moment | null {
    const earlier = this.#earlier.get(socketKey(socket));
    const { first } = this.observation;
    return earlier ? { ...(first.spans.get(socket.netns) ?? first), socket: earlier } : null;
  }

  #last(socket: SocketRecord): Moment | null {
    const { last } = this.observation;
    return last ? { ...(last.spans.get(socket.netns) ?? last), socket } : null;
  }
}

/** Makes a deadlocked pair of two stalled readers that are each other's peers and both have sent. */
function markPairs(observation: Observation, findings: Finding[]): void {
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

function pinnedKind({ protocol }: SocketRecord): 'TCP' | 'UDP' | 'UNIX' {
  if (protocol === 'UNIX') return 'UNIX';
  return queueIsTruesize(protocol) ? 'UDP' : 'TCP';
}

/** data_segs_in has 32 bits: behind 4 GiB received it may have wrapped, and says nothing. */
function segmentsOf({ tcp }: SocketRecord): number {
  return tcp && tcp.bytesReceived !== null && tcp.bytesReceived < 2 ** 32 ? tcp.dataSegments : 0;
}

/** Out-of-order data and the backlog are charged, and are not in Recv-Q. */
function payloadIsPart({ protocol, tcp, skmem }: SocketRecord): boolean {
  if (protocol === 'MPTCP' || protocol === 'SCTP') return true;
  if (protocol === 'TCP' && (!tcp || tcp.outOfOrder > 0)) return true;
  return !skmem || skmem.backlog > 0;
}

/**
 * What the kernel charges for the receive side. A unix stream's data is charged to its sender
 * (skb_set_owner_w), which has nowhere else to send it; a datagram's sender may have many. A sender
 * that a sample leaves out has nothing charged.
 */
function chargeOf(socket: SocketRecord, peer: SocketRecord | undefined): number | null {
  if (!socket.skmem) return null;
  const own = socket.skmem.rmem + socket.skmem.backlog;
  if (socket.protocol !== 'UNIX') return own;
  if (socket.type === 'SOCK_DGRAM' || socket.peerInode === 0) return null;
  return peer?.skmem && peer.protocol === 'UNIX' ? own + peer.skmem.wmem : null;
}

function trackWindows(observation: Observation, socket: SocketRecord): TrackWindow[] {
  if (observation.windows.length === 0) return [];
  const key = socketKey(socket);
  return observation.windows.flatMap((window) => {
    const recvQ = window.recvQ.get(key);
    if (!recvQ) return [];
    const still = (inode: number) => sideStill(observation, inode, window.still);
    return {
      startMs: window.startMs,
      endMs: window.endMs,
      recvQ,
      hiddenStill: observation.holders.denied.every((pid) => window.still.get(pid) === true),
      readersStill: still(socket.inode),
      writersStill:
        socket.type === 'SOCK_DGRAM' || socket.peerInode === 0 ? null : still(socket.peerInode),
    };
  });
}

/** Null when no holder is known. Whether others may be hidden from us is said apart. */
function sideStill(
  { holders }: Observation,
  inode: number,
  still: ReadonlyMap<number, boolean | null>,
): boolean | null {
  const held = holders.byInode.get(inode) ?? [];
  if (held.some(({ pid }) => still.get(pid) === false)) return false;
  if (held.length === 0) return null;
  return held.every(({ pid }) => still.get(pid) === true) ? true : null;
}

function ownerless(socket: SocketRecord, denied: number): Finding['ownerless'] {
  if (socket.inode === 0)
    return socket.state === 'ESTABLISHED' || socket.state === 'CLOSE-WAIT'
      ? 'unaccepted'
      : 'orphan';
  return denied > 0 ? 'denied' : 'none';
}
