import { HostError } from '../../base/errors/host.js';
import { parseCgroups } from '../../records/cgroup-place.js';
import type { HostSource } from '../host-source.js';
import { startTicks } from './process.js';

/** Threads whose membership is remembered; beyond it all is asked anew. */
const MOST_REMEMBERED = 65_536;

/** So long a thread is not asked about again: its number may be given to another, its cgroup changed. */
const REMEMBERED_MS = 1000;

/** Tells of threads whether they are among those that were chosen: of a process, or in a cgroup. */
export class ChosenThreads {
  readonly #source: HostSource;
  readonly #asks: (tid: number) => 'yes' | 'no' | 'ended';
  /** When each was asked about, and whether it is one. */
  readonly #known = new Map<number, { readonly at: number; readonly isOne: boolean }>();
  #ended = 0;

  private constructor(source: HostSource, asks: (tid: number) => 'yes' | 'no' | 'ended') {
    this.#source = source;
    this.#asks = asks;
  }

  /** Threads of a process. */
  static ofProcess(source: HostSource, pid: number): ChosenThreads {
    const start = startTicks(source, pid);
    return new ChosenThreads(source, (tid) => {
      if (isThere(source, `/proc/${pid}/task/${tid}/comm`)) {
        // Its number may be another's meanwhile.
        const now = startTicks(source, pid);
        if (now === start) return 'yes';
        return now === null ? 'ended' : 'no';
      }
      return isThere(source, `/proc/${tid}/comm`) ? 'no' : 'ended';
    });
  }

  /**
   * Threads in a cgroup, or in one below it.
   *
   * @param path as in /proc/PID/cgroup
   * @throws {HostError} `gone`: there is no such cgroup, so that nobody would be followed
   */
  static ofCgroup(source: HostSource, path: string): ChosenThreads {
    const below = path === '/' ? '/' : `${path}/`;
    const asks = (tid: number | string) => {
      try {
        const own = parseCgroups(source.readText(`/proc/${tid}/cgroup`))?.path ?? '';
        return own === path || own.startsWith(below) ? 'yes' : 'no';
      } catch (error) {
        if (error instanceof HostError) return 'ended';
        throw error;
      }
    };
    // One that is empty now may have processes later.
    if (!hasCgroup(source, path) && !isAnyOf(source, (pid) => asks(pid) === 'yes'))
      throw new HostError('gone', `no such cgroup: ${path}`, {
        next: 'Give its path as shown in /proc/PID/cgroup.',
      });
    return new ChosenThreads(source, asks);
  }

  /** How often a thread was asked about that had ended. */
  get ended(): number {
    return this.#ended;
  }

  /** @param tid 0: of the idle task of a CPU, which is nobody's */
  has(tid: number): boolean {
    if (tid === 0) return false;
    const now = this.#source.now();
    const known = this.#known.get(tid);
    if (known !== undefined && now - known.at < REMEMBERED_MS) return known.isOne;
    const told = this.#asks(tid);
    if (told === 'ended') {
      this.#ended++;
      return false;
    }
    if (this.#known.size >= MOST_REMEMBERED) this.#known.clear();
    this.#known.set(tid, { at: now, isOne: told === 'yes' });
    return told === 'yes';
  }
}

const CGROUPS = '/sys/fs/cgroup';

/** In the hierarchy of version 2, or in one of a controller. */
function hasCgroup(source: HostSource, path: string): boolean {
  const hierarchies = namesIn(source, CGROUPS).map((name) => `${CGROUPS}/${name}`);
  return [CGROUPS, ...hierarchies].some((root) => namesIn(source, `${root}${path}`).length > 0);
}

function isAnyOf(source: HostSource, isOne: (pid: string) => boolean): boolean {
  return namesIn(source, '/proc').some((name) => /^\d+$/.test(name) && isOne(name));
}

/** None where it is no folder, or cannot be read. */
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
