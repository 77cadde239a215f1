import type { VerdictCode } from '../../skcheck/verdict.js';
import type { ListenAddress } from '../kit/arguments.js';
import type { LiveSource } from '../kit/live-sources.js';

/** What the command line asks for. Times are seconds. */
export interface SkcheckOptions {
  readonly stale?: boolean;
  readonly verdict?: readonly VerdictCode[];
  readonly interval: number;
  readonly samples?: number;
  readonly watch?: boolean;
  readonly minBytes: number;
  readonly minAge: number;
  readonly pid?: number;
  readonly netns?: string;
  readonly state?: readonly string[];
  readonly sport?: number;
  readonly dport?: number;
  readonly address?: string;
  readonly top?: number;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly procfs?: boolean;
  readonly census?: boolean;
  readonly exact?: boolean;
  readonly from?: string;
  readonly capture?: string;
  readonly force?: boolean;
  readonly captureScript?: boolean;
  readonly doctor?: boolean;
  /** True: to stdout; else the file to write. */
  readonly prometheus?: true | string;
  readonly listen?: ListenAddress;
  /** Metrics tell where the memory is, too; from this source. */
  readonly memory?: LiveSource;
}
