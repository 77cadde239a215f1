import { HostError } from '../../base/errors.js';
import { parseCgroups } from '../../records/cgroups.js';
import type { HostSource } from '../host-source.js';
import { startTicks } from './process.js';

/** Maximum number of cached threads; the cache is cleared beyond it. */
const MAX_CACHED = 65_536;

/** Lifetime of a cached result: the thread id may be reused, its cgroup may change. */
const CACHED_MS = 1000;

/** Filters threads: those of a process, or in a cgroup. */
export class ThreadFilter {
  readonly #source: HostSource;
  readonly #query: (tid: number) => 'yes' | 'no' | 'ended';
  /** Time of the last query for each thread, and its result. */
  readonly #known = new Map<number, { readonly at: number; readonly matches: boolean }>();
  #ended = 0;

  private constructor(source: HostSource, query: (tid: number) => 'yes' | 'no' | 'ended') {
    this.#source = source;
    this.#query = query;
  }

  static ofProcess(source: HostSource, pid: number): ThreadFilter {
    const start = startTicks(source, pid);
    return new ThreadFilter(source, (tid) => {
      if (isThere(source, `/proc/${pid}/task/${tid}/comm`)) {
        // The pid may have been reused.
        const now = startTicks(source, pid);
        if (now === start) return 'yes';
        return now === null ? 'ended' : 'no';
      }
      return isThere(source, `/proc/${tid}/comm`) ? 'no' : 'ended';
    });
  }

  /**
   * Threads in a cgroup or its descendants.
   *
   * @param path as in /proc/PID/cgroup
   * @throws {HostError} `gone`: there is no such cgroup, so no thread would match
   */
  static ofCgroup(source: HostSource, path: string): ThreadFilter {
    const below = path === '/' ? '/' : `${path}/`;
    const query = (tid: number | string) => {
      try {
        const own = parseCgroups(source.readText(`/proc/${tid}/cgroup`))?.path ?? '';
        return own === path || own.startsWith(below) ? 'yes' : 'no';
      } catch (error) {
        if (error instanceof HostError) return 'ended';
        throw error;
      }
    };
    // An empty cgroup may get processes later.
    if (!hasCgroup(source, path) && !isAnyOf(source, (pid) => query(pid) === 'yes'))
      throw new HostError('gone', `no such cgroup: ${path}`, { next: 'Give its path as shown in /proc/PID/cgroup.' });
    return new ThreadFilter(source, query);
  }

  /** Number of queries for threads that had exited. */
  get exited(): number {
    return this.#ended;
  }

  /** @param tid 0: the idle task of a CPU, which belongs to no process */
  has(tid: number): boolean {
    if (tid === 0) return false;
    const now = this.#source.now();
    const known = this.#known.get(tid);
    if (known !== undefined && now - known.at < CACHED_MS) return known.matches;
    const answer = this.#query(tid);
    if (answer === 'ended') {
      this.#ended++;
      return false;
    }
    if (this.#known.size >= MAX_CACHED) this.#known.clear();
    this.#known.set(tid, { at: now, matches: answer === 'yes' });
    return answer === 'yes';
  }
}

const CGROUPS = '/sys/fs/cgroup';

/** In the version 2 hierarchy, or in that of a version 1 controller. */
function hasCgroup(source: HostSource, path: string): boolean {
  const hierarchies = namesIn(source, CGROUPS).map((name) => `${CGROUPS}/${name}`);
  return [CGROUPS, ...hierarchies].some((root) => namesIn(source, `${root}${path}`).length > 0);
}

function isAnyOf(source: HostSource, isOne: (pid: string) => boolean): boolean {
  return namesIn(source, '/proc').some((name) => /^\d+$/.test(name) && isOne(name));
}

/** Empty if it is not a folder, or cannot be read. */
function namesIn(source: HostSource, folder: string): readonly string[] {
  try {
    return source.list(folder);
  } catch (error) {
    if (error instanceof HostError) return [];
    throw error;
  }
}

function isThere(source: HostSource, path: string): boolean {
  try {
    source.readText(path);
    return true;
  } catch (error) {
    if (error instanceof HostError) return false;
    throw error;
  }
}
