import { countByProgram } from '../../account/processes/groups.js';
import { HostError } from '../../base/errors.js';
import { grouped } from '../../base/util.js';
import { findNamespaces } from '../../host/namespaces.js';
import type { Observation } from '../../host/observation.js';
import { observe } from '../../host/observe.js';
import { socketFds } from '../../host/proc/holders.js';
import { optionalText } from '../../host/proc/process.js';
import { stillUnlisted, type UnlistedSocket } from '../../host/unlisted-sockets.js';
import { diagnose } from '../../skcheck/diagnose.js';
import { localPeersOf, type Finding as SocketFinding } from '../../skcheck/finding.js';
import { sumPinned } from '../../skcheck/pinned.js';
import { socketMemory } from '../../skcheck/socket-memory.js';
import { type Finding, found, othersFigures, severityOf } from '../../triage/finding.js';
import { DENIED_SOCKETS_HIDE, SOCKETS_HIDE } from '../../triage/host-checks.js';
import { deniedWords } from '../../triage/host-limits.js';
import { commIn } from '../../triage/host-processes.js';
import type { HostReader } from '../../triage/host-reader.js';
import { type AgelessQueue, agelessQueues } from '../../triage/pasted-outputs.js';
import { THRESHOLDS } from '../../triage/thresholds.js';

const MAX_FINDINGS = 20;

/**
 * Finds sockets whose queues pin memory, from a single sample without waiting.
 *
 * @param all whether other network namespaces can be entered
 */
export async function hostSockets(host: HostReader, all: boolean): Promise<Finding[]> {
  // One sample of a capture has the descriptors and the sockets of different times.
  const unlisted = all && (host.source.file !== undefined || host.source.earlier !== undefined);
  let observation: Observation;
  try {
    observation = await observe(host.source, { intervalMs: 0, netns: all ? 'all' : 'own', reader: 'auto', unlisted });
  } catch (error) {
    host.miss('sockets', SOCKETS_HIDE, error);
    return [];
  }
  const miss = (why: string) => host.miss('sockets', SOCKETS_HIDE, new HostError('unreadable', why));
  const { losses, reader, holders } = observation;
  const lines = losses.unreadable + losses.contested + losses.leftOut + losses.failed + losses.missing;
  if (reader === 'procfs') miss('ss is not installed: /proc/net does not report socket memory');
  if (losses.closed.length + losses.hidden > 0)
    miss(`network namespaces of sockets are not readable (${losses.closed.length + losses.hidden})`);
  if (lines > 0) miss(`socket data has missing or malformed lines (${lines})`);
  // vsock_show_sock of misc/ss.c: their queues are printed as 0.
  const vsocks = observation.first.sockets.filter(({ family, state }) => family === 'AF_VSOCK' && state === 'ESTAB');
  if (vsocks.length > 0) miss(`ss does not report the queues of connected sockets of AF_VSOCK (${vsocks.length})`);
  if (!all) miss('other network namespaces are not readable: permission denied');
  const { denied } = holders;
  if (denied.length > 0)
    host.miss('sockets', DENIED_SOCKETS_HIDE, new HostError('unreadable', deniedWords(denied)), denied.length);
  const findings = host.run('sockets', SOCKETS_HIDE, function* () {
    const total = host.meminfo('MemTotal');
    yield* pinnedByOwner(observation, total);
    const unread = diagnose(observation).findings;
    yield* stalledReaders(unread, observation, total);
    const ageless = unread.filter(({ verdict, unread: bytes }) => verdict.evidence.kind === 'no-tcp-info' && bytes > 0);
    if (ageless.length > 0 && reader !== 'procfs')
      miss('ss printed no times of TCP (its option -i): how long data has been queued is unknown');
    yield* agelessQueues(ageless.map(queueOf));
  });
  const isWhole = lines + losses.closed.length + losses.hidden === 0;
  return unlisted && isWhole ? [...findings, ...(await unlistedSockets(host, observation))] : findings;
}

/** What TCP and UDP reserve beyond the sockets (SK_MEMORY_PCPU_RESERVE, include/net/sock.h), for each protocol and CPU. */
const RESERVED = 2 ** 20;

/**
 * Memory of TCP and UDP that no listed socket is charged. The kernel keeps up to a page for an idle socket.
 * Null: the counters are not readable.
 */
function unlistedCharge(host: HostReader, { first }: Observation): { least: number; most: number } | null {
  const text = optionalText(host.source, '/proc/net/sockstat');
  const pages = ['TCP', 'UDP'].map((name) => new RegExp(`^${name}:.* mem (\\d{1,15})$`, 'm').exec(text)?.[1]);
  if (pages.some((count) => count === undefined)) return null;
  const charged = first.sockets.reduce((sum, { protocol, skmem }) => {
    if (!skmem || !['TCP', 'MPTCP', 'UDP'].includes(protocol)) return sum;
    return sum + skmem.rmem + skmem.forward + (protocol === 'UDP' ? 0 : skmem.wmemQueued);
  }, 0);
  const most = Math.max(0, pages.reduce((sum, count) => sum + Number(count), 0) * host.pageSize - charged);
  const cpus = optionalText(host.source, '/proc/stat').match(/^cpu\d+ /gm)?.length ?? 1;
  return { least: Math.max(0, most - first.total * host.pageSize - 2 * cpus * RESERVED), most };
}

/** A program with sockets that ss does not list. */
interface UnlistedOfProgram {
  readonly pid: number;
  readonly comm: string | null;
  readonly sockets: number;
  readonly processes?: number;
}

/** Programs with many sockets that ss does not list, or the one with most of them if they hold much. */
async function unlistedSockets(host: HostReader, observation: Observation): Promise<Finding[]> {
  const { note, leastBytes } = THRESHOLDS['unlisted-sockets'];
  const charge = unlistedCharge(host, observation);
  const isLarge = (charge?.least ?? 0) >= leastBytes;
  // ss lists sockets of AF_VSOCK without their inode (vsock_show_sock, misc/ss.c): each may be one of these.
  const vsockSockets = observation.first.sockets.filter(
    ({ family, inode }) => family === 'AF_VSOCK' && inode === 0,
  ).length;
  const selected = (sockets: readonly UnlistedSocket[]) => {
    const [most, ...others] = unlistedByProgram(host, sockets);
    return most === undefined
      ? []
      : [most, ...others].filter((program) => program.sockets - vsockSockets >= note || (isLarge && program === most));
  };
  try {
    // A few of them may hold much, which only these counters show.
    if (charge === null && observation.unlisted.length > 0)
      host.miss('sockets', SOCKETS_HIDE, new HostError('unreadable', '/proc/net/sockstat is not readable'));
    if (selected(observation.unlisted).length === 0) return [];
    const namespaces = findNamespaces(host.source, 'all');
    const sockets = await stillUnlisted(host.source, namespaces, observation.unlisted);
    const total = host.meminfo('MemTotal');
    const allSockets = new Set(sockets.map(({ inode }) => inode)).size;
    return selected(sockets).map((program, index): Finding => {
      // The counters are those of all programs: they count once.
      const queued =
        index === 0 ? { allSockets, queuedBytes: charge?.least ?? null, queuedMostBytes: charge?.most ?? null } : {};
      const table = program.processes === undefined ? socketFds(host.source, `/proc/${program.pid}/fd`) : 'gone';
      const openSockets = typeof table === 'string' ? {} : { openSockets: table.size };
      const figures = { ...program, ...openSockets, ...queued, ...(vsockSockets > 0 ? { vsockSockets } : {}) };
      const severity =
        index === 0 && isLarge && severityOf(charge?.least ?? 0, total) !== undefined ? 'warning' : 'note';
      return found('unlisted-sockets', severity, figures, `procs --pid ${program.pid} --fds`);
    });
  } catch (error) {
    host.miss('sockets', SOCKETS_HIDE, error);
    return [];
  }
}

function unlistedByProgram(host: HostReader, sockets: readonly UnlistedSocket[]): UnlistedOfProgram[] {
  const inodes = [...grouped(sockets, ({ pid }) => pid)].map(
    ([pid, own]) => [pid, new Set(own.map(({ inode }) => inode))] as const,
  );
  return countByProgram(inodes, commIn(host)).map(({ count, ...program }) => ({ ...program, sockets: count }));
}

function* pinnedByOwner(observation: Observation, total: number): Generator<Finding> {
  const { orphans, orphanRetries } = observation.host.limits;
  for (const { kind, inFlight, pinned, ...owner } of socketMemory(observation)) {
    const { low, likely, atMost } = pinned;
    const severity =
      severityOf(likely, total) ?? (likely >= THRESHOLDS['queued-data-of-process'].note ? 'note' : undefined);
    if (severity === undefined) continue;
    const { pid, comm, sockets, payload, charged, rings, largest } = owner;
    const figures = {
      pid,
      comm,
      sockets,
      pinnedBytes: likely,
      leastBytes: low,
      mostBytes: atMost,
      payloadBytes: payload,
      share: likely / total,
      ...(charged > 0 ? { chargedBytes: charged } : {}),
      ...(rings > 0 ? { ringBytes: rings } : {}),
    };
    const next = pid === null ? 'skcheck' : `skcheck --pid ${pid}`;
    if (kind === 'orphans') {
      const limits = { retries: orphanRetries, maxOrphans: orphans?.limit ?? null, peer: largest.peer };
      yield found('orphaned-sockets', severity, { ...figures, ...limits }, next);
    } else if (inFlight === null) {
      const code = pid === null ? 'queued-data-of-machine' : 'queued-data-of-process';
      yield found(code, severity, figures, next);
    } else {
      const { descriptors, fd } = inFlight;
      const holder = { pid: inFlight.pid, comm: inFlight.comm, fd, descriptors };
      yield found('sockets-in-flight', severity, { ...figures, ...holder }, next);
    }
  }
}

/**
 * Finds stalled readers: each large queue, and the small and the unaccepted ones of a process together, with what the send queues
 * of their local peers pin. In a single sample, only TCP shows the age of the newest data.
 */
function stalledReaders(unread: readonly SocketFinding[], observation: Observation, total: number): Finding[] {
  const stalled = unread
    .filter(({ verdict }) => verdict.verdict === 'stalled-reader')
    .toSorted((a, b) => b.pinned.likely - a.pinned.likely);
  // Connections that a process does not accept are one thing: its listener.
  const isLarge = ({ pinned, acceptQueue }: SocketFinding) =>
    pinned.likely >= THRESHOLDS['stalled-reader'].note && !acceptQueue;
  const large = stalled.filter(isLarge);
  const others = large.slice(MAX_FINDINGS);
  const single = large.slice(0, MAX_FINDINGS).map((finding, index): Finding => {
    const [holder] = finding.holders;
    const [process] = finding.processes;
    const { waitedMs } = finding.verdict;
    const figures = {
      ageSeconds: waitedMs === null ? null : Math.round(waitedMs / 1000),
      unreadBytes: finding.unread,
      pinnedBytes: finding.pinned.likely,
      leastBytes: finding.pinned.low,
      mostBytes: finding.pinned.atMost,
      windowBytes: null,
      pid: holder?.pid ?? null,
      comm: process?.comm ?? null,
      fd: holder?.fds[0] ?? null,
      holders: finding.holders.length,
      doing: process?.waitsIn ? 'elsewhere' : null,
      symbol: process?.waitsIn ?? null,
      ...(index === MAX_FINDINGS - 1 ? othersFigures(others.map(({ holders: [first] }) => first?.pid ?? null)) : {}),
    };
    return found('stalled-reader', 'note', figures, nextOf(finding));
  });
  const small = grouped(
    stalled.filter((finding) => !isLarge(finding)),
    (finding) => readerOf(finding).pid,
  );
  const held = ({ figures }: Finding) => Number(figures.pinnedBytes) + Number(figures.peersBytes);
  const together = [...small.values()]
    .flatMap((group) => unreadTogether(group, observation, total))
    .toSorted((a, b) => held(b) - held(a));
  return [...together.slice(0, MAX_FINDINGS), ...single];
}

/** Small queues of one process; empty if they and their peers pin little. */
function unreadTogether(group: readonly SocketFinding[], { host }: Observation, total: number): Finding[] {
  const [first] = group;
  if (!first) return [];
  const peers = localPeersOf(group);
  const charges = peers.reduce((sum, { charge }) => sum + charge, 0);
  const ofPeers = sumPinned(
    peers.map(({ pinned }) => pinned),
    charges,
    host,
  ).likely;
  const ownCharges = group.reduce((sum, { charge }) => sum + charge, 0);
  const held = group.map(({ pinned }) => pinned);
  const { likely: own, atMost } = sumPinned(held, ownCharges, host);
  if (own + ofPeers < THRESHOLDS['stalled-reader'].note) return [];
  const waited = group.flatMap(({ verdict }) => verdict.waitedMs ?? []);
  const figures = {
    sockets: group.length,
    ...readerOf(first),
    unaccepted: group.filter(({ acceptQueue }) => acceptQueue).length,
    unreadBytes: group.reduce((sum, { unread }) => sum + unread, 0),
    pinnedBytes: own,
    mostBytes: atMost,
    peersBytes: ofPeers,
    peerPid: peers[0]?.holder?.pid ?? null,
    ageSeconds: waited.length === 0 ? null : Math.round(Math.min(...waited) / 1000),
  };
  const severity = severityOf(own + ofPeers, total) ?? 'note';
  return [found('unread-sockets', severity, figures, nextOf(first))];
}

/** The process that should read it, or accept it first. */
function readerOf({ holders, processes, acceptQueue }: SocketFinding) {
  const of = holders.length > 0 ? { holders, processes } : acceptQueue;
  return { pid: of?.holders[0]?.pid ?? null, comm: of?.processes[0]?.comm ?? null };
}

function queueOf(finding: SocketFinding): AgelessQueue {
  return { name: `tcp ${finding.socket.local}`, bytes: finding.unread, ...readerOf(finding) };
}

function nextOf(finding: SocketFinding): string {
  const { pid } = readerOf(finding);
  return pid === null ? 'skcheck' : `skcheck --pid ${pid}`;
}
