import type { SocketEstimate } from '../account/memory/answer.js';
import { ExhaustedError, hostOrNull, isHostError } from '../base/errors.js';
import type { NetworkEstimate } from '../contracts/procs.js';
import type { HostSource } from '../host/host-source.js';
import type { Losses, Observation } from '../host/observation.js';
import { observe } from '../host/observe.js';
import { socketFds } from '../host/proc/holders.js';
import { optionalText } from '../host/proc/process.js';
import { refusalWords, rightsOf } from '../records/processes.js';
import { type PinnedEstimate, pinnedBy, sumPinned } from './pinned.js';
import { SocketHistory } from './socket-history.js';

/** Memory pinned by the sockets of each process, as far as readable. */
export interface SocketsOfProcesses {
  /** Null if at least some of its sockets are unreadable. */
  of(pid: number): NetworkEstimate | null;
  /** Descriptions of sockets that could not be read. */
  readonly lost: readonly string[];
}

/**
 * Samples all sockets once, without judging them: unread data, data that the peer has not read, and
 * pending connections. A socket with several holders counts for each.
 *
 * @param root whether other network namespaces can be entered
 * @throws {HostError} as observe does
 */
export async function socketsOfProcesses(source: HostSource, root: boolean): Promise<SocketsOfProcesses> {
  const observation = await observe(source, { intervalMs: 0, netns: root ? 'all' : 'own', reader: 'auto' });
  const estimates = estimatesOf(observation);
  const visited = new Set(openNamespaces(observation));
  return {
    lost: lossMessages(observation, source),
    of(pid) {
      const table = socketFds(source, `/proc/${pid}/fd`);
      if (table === 'denied') return null;
      if (table === 'gone' || table.size === 0) return NONE;
      const namespace = namespaceOf(source, pid);
      if (namespace === null || !visited.has(namespace)) return null;
      return estimates.get(pid) ?? NONE;
    },
  };
}

/**
 * Estimates the memory of all socket queues and packet rings together, from one sample.
 *
 * @param root as above
 */
export async function socketsTogether(source: HostSource, root: boolean): Promise<SocketEstimate> {
  let observation: Observation;
  try {
    observation = await observe(source, { intervalMs: 0, netns: root ? 'all' : 'own', reader: 'auto' });
  } catch (error) {
    if (!isHostError(error) && !(error instanceof ExhaustedError)) throw error;
    return {
      sockets: 0,
      leastBytes: 0,
      likelyBytes: null,
      mostBytes: null,
      unread: [{ code: 'unreadable', why: error.message }],
    };
  }
  const { host, first, losses } = observation;
  const history = new SocketHistory(observation);
  const estimates: PinnedEstimate[] = [];
  let [sockets, charges, rings] = [0, 0, 0];
  for (const socket of first.sockets) {
    const { pinned, charge } = pinnedBy(socket, true, host, history);
    const { ringBytes = 0 } = socket;
    if (pinned.high === 0 && ringBytes === 0) continue;
    estimates.push(pinned);
    sockets++;
    charges += charge;
    rings += ringBytes;
  }
  const { low, likely, atMost } = sumPinned(estimates, charges, host);
  const lost = [
    ...lossMessages(observation, source),
    ...(losses.hidden > 0 ? [`network namespaces of ${losses.hidden} processes are hidden`] : []),
    ...(root ? [] : ['other network namespaces are not readable: permission denied']),
  ];
  const isWhole = lost.length === 0;
  return {
    sockets,
    leastBytes: low + rings,
    likelyBytes: isWhole ? likely + rings : null,
    mostBytes: isWhole && atMost !== null ? atMost + rings : null,
    unread: lost.map((why) => ({ code: 'unreadable', why })),
  };
}

const NONE: NetworkEstimate = { leastBytes: 0, likelyBytes: 0, mostBytes: 0 };

/** Returns estimates by pid, only for processes that hold a socket with data in a queue. */
function estimatesOf(observation: Observation): ReadonlyMap<number, NetworkEstimate> {
  const { host, holders, first } = observation;
  const history = new SocketHistory(observation);
  const own = new Map<number, { readonly estimates: PinnedEstimate[]; charge: number }>();
  for (const socket of first.sockets) {
    const { pinned, charge } = pinnedBy(socket, true, host, history);
    if (pinned.high === 0) continue;
    const inodes = [socket, ...history.listeners(socket)].map(({ inode }) => inode);
    const pids = new Set(inodes.flatMap((inode) => (holders.byInode.get(inode) ?? []).map(({ pid }) => pid)));
    for (const pid of pids) {
      const sum = own.get(pid) ?? { estimates: [], charge: 0 };
      own.set(pid, sum);
      sum.estimates.push(pinned);
      sum.charge += charge;
    }
  }
  const sums = new Map<number, NetworkEstimate>();
  for (const [pid, { estimates, charge }] of own) {
    const { low, likely, atMost } = sumPinned(estimates, charge, host);
    sums.set(pid, { leastBytes: low, likelyBytes: likely, mostBytes: atMost });
  }
  return sums;
}

function openNamespaces({ namespaces, losses }: Observation): (number | null)[] {
  const closed = new Set(losses.closed.map(({ inode }) => inode));
  return namespaces.map(({ inode }) => inode).filter((inode) => !closed.has(inode));
}

function namespaceOf(source: HostSource, pid: number): number | null {
  return hostOrNull(() => {
    const inode = /^net:\[(\d{1,15})\]$/.exec(source.readLink(`/proc/${pid}/ns/net`))?.[1];
    return inode === undefined ? null : Number(inode);
  });
}

function lossMessages({ losses, reader }: Observation, source: HostSource): string[] {
  const { closed, unreadable, contested, leftOut, failed }: Losses = losses;
  const lines = unreadable + contested + leftOut + failed;
  return [
    ...(reader === 'procfs' ? ['ss is not installed: /proc/net does not report socket memory'] : []),
    ...(closed.length > 0
      ? [
          `sockets of ${closed.length} network namespaces are not readable: ${refusalWords(rightsOf(optionalText(source, '/proc/self/status')), 'sys_admin')}`,
        ]
      : []),
    ...(lines > 0 ? [`${lines} lines of socket data are missing or malformed`] : []),
  ];
}
