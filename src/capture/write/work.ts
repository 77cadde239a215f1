import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import os from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { HostError } from '../../base/errors.js';
import { searchPath } from '../../base/shell.js';
import type { SnapshotJson } from '../../contracts/snapshot.js';
import type { OptionalPart } from '../../records/snapshot-parts.js';
import type { Anonymizer } from './anonymizer.js';
import type { Archive } from './archive.js';
import type { Failures } from './failures.js';
import type { SnapshotSource } from './source.js';

/** Context shared by all parts of a snapshot. */
export interface Work {
  readonly source: SnapshotSource;
  readonly archive: Archive;
  readonly failures: Failures;
  readonly deadline: Deadline;
  readonly parts: ReadonlySet<OptionalPart>;
  /** Null: real names. */
  readonly anonymizer: Anonymizer | null;
}

/** Maximum size of a file of /proc or /sys with one or a few lines. Bytes. */
export const SMALL_FILE = 1024 * 1024;

/** Lines of a text, including an unterminated last one. */
export function linesOf(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** Maximum time without handling signals and output of ss. Milliseconds. */
const MAX_BUSY_MS = 5;

/** Time limit of a snapshot. Parts that are not finished by then are reported as missing. */
export class Deadline {
  readonly #end: number;
  readonly #now: () => number;
  #heard: number;

  /** @param now milliseconds on a monotonic clock */
  constructor(seconds: number, now: () => number) {
    this.#now = now;
    this.#heard = now();
    this.#end = this.#heard + seconds * 1000;
  }

  /** Milliseconds left; 0: none. */
  get timeLeft(): number {
    return Math.max(0, this.#end - this.#now());
  }

  get isOver(): boolean {
    return this.timeLeft === 0;
  }

  /** Yields to the event loop from time to time, so that signals are handled. */
  async breathe(): Promise<void> {
    if (this.#now() - this.#heard < MAX_BUSY_MS) return;
    await setImmediate();
    this.#heard = this.#now();
  }

  /** @throws {HostError} `unreadable` if the time limit is reached */
  check(part: string): void {
    if (this.isOver) throw new HostError('unreadable', `${part}: ${OUT_OF_TIME}`);
  }

  /**
   * Returns the result of a promise if it resolves in time.
   *
   * @throws {HostError} `unreadable`
   */
  async within<T>(part: string, answer: Promise<T>): Promise<T> {
    this.check(part);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new HostError('unreadable', `${part}: ${OUT_OF_TIME}`)), this.timeLeft);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

const OUT_OF_TIME = 'timeout (--timeout)';

/** CPU and I/O priority of this process. */
export type Priority = SnapshotJson['priority'];

const NICE = 10;
const TIMEOUT_MS = 2000;

/**
 * Lowers the priority of this process, if the system lets it return for the mappings of processes (memory-files.ts);
 * returns what the system granted.
 */
export function lowerPriority(): Priority {
  let tried: ChildProcess | undefined;
  try {
    tried = spawn('sleep', [`${TIMEOUT_MS / 1000}`], { stdio: 'ignore', env: { PATH: searchPath() } });
    tried.on('error', () => undefined);
    const own = os.getPriority();
    if (own < NICE && tried.pid !== undefined) {
      os.setPriority(tried.pid, NICE);
      os.setPriority(tried.pid, own);
      os.setPriority(NICE);
    }
  } catch {
    // No process can be started, or it is not permitted. The result shows the remaining priority.
  } finally {
    tried?.kill('SIGKILL');
  }
  return { nice: os.getPriority(), idleIo: runs('ionice', '-c3', '-p', `${process.pid}`) };
}

/** Drops a written file from the page cache by dd (Node lacks posix_fadvise); returns whether that worked. */
export function uncache(file: string): boolean {
  return runs('dd', `of=${file}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0');
}

function runs(command: string, ...args: string[]): boolean {
  const { status } = spawnSync(command, args, {
    stdio: 'ignore',
    env: { ...process.env, PATH: searchPath() },
    timeout: TIMEOUT_MS,
  });
  return status === 0;
}
