import { type SocketRecord, socketKey } from '../host/socket.js';
import type { Verdict } from './verdict.js';

/**
 * What was concluded at earlier looks, so that a later one can say since when: a socket that nobody
 * read between looks 1 and 2 nor between 2 and 3 was not read from 1 to 3.
 */
export class Ages {
  #byKey = new Map<string, { readonly waitedMs: number; readonly atMs: number }>();

  /** The verdict with the time that earlier looks add to it. `nowMs`: when this look ended. */
  extend(key: string, verdict: Verdict, nowMs: number): Verdict {
    const known = this.#byKey.get(`${verdict.verdict} ${key}`);
    if (!known || verdict.waitedMs === null) return verdict;
    const waitedMs = known.waitedMs + Math.max(0, nowMs - known.atMs);
    return waitedMs > verdict.waitedMs ? { ...verdict, waitedMs } : verdict;
  }

  /** Takes note of a look; what it does not name any more is forgotten. */
  note(
    findings: readonly { readonly socket: SocketRecord; readonly verdict: Verdict }[],
    nowMs: number,
  ): void {
    this.#byKey = new Map(
      findings.flatMap(({ socket, verdict }) =>
        verdict.waitedMs === null
          ? []
          : [
              [
                `${verdict.verdict} ${socketKey(socket)}`,
                { waitedMs: verdict.waitedMs, atMs: nowMs },
              ] as const,
            ],
      ),
    );
  }
}
