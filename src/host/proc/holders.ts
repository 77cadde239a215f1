import { isHostError } from '../error.js';
import type { HostSource } from '../source.js';

/** A process that has a socket open, with all its descriptors of it, lowest first. */
export interface Holder {
  readonly pid: number;
  readonly fds: readonly number[];
}

export interface HolderScan {
  /** Socket inode → the processes that hold it, by pid. Threads of one process are one holder. */
  readonly byInode: ReadonlyMap<number, readonly Holder[]>;
  readonly processes: number;
  /** The pids of processes whose descriptors we may not see: each could be a holder too. */
  readonly denied: readonly number[];
}

/** RLIMIT_NOFILE ends at sysctl fs.nr_open, a million by default: more is no process's fd table. */
const MAX_FDS_PER_PROCESS = 4_000_000;

/**
 * Looks through /proc/PID/fd of every process for `socket:[inode]` links to the wanted inodes.
 * A process or descriptor that goes away meanwhile is no error.
 *
 * /proc/PID/fd is the main thread's table. It is empty when the main thread has ended before the
 * others, and a thread may have a table of its own (CLONE_FILES not shared): for inodes that are
 * still without a holder, the other threads' tables are read too.
 */
export function scanHolders(source: HostSource, wanted: ReadonlySet<number>): HolderScan {
  const found = new Map<number, Map<number, Set<number>>>();
  const pids = source.list('/proc').filter(isNumber).map(Number);
  const denied: number[] = [];
  const note = (pid: number, table: ReadonlyMap<number, readonly number[]>) => {
    for (const [inode, fds] of table) {
      if (!wanted.has(inode)) continue;
      const holders = found.get(inode) ?? new Map<number, Set<number>>();
      found.set(inode, holders);
      const known = holders.get(pid) ?? new Set<number>();
      holders.set(pid, known);
      for (const fd of fds) known.add(fd);
    }
  };
  if (wanted.size > 0) {
    for (const pid of pids) {
      const table = socketFds(source, `/proc/${pid}/fd`);
      if (table === 'denied') denied.push(pid);
      else if (table !== 'gone') note(pid, table);
    }
    if (found.size < wanted.size)
      for (const pid of pids)
        for (const thread of threadsOf(source, pid)) {
          const table = socketFds(source, `/proc/${pid}/task/${thread}/fd`);
          if (table !== 'denied' && table !== 'gone') note(pid, table);
        }
  }
  const byInode = new Map<number, Holder[]>();
  for (const [inode, holders] of found)
    byInode.set(
      inode,
      [...holders]
        .map(([pid, fds]) => ({ pid, fds: [...fds].sort((a, b) => a - b) }))
        .sort((a, b) => a.pid - b.pid),
    );
  return { byInode, processes: pids.length, denied };
}

/** The socket inodes of one descriptor table (`/proc/PID/fd`), each with its descriptors. */
export function socketFds(
  source: HostSource,
  directory: string,
): ReadonlyMap<number, readonly number[]> | 'denied' | 'gone' {
  let names: readonly string[];
  try {
    names = source.list(directory);
  } catch (error) {
    if (isHostError(error, 'denied')) return 'denied';
    if (isHostError(error)) return 'gone';
    throw error;
  }
  const table = new Map<number, number[]>();
  let denied = false;
  for (const name of names.slice(0, MAX_FDS_PER_PROCESS)) {
    if (!isNumber(name)) continue;
    let link: string;
    try {
      link = source.readLink(`${directory}/${name}`);
    } catch (error) {
      if (!isHostError(error)) throw error;
      denied ||= error.code === 'denied';
      continue;
    }
    const inode = SOCKET_LINK.exec(link)?.[1];
    if (inode === undefined) continue;
    const fds = table.get(Number(inode));
    if (fds) fds.push(Number(name));
    else table.set(Number(inode), [Number(name)]);
  }
  return denied && table.size === 0 ? 'denied' : table;
}

const SOCKET_LINK = /^socket:\[(\d{1,15})\]$/;

function isNumber(name: string): boolean {
  return /^\d{1,10}$/.test(name);
}

/** The threads besides the main one. */
function threadsOf(source: HostSource, pid: number): readonly string[] {
  try {
    return source.list(`/proc/${pid}/task`).filter((name) => isNumber(name) && name !== `${pid}`);
  } catch (error) {
    if (isHostError(error)) return [];
    throw error;
  }
}
