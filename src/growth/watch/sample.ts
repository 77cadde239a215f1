import type { MemorySource } from '../../account/memory/answer.js';
import type { CategoryName } from '../../account/memory/categories.js';
import type { UnavailableCode } from '../../base/errors/unavailable.js';
import type { ProcessesAtTime } from '../processes.js';

/** Where the memory was at one time. */
export interface LedgerSample {
  readonly source: MemorySource;
  /** Bytes; a category of which nothing is known is not among them. */
  readonly categories: ReadonlyMap<CategoryName, number>;
}

/** One sample of a watch: the machine, its ledger, its processes. */
export interface WatchSample {
  readonly look: ProcessesAtTime;
  /** Null: it could not be told, for the reason beside it. */
  readonly ledger: LedgerSample | null;
  readonly noCategories: string | null;
  readonly noCategoriesCode?: UnavailableCode | null;
  /** /proc hides some processes. */
  readonly hidden: boolean;
  /** Seconds after which the next was to come. */
  readonly interval: number;
  /** Samples since the one before that could not be taken or stored. */
  readonly lost: number;
}
