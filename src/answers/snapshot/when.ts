import type { Condition } from '../../capture/write/when/conditions.js';
import type { Reading } from '../../capture/write/when/readings.js';
import type { Reason } from '../../capture/write/when/trigger.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';

export function reasonJson({ condition, value, killed }: Reason, limit: number | undefined) {
  return { condition: condition.kind, value: killed ?? value, limit: limit ?? null };
}

/** What a reason is held against; undefined: nothing. */
export function limitOf({ condition, limit }: Reading): number | undefined {
  return 'percent' in condition && condition.kind !== 'available' ? condition.percent : limit;
}

/** Why a snapshot was due. */
export function reasonWords(reason: Reason): string {
  const { condition, value, killed = 0 } = reason;
  const limit = limitOf(reason) ?? 0;
  switch (condition.kind) {
    case 'psi':
      return `some tasks stalled on memory for ${value} % of the last 10 s (limit ${limit} %)`;
    case 'psi-full':
      return `all tasks stalled on memory for ${value} % of the last 10 s (limit ${limit} %)`;
    case 'available':
      return `MemAvailable is ${formatSize(value)} (limit ${formatSize(limit)})`;
    case 'oom':
      return `the OOM killer killed ${killed === 1 ? '1 process' : `${killed} processes`}`;
  }
}

/** What it waits for, in a line, when it begins. */
export function waitingWords(
  found: readonly Reading[],
  { into, keep, apart }: { readonly into: string; readonly keep: number; readonly apart: number },
  oomScoreAdj: string,
): string {
  const conditions = found.map((one) => conditionWords(one.condition, limitOf(one)));
  return `waiting for ${conditions.join(', or ')}. Snapshots: directory ${escapeText(into)}, newest ${keep} kept, at least ${apart} s apart. oom_score_adj of this process: ${escapeText(oomScoreAdj)}`;
}

function conditionWords({ kind }: Condition, limit = 0): string {
  switch (kind) {
    case 'psi':
      return `memory pressure (some) of ${limit} %`;
    case 'psi-full':
      return `memory pressure (full) of ${limit} %`;
    case 'available':
      return `MemAvailable below ${formatSize(limit)}`;
    case 'oom':
      return 'a kill by the OOM killer';
  }
}
