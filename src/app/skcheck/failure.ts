import { HOST_ERRORS } from '../../answers/explain/host-errors.js';
import type { HostErrorCode } from '../../base/errors/host.js';
import type { OutputError } from '../../base/output-file.js';

/** skcheck's exit statuses (README has them beside those of kdump-mem). */
export const EXIT = { nothingStale: 0, stale: 1, usage: 2, couldNotLook: 3 } as const;

export const OUTPUT_ADVICE: Record<OutputError['code'], string> = {
  exists: 'Nothing was captured.',
  'cannot-write': 'Name a file in a directory that you may write to, with room for it.',
};

/** The same where a capture was asked, of a host that is elsewhere. */
const CAPTURE_ADVICE: Partial<Record<HostErrorCode, string>> = {
  gone: 'Capture that host again.',
  denied: "Check the capture's permissions.",
  unreadable: 'Capture that host again.',
  'netns-closed': 'Capture as root, with nsenter (util-linux) or ip (iproute2) installed.',
  'no-such-process': 'Check the pid; it is one of the host that was captured.',
  'no-such-netns': 'Give a name, a path or a pid as on that host, or all.',
};

/** The same to root, who is not told to be root. */
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
