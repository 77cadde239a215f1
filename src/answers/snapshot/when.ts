import type { Condition } from '../../capture/write/when/conditions.js';
import type { Found } from '../../capture/write/when/look.js';
import type { Reason } from '../../capture/write/when/watchman.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';

export function reasonJson({ condition, value, killed }: Reason, limit: number | undefined) {
  return { condition: condition.kind, value: killed ?? value, limit: limit ?? null };
}

/** What a reason is held against; undefined: nothing. */
export function limitOf({ condition, limit }: Found): number | undefined {
  return 'percent' in condition && condition.kind !== 'available' ? condition.percent : limit;
}

/** Why a snapshot was due. */
export function reasonWords(reason: Reason): string {
  const { condition, value, killed = 0 } = reason;
  const limit = limitOf(reason) ?? 0;
  switch (condition.kind) {
    case 'psi':
      return `some tasks waited for memory in ${value} % of 10 s (asked: ${limit} %)`;
    case 'psi-full':
      return `all tasks waited for memory in ${value} % of 10 s (asked: ${limit} %)`;
    case 'available':
      return `${formatSize(value)} are available (asked: below ${formatSize(limit)})`;
    case 'oom':
      return `the OOM killer has killed ${killed === 1 ? '1 process' : `${killed} processes`}`;
  }
}

/** What it waits for, in a line, when it begins. */
export function waitingWords(
  found: readonly Found[],
  { into, keep, apart }: { readonly into: string; readonly keep: number; readonly apart: number },
  oomScoreAdj: string,
): string {
  const conditions = found.map((one) => conditionWords(one.condition, limitOf(one)));
  return `waits for ${conditions.join(', or ')}. Snapshots go into ${escapeText(into)}: the last ${keep} are kept, ${apart} s apart at least. oom_score_adj of this process: ${escapeText(oomScoreAdj)}`;
}

function conditionWords({ kind }: Condition, limit = 0): string {
  switch (kind) {
    case 'psi':
      return `pressure on memory (some) of ${limit} %`;
    case 'psi-full':
      return `pressure on memory (full) of ${limit} %`;
    case 'available':
      return `less than ${formatSize(limit)} available`;
    case 'oom':
      return 'a kill by the OOM killer';
  }
}
