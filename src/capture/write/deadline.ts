import { setImmediate } from 'node:timers/promises';
import { HostError } from '../../base/errors/host.js';

/** So long it may go on without hearing of signals, and of what ss says. Milliseconds. */
const MOST_BUSY_MS = 5;

/** How much time there is. What is not taken by then is said to be missing. */
export class Deadline {
  readonly #end: number;
  readonly #now: () => number;
  #heard: number;

  /** @param now milliseconds on a clock that never goes back */
  constructor(seconds: number, now: () => number) {
    this.#now = now;
    this.#heard = now();
    this.#end = this.#heard + seconds * 1000;
  }

  /** Milliseconds that are left; 0: none. */
  get left(): number {
    return Math.max(0, this.#end - this.#now());
  }

  get passed(): boolean {
    return this.left === 0;
  }

  /** Lets signals and the like be heard, now and then. */
  async breathe(): Promise<void> {
    if (this.#now() - this.#heard < MOST_BUSY_MS) return;
    await setImmediate();
    this.#heard = this.#now();
  }

  /** @throws {HostError} `unreadable` when no time is left */
  check(what: string): void {
    if (this.passed) throw new HostError('unreadable', `${what}: ${OUT_OF_TIME}`);
  }

  /**
   * What this resolves to, if it does so in time.
   *
   * @throws {HostError} `unreadable`
   */
  async within<T>(what: string, answer: Promise<T>): Promise<T> {
    this.check(what);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new HostError('unreadable', `${what}: ${OUT_OF_TIME}`)),
        this.left,
      );
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

const OUT_OF_TIME = 'timeout (--timeout)';
