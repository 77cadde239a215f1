import type { OptionalPart } from '../../capture/read/contents.js';
import type { WhenOptions } from './when-options.js';

/** What `kdump-mem snapshot` is asked. */
export interface SnapshotCommandOptions extends WhenOptions {
  readonly output?: string;
  readonly toStdout?: true;
  readonly verify?: string;
  readonly script?: true;
  /** Seconds. */
  readonly interval: number;
  /** Seconds. */
  readonly timeout: number;
  readonly with?: readonly OptionalPart[];
  readonly anonymize?: true;
  readonly force?: true;
  readonly tmpfs?: true;
  readonly json?: true;
  readonly strict?: true;
}
