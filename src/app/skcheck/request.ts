import { HOST_ERRORS } from '../../answers/explain/errors.js';
import type { SkcheckGrouping } from '../../answers/skcheck/schema.js';
import type { HostErrorCode } from '../../base/errors.js';
import type { OutputError } from '../../base/output-file.js';
import type { VerdictCode } from '../../skcheck/verdict.js';
import type { ListenAddress } from '../kit/arguments.js';
import type { LiveSource } from '../kit/from-argument.js';

/** The parsed command line. Times are seconds. */
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
  readonly by?: SkcheckGrouping;
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
  /** Output file; true: stdout. */
  readonly prometheus?: true | string;
  readonly listen?: ListenAddress;
  /** Source of the memory breakdown to include in the metrics. */
  readonly memory?: LiveSource;
}

/** Exit statuses of skcheck (the README lists them next to those of kdump-mem). */
export const EXIT = { nothingStale: 0, stale: 1, usage: 2, scanIncomplete: 3 } as const;

export const OUTPUT_ADVICE: Record<OutputError['code'], string> = {
  exists: 'Nothing was captured.',
  'cannot-write': 'Name a file in a directory that you may write to, with room for it.',
};

/** Advice for a capture of another host. */
const CAPTURE_ADVICE: Partial<Record<HostErrorCode, string>> = {
  gone: 'Capture that host again.',
  denied: "Check the capture's permissions.",
  unreadable: 'Capture that host again.',
  'netns-closed': 'Capture as root, with nsenter (util-linux) or ip (iproute2) installed.',
  'no-such-process': 'Check the pid; it is one of the host that was captured.',
  'no-such-netns': 'Give a name, a path or a pid as on that host, or all.',
};

/** Advice for root, which omits running as root. */
const ROOT_ADVICE: Partial<Record<HostErrorCode, string>> = {
  denied:
    'Already root: a capability (CAP_SYS_PTRACE) is missing, as in a container, or a security module refuses.',
  'netns-closed':
    'Already root: it needs nsenter (util-linux) and CAP_SYS_ADMIN, which a container may lack.',
};

export function adviceFor(code: HostErrorCode, captured: boolean): string {
  const own = captured ? CAPTURE_ADVICE : process.geteuid?.() === 0 ? ROOT_ADVICE : {};
  return own[code] ?? HOST_ERRORS[code].next;
}
