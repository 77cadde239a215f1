import type { HostErrorCode } from '../host/error.js';

/** skcheck's exit statuses (DESIGN.md, "Command habits"). */
export const EXIT = { nothingStale: 0, stale: 1, usage: 2, couldNotLook: 3 } as const;

/** What to do next, by what went wrong. The exit status is `couldNotLook` for all of them. */
export const ADVICE: Record<HostErrorCode, string> = {
  gone: 'Is /proc mounted? skcheck needs Linux with procfs.',
  denied: 'Run as root, or as the user that the process belongs to.',
  unreadable: 'skcheck needs Linux with procfs.',
  'no-such-process': 'Check the pid; it is one of this pid namespace.',
  'no-such-netns': 'Give the name of one (ip netns), a path, a pid that lives in it, or all.',
  'netns-closed': 'Run as root, with nsenter (util-linux) installed.',
  'not-a-capture': 'Give what skcheck --capture wrote, or a sosreport.',
  'ss-missing': 'Install it (package iproute2; iproute on Fedora and RHEL).',
  'ss-failed': 'Run "ss -HOnemita" by hand to see what it lacks (old ones have no -O).',
  'ss-hung': 'Run "ss -HOnemita" by hand; a very large host may need more time than we give.',
  'ss-too-much': 'Look at one network namespace at a time (ip netns exec).',
};
