import { AcceptQueues, belongsTo } from '../../host/accept-queues.js';
import type { Observation } from '../../host/observation.js';
import type { SocketMemory } from '../../host/socket.js';
import { placeOf } from '../../records/cgroup-place.js';
import type { Origin } from '../../records/sample-origin.js';
import { socketEnds } from '../../records/socket-ends.js';
import type { Diagnosis } from '../../skcheck/diagnose.js';
import type { Finding, LocalPeer, OtherEnd } from '../../skcheck/finding.js';
import type { PinnedEstimate } from '../../skcheck/pinned.js';
import type { VerdictCode } from '../../skcheck/verdict.js';
import { hostWarnings } from './host.js';
import { ownersOf, worstOwnerOf } from './owners.js';
import { leakReasons, reasonsOf, seenReason } from './reasons.js';
import type { SkcheckBounds, SkcheckReport, SkcheckSocket, SkcheckWarning } from './schema.js';
import { LEAVES_OUT, scanWarnings } from './warnings.js';
import { because } from './words.js';

export interface ReportOptions {
  /** When the last sample was taken; null: not told. */
  readonly takenAt: Date | null;
  /** Of which boot the host was, and how long it ran; undefined: nobody asked. */
  readonly boot?: Pick<Origin, 'bootId' | 'uptime'>;
  /** Which verdicts to list; null: all, also what is being read. */
  readonly only: readonly VerdictCode[] | null;
  /** List no more sockets than this. */
  readonly top?: number;
  /** It was read from a capture, not from a host. */
  readonly captured?: boolean;
  /** Who looks is root already, so is not told to be. */
  readonly root?: boolean;
  /** The rights that root lacks: `CAP_SYS_PTRACE`, … */
  readonly lacking?: readonly string[];
  readonly census?: SkcheckBounds['census'];
  readonly theoreticalWorstBytes?: number | null;
  /** With --exact: what the kernel's memory says of a finding. */
  readonly counted?: (finding: Finding) => SkcheckSocket['counted'];
  readonly warnings?: readonly SkcheckWarning[];
}

/** The one object that `--json`, the text and the metrics are printed from. */
export function skcheckReport(
  observation: Observation,
  diagnosis: Diagnosis,
  options: ReportOptions,
): SkcheckReport {
  const { host, first, last, namespaces } = observation;
  const listed = diagnosis.findings
    .filter((each) => options.only?.includes(each.verdict.verdict) ?? true)
    .slice(0, options.top);
  const warnings = [
    ...scanWarnings(observation, diagnosis, {
      captured: options.captured ?? false,
      root: options.root ?? false,
      lacking: options.lacking ?? [],
    }),
    ...hostWarnings(host.limits),
    ...(options.warnings ?? []),
  ];
  const names = new Map(namespaces.map((each) => [each.inode, each.name] as const));
  return {
    schema: 'skcheck/1',
    host: {
      name: host.name,
      release: host.release,
      netns: host.netns,
      takenAt: (options.takenAt ?? new Date()).toISOString(),
      takenAtKnown: options.takenAt !== null,
      bootId: options.boot?.bootId ?? null,
      uptimeSeconds: options.boot?.uptime ?? null,
      samples: observation.samples.length,
      namespaces: namespaces.length,
      source: options.captured ? 'capture' : observation.reader,
      watchedMs: last ? Math.max(0, Math.floor(last.startedMs - first.endedMs)) : 0,
    },
    sockets: listed.map((finding) => ({
      ...socketEntry(finding, names.get(finding.socket.netns) ?? null),
      counted: options.counted?.(finding) ?? null,
    })),
    totals: {
      sockets: diagnosis.examined,
      stalled: diagnosis.stalled,
      undecided: diagnosis.undecided,
      verdicts: { ...diagnosis.counts },
      unreadBytes: diagnosis.totals.unread,
      unbounded: diagnosis.totals.unbounded,
      worstOwner: worstOwnerOf(diagnosis.findings),
      mptcp: mptcpOf(observation),
      countedBy: observation.onlyInodes ? 'descriptor' : 'row',
      pinned: whole(diagnosis.totals.pinned),
      localPeers: {
        sockets: diagnosis.totals.localPeers.sockets,
        unsentBytes: diagnosis.totals.localPeers.unsent,
        pinned: whole(diagnosis.totals.localPeers.pinned),
      },
    },
    processes: diagnosis.fdLeaks.map((leak) => {
      const process = observation.processes.get(leak.pid);
      const reasons = leakReasons(leak, process !== undefined);
      return {
        verdict: 'fd-leak',
        pid: leak.pid,
        comm: process?.comm ?? null,
        from: leak.from,
        to: leak.to,
        because: because(reasons, null),
        reasons,
      };
    }),
    bounds: {
      unplacedBytes: Math.ceil(host.unplacedMemory),
      census: options.census ?? null,
      theoreticalWorstBytes: options.theoreticalWorstBytes ?? null,
    },
    complete: warnings.every(({ code }) => !LEAVES_OUT.has(code)),
    warnings,
  };
}

/** The MPTCP sockets among those looked at; a sample keeps all of them. */
function mptcpOf({ first, last, onlyInodes }: Observation): number {
  const { sockets } = last ?? first;
  const belongs = belongsTo(onlyInodes, new AcceptQueues(sockets));
  return sockets.filter((socket) => socket.protocol === 'MPTCP' && belongs(socket)).length;
}

function socketEntry(finding: Finding, netnsName: string | null): Omit<SkcheckSocket, 'counted'> {
  const { socket, verdict } = finding;
  const { via, holders } = ownersOf(finding);
  const [owner] = holders;
  const reasons = reasonsOf(finding);
  const place = socket.cgroup === null ? null : placeOf(socket.cgroup);
  return {
    pid: owner?.pid ?? null,
    comm: owner?.comm ?? null,
    fds: owner?.fds ?? [],
    via,
    holders,
    listeners: (finding.acceptQueue?.listeners ?? []).map((listener) => {
      const { localAddress, localPort } = socketEnds(listener, listener.local, null);
      return { inode: listener.inode, local: listener.local, localAddress, localPort };
    }),
    family: socket.family,
    type: socket.type,
    protocol: socket.protocol,
    state: socket.state,
    local: socket.local,
    peer: socket.peer,
    ...socketEnds(socket, socket.local, socket.peer),
    inode: socket.inode,
    netns: socket.netns,
    netnsName,
    cgroup: place && place.path !== '/' ? place.path : (owner?.cgroup ?? socket.cgroup),
    container: place?.container ?? owner?.container ?? null,
    pod: place?.pod ?? owner?.pod ?? null,
    waiting: finding.waiting.map(endEntry),
    otherEnd: finding.otherEnd && endEntry(finding.otherEnd),
    localPeer: finding.localPeer && peerEntry(finding.localPeer),
    recvQ: socket.recvQ,
    sendQ: socket.sendQ,
    skmem: socket.skmem && memoryEntry(socket.skmem),
    unreadBytes: finding.unread,
    unsentBytes: finding.unsent,
    stalled: {
      verdict: verdict.verdict,
      certainty: verdict.certainty,
      forMs: verdict.waitedMs === null ? null : Math.floor(verdict.waitedMs),
      because: because(reasons, finding.acceptQueue),
      reasons,
    },
    also: finding.also.map((each) => {
      const seen = [seenReason(each.evidence, socket.protocol)];
      const { verdict, certainty } = each;
      return { verdict, certainty, because: because(seen, null), reasons: seen };
    }),
    pinned: whole(finding.pinned),
  };
}

function endEntry({ inode, holder, process }: OtherEnd): SkcheckSocket['waiting'][number] {
  return {
    inode,
    pid: holder?.pid ?? null,
    comm: process?.comm ?? null,
    fds: [...(holder?.fds ?? [])],
  };
}

function peerEntry(peer: LocalPeer): NonNullable<SkcheckSocket['localPeer']> {
  const { socket, unsent, pinned } = peer;
  return {
    ...endEntry(peer),
    netns: socket.netns,
    unsentBytes: unsent,
    pinned: whole(pinned),
  };
}

function memoryEntry(memory: SocketMemory): NonNullable<SkcheckSocket['skmem']> {
  return {
    r: memory.rmem,
    rb: memory.rcvbuf,
    t: memory.wmem,
    tb: memory.sndbuf,
    f: memory.forward,
    w: memory.wmemQueued,
    o: memory.optmem,
    bl: memory.backlog,
    d: memory.drops,
  };
}

function whole(range: PinnedEstimate) {
  return {
    low: Math.floor(range.low),
    likely: Math.round(range.likely),
    high: Math.ceil(range.high),
    atMost: range.atMost === null ? null : Math.ceil(range.atMost),
  };
}
