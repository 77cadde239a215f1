import type { Origin } from '../../contracts/common.js';
import { MAX_MEMORY, type Observation } from '../../host/observation.js';
import { AcceptQueues, belongsTo, type SocketMemory } from '../../host/socket.js';
import { placeOf } from '../../records/cgroups.js';
import { socketEnds } from '../../records/socket-ends.js';
import type { Diagnosis } from '../../skcheck/diagnose.js';
import type { Finding, LocalPeer, OtherEnd } from '../../skcheck/finding.js';
import { type SocketMemoryOf, socketMemory } from '../../skcheck/socket-memory.js';
import type { VerdictCode } from '../../skcheck/verdict.js';
import { groupsOf, ownersOf, peersEntry, pinnedEntry, worstOwnerOf } from './owners.js';
import { leakReasons, reasonsOf, seenReason } from './reasons.js';
import type { SkcheckBounds, SkcheckGrouping, SkcheckReport, SkcheckSocket, SkcheckWarning } from './schema.js';
import { hostWarnings, LEAVES_OUT, scanWarnings } from './warnings.js';
import { because } from './words.js';

export interface ReportOptions {
  /** Time of the last sample; null: unknown. */
  readonly takenAt: Date | null;
  /** Boot and uptime of the host; undefined if not requested. */
  readonly boot?: Pick<Origin, 'bootId' | 'uptimeSeconds'>;
  /** Verdicts to list; null: all, including sockets that are being read. */
  readonly only: readonly VerdictCode[] | null;
  /** Maximum number of sockets to list, or of groups. */
  readonly top?: number;
  readonly by?: SkcheckGrouping;
  /** Whether the source is a capture, not a host. */
  readonly captured?: boolean;
  /** Whether it ran as root, which makes advice to do so unnecessary. */
  readonly root?: boolean;
  /** Capabilities that root lacks: `CAP_SYS_PTRACE`, … */
  readonly lacking?: readonly string[];
  /** Security modules: `apparmor`, `selinux`, … */
  readonly modules?: readonly string[];
  readonly census?: SkcheckBounds['census'];
  readonly theoreticalWorstBytes?: number | null;
  /** With --exact: returns the count of a finding from kernel memory. */
  readonly counted?: (finding: Finding) => SkcheckSocket['counted'];
  readonly warnings?: readonly SkcheckWarning[];
}

/** Returns the object from which `--json`, the text and the metrics are printed. */
export function skcheckReport(observation: Observation, diagnosis: Diagnosis, options: ReportOptions): SkcheckReport {
  const { host, first, last, namespaces } = observation;
  const { by, top } = options;
  const names = new Map(namespaces.map((namespace) => [namespace.inode, namespace.name] as const));
  const listed = diagnosis.findings
    .filter((finding) => options.only?.includes(finding.verdict.verdict) ?? true)
    .slice(0, by === undefined ? top : undefined)
    .map((finding) => ({
      finding,
      socket: {
        ...socketEntry(finding, names.get(finding.socket.netns) ?? null),
        counted: options.counted?.(finding) ?? null,
      },
    }));
  const groups = by === undefined ? [] : groupsOf(listed, by, host);
  const warnings = [
    ...scanWarnings(observation, diagnosis, {
      captured: options.captured ?? false,
      root: options.root ?? false,
      lacking: options.lacking ?? [],
      modules: options.modules ?? [],
    }),
    ...hostWarnings(host.limits),
    ...(options.warnings ?? []),
  ];
  return {
    schema: 'skcheck/1',
    host: {
      name: host.name,
      release: host.release,
      netns: host.netns,
      takenAt: (options.takenAt ?? new Date()).toISOString(),
      takenAtKnown: options.takenAt !== null,
      bootId: options.boot?.bootId ?? null,
      uptimeSeconds: options.boot?.uptimeSeconds ?? null,
      memoryBytes: host.totalMemory,
      memoryAvailableBytes: host.availableMemory,
      samples: observation.samples.length,
      namespaces: namespaces.length,
      source: options.captured ? 'capture' : observation.reader,
      watchedMs: last ? Math.max(0, Math.floor(last.startedMs - first.endedMs)) : 0,
    },
    sockets: listed.map(({ socket }) => socket),
    groups: by === undefined ? null : { by, count: groups.length, rows: groups.slice(0, top) },
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
      pinned: pinnedEntry(diagnosis.totals.pinned),
      localPeers: { ...peersEntry(diagnosis.totals.localPeers), stalledSenders: diagnosis.totals.stalledSenders },
      listeners: diagnosis.totals.listeners,
    },
    owners: socketMemory(observation)
      .filter((owner) => owner.pinned.likely >= MIN_OWNED_BYTES)
      .slice(0, MAX_OWNERS)
      .map(ownerEntry),
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
      unplacedBytes: host.unplacedMemory < MAX_MEMORY ? Math.ceil(host.unplacedMemory) : null,
      census: options.census ?? null,
      theoreticalWorstBytes: options.theoreticalWorstBytes ?? null,
      orphanRetries: host.limits.orphanRetries,
      maxOrphans: host.limits.orphans?.limit ?? null,
    },
    complete: warnings.every(({ code }) => !LEAVES_OUT.has(code)),
    warnings,
  };
}

/** Smaller queues are common in healthy programs. Bytes. */
const MIN_OWNED_BYTES = 2 ** 20;
const MAX_OWNERS = 20;

function ownerEntry(owner: SocketMemoryOf): SkcheckReport['owners'][number] {
  const { kind, pid, comm, sockets, inFlight, largest } = owner;
  const { protocol, state, local, peer } = largest;
  return {
    kind,
    pid,
    comm,
    sockets,
    pinned: pinnedEntry(owner.pinned),
    payloadBytes: owner.payload,
    chargedBytes: owner.charged,
    ringBytes: owner.rings,
    largest: { protocol, state, local, peer },
    inFlight: inFlight && { ...inFlight },
  };
}

/** Counts the MPTCP sockets among the checked ones; a sample contains all of them. */
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
    also: finding.also.map((further) => {
      const seen = [seenReason(further.evidence, socket.protocol)];
      const { verdict, certainty } = further;
      return { verdict, certainty, because: because(seen, null), reasons: seen };
    }),
    pinned: pinnedEntry(finding.pinned),
  };
}

function endEntry({ inode, holder, process }: OtherEnd): SkcheckSocket['waiting'][number] {
  return { inode, pid: holder?.pid ?? null, comm: process?.comm ?? null, fds: [...(holder?.fds ?? [])] };
}

function peerEntry(peer: LocalPeer): NonNullable<SkcheckSocket['localPeer']> {
  const { socket, unsent, pinned } = peer;
  return { ...endEntry(peer), netns: socket.netns, unsentBytes: unsent, pinned: pinnedEntry(pinned) };
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
