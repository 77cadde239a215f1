import { HostError } from './error.js';
import { type HolderScan, scanHolders, socketFds } from './proc/holders.js';
import { readMaxSkbFrags, readUnplacedMemory } from './proc/memory.js';
import {
  findProcess,
  type ProcessRecord,
  readProcess,
  readSwitches,
  type Switches,
  stoodStill,
} from './proc/process.js';
import { type SocketRecord, socketKey } from './socket.js';
import type { HostSource } from './source.js';
import { readSample, type Sample } from './ss/read.js';

/** What was seen of a host's sockets: one sample, or two and what lay between them. */
export interface Observation {
  readonly host: HostFacts;
  readonly first: Sample;
  /** Null when one sample was asked for. */
  readonly last: Sample | null;
  /**
   * The time between the samples, cut into pieces. For each: the UDP and unix sockets' queues at its
   * end, and which processes stood still from before its beginning until after its end.
   */
  readonly windows: readonly Window[];
  readonly holders: HolderScan;
  /** The processes that hold a socket of interest, as they were at the end. */
  readonly processes: ReadonlyMap<number, ProcessRecord>;
  /** The sockets (inodes) of the one process that was asked about, or null for all. */
  readonly onlyInodes: ReadonlySet<number> | null;
}

export interface HostFacts {
  readonly name: string;
  readonly release: string;
  /** The inode of the network namespace that ss was run in, null when it is not shown. */
  readonly netns: number | null;
  /** Bytes: see `readUnplacedMemory`. */
  readonly unplacedMemory: number;
  readonly maxSkbFrags: number;
}

export interface Window {
  readonly startMs: number;
  readonly endMs: number;
  /** Recv-Q at the beginning and the end, by `socketKey`. */
  readonly recvQ: ReadonlyMap<string, { readonly from: number; readonly to: number }>;
  /** pid → it ran at no time in the window; null: unknown. */
  readonly still: ReadonlyMap<number, boolean | null>;
}

export interface ObserveOptions {
  /** Milliseconds between the two samples; 0 takes one. */
  readonly intervalMs: number;
  readonly pid?: number;
}

/** Hidden processes are watched too, as possible holders, as long as they are not more than this. */
const MAX_HIDDEN_WATCHED = 64;

/** Into so many windows the time between two samples is cut. */
const WINDOWS = 4;

/**
 * Samples the host's sockets. `ss` runs twice for each of its two calls; when UDP or unix sockets
 * hold unread data it is run for those families in between, because their evidence is weaker.
 * Throws `HostError`: `ss-…`, `no-such-process`, `denied` (the fds of `pid`), `unreadable`.
 */
export async function observe(source: HostSource, options: ObserveOptions): Promise<Observation> {
  const pid = options.pid === undefined ? null : findProcess(source, options.pid);
  const host = readHostFacts(source);
  const first = await readSample(source, ['tcp', 'udp', 'unix']);
  const onlyInodes = pid === null ? null : inodesOf(source, pid);
  const interesting = first.sockets.filter(
    (socket) => holdsUnread(socket) && (onlyInodes?.has(socket.inode) ?? true),
  );
  const wanted = new Set<number>();
  for (const socket of interesting)
    for (const inode of [socket.inode, socket.peerInode]) if (inode !== 0) wanted.add(inode);
  const holders = scanHolders(source, wanted);
  const pids = new Set([...holders.byInode.values()].flat().map((holder) => holder.pid));

  const weak = interesting.filter((socket) => socket.protocol !== 'TCP');
  const windows: Window[] = [];
  let last: Sample | null = null;
  if (options.intervalMs > 0) {
    if (weak.length === 0) {
      await source.sleep(options.intervalMs);
      last = await readSample(source, ['tcp', 'udp', 'unix']);
    } else {
      const weakPids = new Set(
        weak
          .flatMap((socket) => [socket.inode, socket.peerInode])
          .flatMap((inode) => holders.byInode.get(inode) ?? [])
          .map((holder) => holder.pid),
      );
      if (holders.denied.length <= MAX_HIDDEN_WATCHED)
        for (const hidden of holders.denied) weakPids.add(hidden);
      const begun = source.now();
      let before = await readTick(source, weakPids, ['udp', 'unix']);
      for (let index = 1; index <= WINDOWS; index++) {
        const due = begun + (options.intervalMs * index) / WINDOWS;
        await source.sleep(Math.max(0, due - source.now()));
        const after = await readTick(
          source,
          weakPids,
          index === WINDOWS ? ['tcp', 'udp', 'unix'] : ['udp', 'unix'],
        );
        windows.push(windowBetween(weak, weakPids, before, after));
        before = after;
      }
      last = before.sample;
    }
  }
  const processes = new Map<number, ProcessRecord>();
  for (const each of pids) {
    const process = readProcess(source, each);
    if (process) processes.set(each, process);
  }
  return { host, first, last, windows, holders, processes, onlyInodes };
}

/** A socket in whose receive queue something waits that is data. */
export function holdsUnread(socket: SocketRecord): boolean {
  return socket.recvQ > 0 && socket.state !== 'LISTEN';
}

/** A sample with the switches of some processes before and after it. */
interface Tick {
  readonly sample: Sample;
  readonly before: ReadonlyMap<number, Switches | null>;
  readonly after: ReadonlyMap<number, Switches | null>;
}

async function readTick(
  source: HostSource,
  pids: ReadonlySet<number>,
  families: readonly ('tcp' | 'udp' | 'unix')[],
): Promise<Tick> {
  const switches = () => new Map([...pids].map((pid) => [pid, readSwitches(source, pid)]));
  const before = switches();
  const sample = await readSample(source, families);
  return { sample, before, after: switches() };
}

function windowBetween(
  sockets: readonly SocketRecord[],
  pids: ReadonlySet<number>,
  from: Tick,
  to: Tick,
): Window {
  const queues = (sample: Sample) =>
    new Map(sample.sockets.map((socket) => [socketKey(socket), socket.recvQ]));
  const start = queues(from.sample);
  const end = queues(to.sample);
  const recvQ = new Map<string, { from: number; to: number }>();
  for (const socket of sockets) {
    const key = socketKey(socket);
    const one = start.get(key);
    const other = end.get(key);
    if (one !== undefined && other !== undefined) recvQ.set(key, { from: one, to: other });
  }
  const still = new Map<number, boolean | null>();
  for (const pid of pids)
    still.set(pid, stoodStill(from.before.get(pid) ?? null, to.after.get(pid) ?? null));
  return { startMs: from.sample.endedMs, endMs: to.sample.startedMs, recvQ, still };
}

function inodesOf(source: HostSource, pid: number): ReadonlySet<number> {
  const table = socketFds(source, `/proc/${pid}/fd`);
  if (table === 'denied')
    throw new HostError('denied', `the descriptors of process ${pid} may not be read`);
  if (table === 'gone') throw new HostError('no-such-process', `process ${pid} has ended`);
  return new Set(table.keys());
}

function readHostFacts(source: HostSource): HostFacts {
  return {
    name: optionalText(source, '/proc/sys/kernel/hostname') ?? '',
    release: optionalText(source, '/proc/sys/kernel/osrelease') ?? '',
    netns: readNetns(source),
    unplacedMemory: readUnplacedMemory(source),
    maxSkbFrags: readMaxSkbFrags(source),
  };
}

function optionalText(source: HostSource, path: string): string | null {
  try {
    return source.readText(path).trim();
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}

function readNetns(source: HostSource): number | null {
  try {
    const inode = /^net:\[(\d{1,15})\]$/.exec(source.readLink('/proc/self/ns/net'))?.[1];
    return inode === undefined ? null : Number(inode);
  } catch (error) {
    if (error instanceof HostError) return null;
    throw error;
  }
}
