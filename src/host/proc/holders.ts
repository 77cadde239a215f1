import { isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../host-source.js';
import { isPid, listedPids } from './pids.js';

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
 * A scan lets others have their turn after so much time: ss waits when nobody takes its output, and its
 * pipe holds 64 KiB, which it fills in a tenth of a millisecond.
 */
const TURN_MS = 0.1;

/**
 * Who holds which socket: the `socket:[inode]` links of /proc/PID/fd of every process. A process or
 * descriptor that goes away meanwhile is no error.
 *
 * All sockets are noted, not only wanted ones, so that the scan can run while ss still tells which
 * ones matter: on a second CPU it then costs no time of its own.
 */
export class DescriptorScan {
  readonly #source: HostSource;
  /** Parallel columns, one row for each descriptor of a socket. */
  readonly #pids: number[] = [];
  readonly #fds: number[] = [];
  readonly #inodes: number[] = [];
  readonly #denied: number[] = [];
  #processes: readonly number[] = [];
  #done: Promise<void> | null = null;

  constructor(source: HostSource) {
    this.#source = source;
  }

  /** Starts the scan, if it has not been; resolves when it is done. */
  run(): Promise<void> {
    this.#done ??= this.#scan();
    return this.#done;
  }

  /**
   * The holders of these inodes. /proc/PID/fd is the main thread's table. It is empty when the main
   * thread has ended before the others, and a thread may have a table of its own (CLONE_FILES not
   * shared): for inodes that are still without a holder, tables of other threads are read too,
   * those that do not look like the main thread's.
   */
  holdersOf(wanted: ReadonlySet<number>): HolderScan {
    const found = new Map<number, Map<number, Set<number>>>();
    const note = (inode: number, pid: number, fd: number) => {
      if (!wanted.has(inode)) return;
      const holders = found.get(inode) ?? new Map<number, Set<number>>();
      found.set(inode, holders);
      const known = holders.get(pid) ?? new Set<number>();
      holders.set(pid, known);
      known.add(fd);
    };
    for (let row = 0; row < this.#inodes.length; row++)
      note(this.#inodes[row] ?? 0, this.#pids[row] ?? 0, this.#fds[row] ?? 0);
    if (found.size < wanted.size)
      for (const pid of this.#processes)
        for (const directory of unlikeTables(this.#source, pid))
          readTable(this.#source, directory, (inode, fd) => note(inode, pid, fd));
    const byInode = new Map<number, Holder[]>();
    for (const [inode, holders] of found)
      byInode.set(
        inode,
        [...holders]
          .map(([pid, fds]) => ({ pid, fds: [...fds].sort((a, b) => a - b) }))
          .sort((a, b) => a.pid - b.pid),
      );
    return { byInode, processes: this.#processes.length, denied: this.#denied };
  }

  async #scan(): Promise<void> {
    this.#processes = listedPids(this.#source).map(Number);
    let turnEnds = performance.now() + TURN_MS;
    for (const pid of this.#processes) {
      const before = this.#inodes.length;
      let denied = false;
      let read = 0;
      try {
        for (const { fd, inode } of descriptors(this.#source, `/proc/${pid}/fd`)) {
          if (inode === 'denied') denied = true;
          else if (inode !== null) {
            this.#pids.push(pid);
            this.#fds.push(fd);
            this.#inodes.push(inode);
          }
          if (++read % 16 === 0 && performance.now() > turnEnds) {
            await new Promise((resolve) => setImmediate(resolve));
            turnEnds = performance.now() + TURN_MS;
          }
        }
      } catch (error) {
        if (isHostError(error, 'denied')) denied = true;
        else if (!isHostError(error)) throw error;
      }
      if (denied && this.#inodes.length === before) this.#denied.push(pid);
    }
  }
}

/** What a scan found, and the holders of those that were opened, or handed on, since it began. */
export async function withLateHolders(
  source: HostSource,
  early: HolderScan,
  wanted: ReadonlySet<number>,
): Promise<HolderScan> {
  const missed = new Set([...wanted].filter((inode) => !early.byInode.has(inode)));
  if (missed.size === 0) return early;
  const late = await scanHolders(source, missed);
  return { ...early, byInode: new Map([...early.byInode, ...late.byInode]) };
}

/** The holders of these sockets, all at once. Without a wanted one no descriptor is read. */
export async function scanHolders(
  source: HostSource,
  wanted: ReadonlySet<number>,
): Promise<HolderScan> {
  const scan = new DescriptorScan(source);
  if (wanted.size > 0) await scan.run();
  return scan.holdersOf(wanted);
}

/**
 * How many descriptors a process has open, null when it is gone or hidden. Since Linux 6.2 the
 * directory's size says it (proc_fd_getattr); before, it is 0 and the names are counted.
 */
export function countDescriptors(source: HostSource, pid: number): number | null {
  return countTable(source, `/proc/${pid}/fd`);
}

/** The socket inodes of one descriptor table (`/proc/PID/fd`), each with its descriptors. */
export function socketFds(
  source: HostSource,
  directory: string,
): ReadonlyMap<number, readonly number[]> | 'denied' | 'gone' {
  const table = new Map<number, number[]>();
  const outcome = readTable(source, directory, (inode, fd) => {
    const fds = table.get(inode);
    if (fds) fds.push(fd);
    else table.set(inode, [fd]);
  });
  return outcome === 'read' || table.size > 0 ? table : outcome;
}

function readTable(
  source: HostSource,
  directory: string,
  note: (inode: number, fd: number) => void,
): 'read' | 'denied' | 'gone' {
  let denied = false;
  try {
    for (const { fd, inode } of descriptors(source, directory)) {
      if (inode === 'denied') denied = true;
      else if (inode !== null) note(inode, fd);
    }
  } catch (error) {
    if (isHostError(error)) return error.code === 'denied' ? 'denied' : 'gone';
    throw error;
  }
  return denied ? 'denied' : 'read';
}

/** A descriptor, and the inode of the socket that it is: null when it is something else. */
interface Descriptor {
  readonly fd: number;
  readonly inode: number | 'denied' | null;
}

/** A table with so many descriptors is worth not to be listed. */
const LARGE_TABLE = 256;
/** So many numbers without a descriptor, and a large table is listed after all. */
const MOST_GAPS = 16;

/**
 * The descriptors of one table. Descriptors are given out lowest number first, so a large table has
 * few gaps: where its size is known (Linux 6.2), its numbers are tried one after the other, which costs
 * a third less than to list them first. Throws `HostError` when the table is gone or denied.
 */
function* descriptors(source: HostSource, directory: string): Generator<Descriptor> {
  let next = 0;
  const count = Math.min(source.size(directory), MAX_FDS_PER_PROCESS);
  if (count >= LARGE_TABLE) {
    let found = 0;
    for (let gaps = 0; found < count && gaps <= MOST_GAPS; next++) {
      const inode = socketInode(source, `${directory}/${next}`);
      if (inode === 'denied') break;
      if (inode === 'gone') gaps++;
      else {
        found++;
        yield { fd: next, inode };
      }
    }
    if (found === count) return;
  }
  for (const name of source.list(directory).slice(0, MAX_FDS_PER_PROCESS)) {
    if (!/^\d{1,10}$/.test(name) || Number(name) < next) continue;
    const inode = socketInode(source, `${directory}/${name}`);
    if (inode !== 'gone') yield { fd: Number(name), inode };
  }
}

/** Null for what is no socket. */
function socketInode(source: HostSource, path: string): number | 'denied' | 'gone' | null {
  try {
    const link = source.readLink(path);
    if (!link.startsWith(SOCKET) || !link.endsWith(']')) return null;
    const inode = Number(link.slice(SOCKET.length, -1));
    return Number.isSafeInteger(inode) && inode >= 0 ? inode : null;
  } catch (error) {
    if (isHostError(error)) return error.code === 'denied' ? 'denied' : 'gone';
    throw error;
  }
}

/** `socket:[inode]`: sockfs_dname in net/socket.c. */
const SOCKET = 'socket:[';

/** Tables of so many descriptors are compared by name; larger ones by their number only. */
const MAX_COMPARED = 1024;

/** The tables of threads that are not the main thread's, by the numbers of their descriptors. */
function unlikeTables(source: HostSource, pid: number): string[] {
  try {
    const threads = source.list(`/proc/${pid}/task`).filter(isPid);
    if (threads.length < 2) return [];
    const main = countDescriptors(source, pid);
    return threads
      .filter((thread) => Number(thread) !== pid)
      .map((thread) => `/proc/${pid}/task/${thread}/fd`)
      .filter((directory) => {
        const count = countTable(source, directory);
        if (count !== main || count === null) return count !== null;
        return count <= MAX_COMPARED && !sameNames(source, directory, `/proc/${pid}/fd`);
      });
  } catch (error) {
    if (isHostError(error)) return [];
    throw error;
  }
}

function sameNames(source: HostSource, one: string, other: string): boolean {
  const names = (directory: string) => [...source.list(directory)].sort().join(' ');
  return names(one) === names(other);
}

function countTable(source: HostSource, directory: string): number | null {
  try {
    return source.size(directory) || source.list(directory).length;
  } catch (error) {
    if (isHostError(error)) return null;
    throw error;
  }
}

/** The number of descriptors of every process that shows it. */
export function countAllDescriptors(source: HostSource): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const name of listedPids(source)) {
    const count = countDescriptors(source, Number(name));
    if (count !== null) counts.set(Number(name), count);
  }
  return counts;
}
