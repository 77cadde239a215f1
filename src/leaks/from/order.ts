import type { AllocationType } from '../recording.js';

/** What is to be made a recording of. */
export interface FromOrder {
  readonly type: AllocationType;
  /** Events: files of one form, of the same time. Copies of what the kernel keeps: the oldest first. */
  readonly paths: readonly string[];
  /** Of events; null: as many as are usual. */
  readonly windows: number | null;
  /** From the first copy to the last, seconds; null: by when the files were last changed. Events tell their times. */
  readonly seconds: number | null;
  /** Of the machine where it was taken, bytes. */
  readonly pageSize: number;
  /** Allocations that are kept while events are followed. */
  readonly maxBlocks: number;
  readonly maxSurvivors: number;
}
