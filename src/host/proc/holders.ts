import { hostOrNull, isHostError } from '../../base/errors.js';
import type { HostSource } from '../host-source.js';
import { descriptors } from './descriptor-tables.js';
import { isPid, listedPids } from './process.js';

/** A process that holds a socket open, with all its descriptors of it, lowest first. */
export interface Holder {
  readonly pid: number;
  readonly fds: readonly number[];
}

export interface HolderScan {
  /** Socket inode → the processes that hold it, by pid. Threads of one process are one holder. */
  readonly byInode: ReadonlyMap<number, readonly Holder[]>;
  readonly processes: number;
  /** Pids of processes with unreadable descriptors: each could be a holder as well. */
  readonly denied: readonly number[];
}

/**
 * Time after which a scan yields: ss blocks while its output is not read, and its pipe of 64 KiB fills
 * in a tenth of a millisecond.
 */
const YIELD_MS = 0.1;

/**
 * Finds the holders of sockets from the `socket:[inode]` links of /proc/PID/fd of every process. A
 * process or descriptor that disappears meanwhile is no error.
 *
 * All sockets are recorded, not only selected ones, so that the scan can run while ss still reports
 * them: on a second CPU it then takes no extra time.
 */
export class DescriptorScan {
  readonly #source: HostSource;
  /** Parallel columns, one row per socket descriptor. */
  readonly #pids: number[] = [];
  readonly #fds: number[] = [];
  readonly #inodes: number[] = [];
  readonly #denied: number[] = [];
  #processes: readonly number[] = [];
  #done: Promise<void> | null = null;

  constructor(source: HostSource) {
    this.#source = source;
  }

  /** Starts the scan if needed; resolves when it is complete. */
  run(): Promise<void> {
    this.#done ??= this.#scan();
    return this.#done;
  }

  /**
   * Returns the holders of these inodes. /proc/PID/fd is the main thread's table. It is empty if the main
   * thread has exited before the others, and a thread may have its own table (no CLONE_FILES): for inodes
   * still without a holder, the tables of other threads that differ from the main thread's are read too.
   */
  holdersOf(wanted: ReadonlySet<number>): HolderScan {
    const byNumber = new Map<number, Map<number, Set<number>>>();
    const note = (inode: number, pid: number, fd: number) => {
      if (!wanted.has(inode)) return;
      const holders = byNumber.get(inode) ?? new Map<number, Set<number>>();
      byNumber.set(inode, holders);
      const known = holders.get(pid) ?? new Set<number>();
      holders.set(pid, known);
      known.add(fd);
    };
    for (let row = 0; row < this.#inodes.length; row++)
      note(this.#inodes[row] ?? 0, this.#pids[row] ?? 0, this.#fds[row] ?? 0);
    if (byNumber.size < wanted.size)
      for (const pid of this.#processes)
        for (const directory of differingTables(this.#source, pid))
          readTable(this.#source, directory, (inode, fd) => note(inode, pid, fd));
    const byInode = new Map<number, Holder[]>();
    for (const [inode, holders] of byNumber)
      byInode.set(
        inode,
        [...holders].map(([pid, fds]) => ({ pid, fds: [...fds].sort((a, b) => a - b) })).sort((a, b) => a.pid - b.pid),
      );
    return { byInode, processes: this.#processes.length, denied: this.#denied };
  }

  /** Sockets that are not among these: every descriptor of the main threads, once the scan is complete. */
  except(inodes: ReadonlySet<number>): { readonly pid: number; readonly fd: number; readonly inode: number }[] {
    return this.#inodes.flatMap((inode, row) =>
      inodes.has(inode) ? [] : [{ pid: this.#pids[row] ?? 0, fd: this.#fds[row] ?? 0, inode }],
    );
  }

  async #scan(): Promise<void> {
    this.#processes = listedPids(this.#source).map(Number);
    let turnEnds = performance.now() + YIELD_MS;
    for (const pid of this.#processes) {
      const before = this.#inodes.length;
      let denied = false;
      let read = 0;
      try {
        for (const { fd, link } of descriptors(this.#source, `/proc/${pid}/fd`)) {
          if (link === 'denied') denied = true;
          else if (typeof link === 'number') {
            this.#pids.push(pid);
            this.#fds.push(fd);
            this.#inodes.push(link);
          }
          if (++read % 16 === 0 && performance.now() > turnEnds) {
            await new Promise((resolve) => setImmediate(resolve));
            turnEnds = performance.now() + YIELD_MS;
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

/** Combines a scan with the holders of sockets that were opened, or passed on, since it began. */
export async function withLateHolders(
  source: HostSource,
  early: HolderScan,
  wanted: ReadonlySet<number>,
): Promise<HolderScan> {
  const missed = new Set([...wanted].filter((inode) => !early.byInode.has(inode)));
  if (missed.size === 0) return early;
  const late = await scanHolders(source.fresh ?? source, missed);
  return { ...early, byInode: new Map([...early.byInode, ...late.byInode]) };
}

/** Returns the holders of these sockets, in one pass. Reads no descriptors if none is given. */
export async function scanHolders(source: HostSource, wanted: ReadonlySet<number>): Promise<HolderScan> {
  const scan = new DescriptorScan(source);
  if (wanted.size > 0) await scan.run();
  return scan.holdersOf(wanted);
}

/**
 * Number of open descriptors of a process, null if it has exited or is hidden. Since Linux 6.2 the
 * directory's size is the number (proc_fd_getattr); before, it is 0 and the names are counted.
 */
export function countDescriptors(source: HostSource, pid: number): number | null {
  return countTable(source, `/proc/${pid}/fd`);
}

/** Socket inodes of one descriptor table (`/proc/PID/fd`), each with its descriptors. */
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
    for (const { fd, link } of descriptors(source, directory)) {
      if (link === 'denied') denied = true;
      else if (typeof link === 'number') note(link, fd);
    }
  } catch (error) {
    if (isHostError(error)) return error.code === 'denied' ? 'denied' : 'gone';
    throw error;
  }
  return denied ? 'denied' : 'read';
}

/** Tables up to this size are compared by name; larger ones only by size. */
const MAX_COMPARED = 1024;

/** Folders of the tables of threads that differ from the main thread's, by their descriptor numbers. */
export function differingTables(source: HostSource, pid: number): string[] {
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

function sameNames(source: HostSource, first: string, second: string): boolean {
  const names = (directory: string) => [...source.list(directory)].sort().join(' ');
  return names(first) === names(second);
}

function countTable(source: HostSource, directory: string): number | null {
  return hostOrNull(() => source.size(directory) || source.list(directory).length);
}

/** Number of descriptors of every readable process. */
export function countAllDescriptors(source: HostSource): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const name of listedPids(source)) {
    const count = countDescriptors(source, Number(name));
    if (count !== null) counts.set(Number(name), count);
  }
  return counts;
}
