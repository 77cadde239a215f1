import { HostError } from '../../base/errors.js';
import { grouped } from '../../base/util.js';
import type { Observation } from '../../host/observation.js';
import { observe } from '../../host/observe.js';
import { diagnose } from '../../skcheck/diagnose.js';
import { localPeersOf, type Finding as SocketFinding } from '../../skcheck/finding.js';
import { sumPinned } from '../../skcheck/pinned.js';
import { socketMemory } from '../../skcheck/socket-memory.js';
import { type Finding, found, severityOf } from '../../triage/finding.js';
import { SOCKETS_HIDE } from '../../triage/host-checks.js';
import { deniedWords } from '../../triage/host-limits.js';
import type { HostReader } from '../../triage/host-reader.js';
import { THRESHOLDS } from '../../triage/thresholds.js';

const MAX_FINDINGS = 20;

/**
 * Finds sockets whose queues pin memory, from a single sample without waiting.
 *
 * @param all whether other network namespaces can be entered
 */
export async function hostSockets(host: HostReader, all: boolean): Promise<Finding[]> {
  let observation: Observation;
  try {
    observation = await observe(host.source, { intervalMs: 0, netns: all ? 'all' : 'own', reader: 'auto' });
  } catch (error) {
    host.miss('sockets', SOCKETS_HIDE, error);
    return [];
  }
  const miss = (why: string, processes?: number) =>
    host.miss('sockets', SOCKETS_HIDE, new HostError('unreadable', why), processes);
  const { losses, reader, holders } = observation;
  const lines = losses.unreadable + losses.contested + losses.leftOut + losses.failed;
  if (reader === 'procfs') miss('ss is not installed: /proc/net does not report socket memory');
  if (losses.closed.length + losses.hidden > 0)
    miss(`network namespaces of sockets are not readable (${losses.closed.length + losses.hidden})`);
  if (lines > 0) miss(`socket data has missing or malformed lines (${lines})`);
  if (!all) miss('other network namespaces are not readable: permission denied');
  if (holders.denied.length > 0) miss(deniedWords(holders.denied), holders.denied.length);
  return host.run('sockets', SOCKETS_HIDE, function* () {
    const total = host.meminfo('MemTotal');
    yield* pinnedByOwner(observation, total);
    yield* stalledReaders(observation, total);
  });
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
function stalledReaders(observation: Observation, total: number): Finding[] {
  const stalled = diagnose(observation)
    .findings.filter(({ verdict }) => verdict.verdict === 'stalled-reader')
    .toSorted((a, b) => b.pinned.likely - a.pinned.likely);
  // Connections that a process does not accept are one thing: its listener.
  const isLarge = ({ pinned, acceptQueue }: SocketFinding) =>
    pinned.likely >= THRESHOLDS['stalled-reader'].note && !acceptQueue;
  const large = stalled.filter(isLarge);
  const others = large.length - MAX_FINDINGS;
  const single = large.slice(0, MAX_FINDINGS).map((each, index): Finding => {
    const [holder] = each.holders;
    const [process] = each.processes;
    const { waitedMs } = each.verdict;
    const figures = {
      ageSeconds: waitedMs === null ? null : Math.round(waitedMs / 1000),
      unreadBytes: each.unread,
      pinnedBytes: each.pinned.likely,
      leastBytes: each.pinned.low,
      mostBytes: each.pinned.atMost,
      windowBytes: null,
      pid: holder?.pid ?? null,
      comm: process?.comm ?? null,
      fd: holder?.fds[0] ?? null,
      holders: each.holders.length,
      doing: process?.waitsIn ? 'elsewhere' : null,
      symbol: process?.waitsIn ?? null,
      ...(others > 0 && index === MAX_FINDINGS - 1 ? { others } : {}),
    };
    return found('stalled-reader', 'note', figures, nextOf(each));
  });
  const small = grouped(
    stalled.filter((each) => !isLarge(each)),
    (each) => readerOf(each).pid,
  );
  const together = [...small.values()].flatMap((each) => unreadTogether(each, observation, total));
  return [...together.slice(0, MAX_FINDINGS), ...single];
}

/** Small queues of one process; empty if they and their peers pin little. */
function unreadTogether(each: readonly SocketFinding[], { host }: Observation, total: number): Finding[] {
  const [first] = each;
  if (!first) return [];
  const peers = localPeersOf(each);
  const charges = peers.reduce((sum, { charge }) => sum + charge, 0);
  const ofPeers = sumPinned(
    peers.map(({ pinned }) => pinned),
    charges,
    host,
  ).likely;
  const ownCharges = each.reduce((sum, { charge }) => sum + charge, 0);
  const held = each.map(({ pinned }) => pinned);
  const { likely: own, atMost } = sumPinned(held, ownCharges, host);
  if (own + ofPeers < THRESHOLDS['stalled-reader'].note) return [];
  const waited = each.flatMap(({ verdict }) => verdict.waitedMs ?? []);
  const figures = {
    sockets: each.length,
    ...readerOf(first),
    unaccepted: each.filter(({ acceptQueue }) => acceptQueue).length,
    unreadBytes: each.reduce((sum, { unread }) => sum + unread, 0),
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

function nextOf(each: SocketFinding): string {
  const { pid } = readerOf(each);
  return pid === null ? 'skcheck' : `skcheck --pid ${pid}`;
}
