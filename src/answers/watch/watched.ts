import type { WatchAnswer } from '../../growth/watch/answer.js';
import type { Warning } from '../../walk/warnings.js';

/** A watch that has ended, or one that was stored. */
export interface Watched {
  readonly answer: WatchAnswer;
  readonly ended: 'signal' | 'time' | 'stored';
  readonly store: {
    readonly file: string;
    readonly torn: number;
    readonly notStored: number;
  } | null;
  readonly warnings: readonly Warning[];
}

/** Nothing is missing of what was to be told. */
export function isComplete({ answer, warnings }: Watched): boolean {
  return answer.verdict !== 'inconclusive' && !answer.hidden && warnings.length === 0;
}
