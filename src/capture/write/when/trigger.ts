import type { Reading } from './readings.js';

/** Why a snapshot is due. */
export interface Reason extends Reading {
  /** Condition oom: processes killed since the last snapshot. */
  readonly killed?: number;
}

/**
 * Decides when a snapshot is due: a condition holds, and the last snapshot is at least `apartMs` old. An OOM kill
 * within that time stays pending; other conditions do not.
 */
export class SnapshotTrigger {
  /** OOM kills covered by a snapshot; at first those of the first sample. */
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

  /** Returns the reasons for a snapshot now; empty: none is due. Call {@link snapshotTaken} once it is written. */
  due(found: readonly Reading[], nowMs: number): Reason[] {
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

  /** Marks the snapshot as taken. Until then, an OOM kill stays a reason. */
  snapshotTaken(): void {
    this.#kills = this.#seen;
  }

  #reasonOf(found: Reading): Reason | undefined {
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
