import { hostOrNull, isHostError } from '../base/errors.js';
import type { HostSource } from './host-source.js';
import type { Namespace } from './namespaces.js';
import type { HolderScan } from './proc/holders.js';
import { readMaxSkbFrags, readUnplacedMemory } from './proc/memory.js';
import { type NetworkLimits, readNetworkLimits } from './proc/net-tables.js';
import type { CpuTime, ProcessRecord } from './proc/process.js';
import type { SocketRecord } from './socket.js';
import type { Sample } from './ss/read.js';
import type { UnlistedSocket } from './unlisted-sockets.js';

/** Observation of a host's sockets: one sample, or several with the readings between them. */
export interface Observation {
  readonly host: HostFacts;
  /** Source of the sockets. */
  readonly reader: 'ss' | 'procfs';
  readonly namespaces: readonly Namespace[];
  /** All samples, at least one; `first` and `last` are the first and last of them. */
  readonly samples: readonly Sample[];
  readonly first: Sample;
  /** Null if a single sample was requested. */
  readonly last: Sample | null;
  /** Of all samples and of the readings between them. */
  readonly losses: Losses;
  /**
   * The time between the samples in consecutive windows. For each: the queues of all sockets except
   * TCP's at its end, and the processes that did not run from before its start until after its end.
   */
  readonly windows: readonly Window[];
  readonly holders: HolderScan;
  /** Processes, at the end, that hold a socket of interest or have more descriptors than at first. */
  readonly processes: ReadonlyMap<number, ProcessRecord>;
  /** CPU time that these processes used or waited for after the first sample, within at most this much time. */
  readonly cpu: ReadonlyMap<number, CpuTime & { readonly withinMs: number }>;
  /** Number of descriptors of each process at each sample; empty with fewer than 3 samples. */
  readonly descriptors: readonly ReadonlyMap<number, number>[];
  /** Sockets (inodes) of the one requested process, or null for all. */
  readonly onlyInodes: ReadonlySet<number> | null;
  /** Unix sockets whose queues contain descriptors, if any socket has no known holder. */
  readonly scmFds: readonly InFlight[];
  /** Sockets that processes have open and the first sample of ss did not list; empty if not requested. */
  readonly unlisted: readonly UnlistedSocket[];
}

/** Descriptors in SCM_RIGHTS messages that a process has not received from its unix socket. */
export interface InFlight {
  readonly pid: number;
  /** Untrusted. */
  readonly comm: string | null;
  readonly fd: number;
  readonly descriptors: number;
}

export interface Window {
  readonly startMs: number;
  readonly endMs: number;
  /** Recv-Q at the start and the end, by `socketKey`; missing: unknown. */
  readonly recvQ: ReadonlyMap<string, { readonly from: number; readonly to: number }>;
  /** pid → whether the process did not run in the window; null: unknown. */
  readonly still: ReadonlyMap<number, boolean | null>;
}

/** Whether the bytes received by a TCP socket are unknown. */
export function lacksFigures({ protocol, tcp, state }: SocketRecord): boolean {
  return protocol === 'TCP' && (tcp?.bytesReceived ?? null) === null && state !== 'LISTEN';
}

/** Whether a queue of the socket is not empty, or it has rings, so that its owner matters. */
export function wantsOwner(socket: SocketRecord): boolean {
  const { recvQ, sendQ, state, ringBytes = 0 } = socket;
  return recvQ > 0 || ringBytes > 0 || (sendQ > 0 && state !== 'LISTEN');
}

/** Whether the socket has dropped packets. */
export function drops({ skmem }: SocketRecord): boolean {
  return (skmem?.drops ?? 0) > 0;
}

/** Inodes needed to find the owners, including those of peers and of pending clients. */
export function inodesWanted(sockets: readonly SocketRecord[]): ReadonlySet<number> {
  const wanted = new Set<number>();
  for (const socket of sockets)
    for (const inode of [socket.inode, socket.peerInode, ...(socket.waiting ?? [])]) if (inode !== 0) wanted.add(inode);
  return wanted;
}

/** Losses over all readings of an observation, including those between the samples. */
export interface Losses {
  /** Number of readings. */
  readonly readings: number;
  /** Sums over the readings: a line that is lost in every reading counts every time. */
  readonly unreadable: number;
  readonly contested: number;
  readonly leftOut: number;
  readonly failed: number;
  readonly missing: number;
  /** Each namespace and each table once. */
  readonly closed: readonly Namespace[];
  /** Processes with an unreadable network namespace, if all were requested. */
  readonly hidden: number;
  readonly unknown: ReadonlySet<string>;
}

export function lossesOf(readings: readonly Sample[], hidden: number): Losses {
  const sum = (of: (sample: Sample) => number) => readings.reduce((total, sample) => total + of(sample), 0);
  const closed = new Map<string, Namespace>();
  const unknown = new Set<string>();
  for (const sample of readings) {
    for (const namespace of sample.closed) closed.set(`${namespace.inode} ${namespace.path}`, namespace);
    for (const table of sample.unknown) unknown.add(table);
  }
  return {
    readings: readings.length,
    unreadable: sum(({ unreadable }) => unreadable),
    contested: sum(({ contested }) => contested),
    leftOut: sum(({ leftOut }) => leftOut),
    failed: sum(({ failed }) => failed),
    missing: sum(({ missing }) => missing),
    closed: [...closed.values()],
    hidden,
    unknown,
  };
}

/** Properties of the whole host. */
export interface HostFacts {
  readonly name: string;
  readonly release: string;
  /** The inode of our own network namespace, null if not available. */
  readonly netns: number | null;
  /** MemTotal, bytes; null: unknown. */
  readonly totalMemory: number | null;
  /** MemAvailable, bytes; null: unknown. */
  readonly availableMemory: number | null;
  /** Bytes: see `readUnplacedMemory`. */
  readonly unplacedMemory: number;
  /** Whether it was counted page by page (`takeCensus`): otherwise it varies with free memory. */
  readonly unplacedIsCounted: boolean;
  readonly maxSkbFrags: number;
  readonly limits: NetworkLimits;
}

/** More than a machine has: 64 TiB, what x86_64 addresses with four levels. Stands for an unknown amount. */
export const MAX_MEMORY = 2 ** 46;

/** A text or a capture may lack a file. */
function unlessGone<Found>(read: () => Found): Found | undefined {
  try {
    return read();
  } catch (error) {
    if (isHostError(error, 'gone')) return undefined;
    throw error;
  }
}

/** Throws `unreadable` if /proc/meminfo lacks the amount of memory. */
export function readHostFacts(source: HostSource, namespaces: readonly Namespace[]): HostFacts {
  const memory = unlessGone(() => readUnplacedMemory(source));
  return {
    name: optionalText(source, '/proc/sys/kernel/hostname') ?? '',
    release: optionalText(source, '/proc/sys/kernel/osrelease') ?? '',
    netns: readNetns(source),
    totalMemory: memory?.total ?? null,
    availableMemory: memory?.available ?? null,
    unplacedMemory: memory?.unplaced ?? MAX_MEMORY,
    unplacedIsCounted: false,
    maxSkbFrags: readMaxSkbFrags(source),
    limits: readNetworkLimits(source, namespaces),
  };
}

function optionalText(source: HostSource, path: string): string | null {
  return hostOrNull(() => source.readText(path).trim());
}

function readNetns(source: HostSource): number | null {
  return hostOrNull(() => {
    const inode = /^net:\[(\d{1,15})\]$/.exec(source.readLink('/proc/self/ns/net'))?.[1];
    return inode === undefined ? null : Number(inode);
  });
}

/** Mount points of tracefs; the kernel itself mounts the second one within debugfs. */
export const TRACEFS_PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'] as const;
