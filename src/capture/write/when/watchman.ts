import type { Found } from './look.js';

/** Why a snapshot is to be taken. */
export interface Reason extends Found {
  /** Of oom: processes killed since the last snapshot. */
  readonly killed?: number;
}

/**
 * Tells when it is time for a snapshot: one of the conditions holds, and the last snapshot is long enough ago.
 * A kill by the OOM killer that comes earlier is kept until then; what only holds meanwhile is not.
 */
export class Watchman {
  /** Kills that a snapshot has told of; before the first: those of the first look. */
  #kills: number | undefined;
  #seen: number | undefined;
  #lastMs: number | undefined;

  /**
   * @param apartMs at least so long from the beginning of one snapshot to that of the next
   * @param lastMs when one was taken before we began; milliseconds of the same clock as those of `due`
   */
  constructor(
    readonly apartMs: number,
    lastMs?: number,
  ) {
    this.#lastMs = lastMs;
  }

  /** @returns why a snapshot is to be taken now; none: it is not. {@link took} is told when there is one. */
  due(found: readonly Found[], nowMs: number): Reason[] {
    const kills = found.find(({ condition }) => condition.kind === 'oom')?.value;
    // A counter that went back is another boot's.
    if (kills !== undefined && (this.#kills === undefined || kills < this.#kills))
      this.#kills = kills;
    this.#seen = kills;
    if (this.#lastMs !== undefined && nowMs - this.#lastMs < this.apartMs && nowMs >= this.#lastMs)
      return [];
    const reasons = found.flatMap((one) => {
      const reason = this.#reasonOf(one);
      return reason ? [reason] : [];
    });
    if (reasons.length === 0) return [];
    this.#lastMs = nowMs;
    return reasons;
  }

  /** What was due was taken. Where that failed, a kill stays a reason for the next. */
  took(): void {
    this.#kills = this.#seen;
  }

  #reasonOf(found: Found): Reason | undefined {
    const { condition, value, limit = 0 } = found;
    switch (condition.kind) {
      case 'psi':
      case 'psi-full':
        return value >= condition.percent ? found : undefined;
      case 'available':
        return value < limit ? found : undefined;
      case 'oom': {
        const killed = value - (this.#kills ?? value);
        return killed > 0 ? { ...found, killed } : undefined;
      }
    }
  }
}
