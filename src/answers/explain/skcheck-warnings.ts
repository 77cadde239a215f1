import type { SkcheckWarning } from '../skcheck/schema.js';
import type { Explanations } from './explanation.js';

/** What limits an answer of skcheck, or is near a limit of the host. */
export const SKCHECK_WARNINGS: Explanations<SkcheckWarning['code']> = {
  'one-sample': {
    means:
      'There is only one sample: a socket counts as stalled by the age of its newest data, and may be slow instead.',
    known: 'A capture or sosreport with one sample.',
    next: 'Capture with two samples (skcheck --capture).',
    deeper: 'skcheck --capture FILE',
  },
  'owner-unknown': {
    means: 'Sockets have unread data, and their owner is unknown.',
    known: 'Links in /proc/PID/fd, as far as they are visible to this user.',
    next: 'Run as root; in a container with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, without AppArmor’s profile (docs/containers.md).',
    deeper: 'skcheck --exact',
  },
  undecided: {
    means: 'Some sockets with unread data have the verdict undecided.',
    known: 'Verdict `undecided` of each socket.',
    next: 'Use a longer --interval.',
    deeper: 'skcheck --interval 10 -v',
  },
  'row-unreadable': {
    means:
      'Malformed lines of ss or /proc/net were skipped: finding no stalled socket does not prove there is none.',
    known: 'The form of each line.',
    next: 'Run skcheck again; if the warning persists, report the line.',
  },
  'row-contested': {
    means: 'Unix sockets were skipped because the name of one imitates the row of another.',
    known: 'Two rows with one inode.',
    next: 'Find the process that binds such names: they are never accidental.',
  },
  'row-left-out': {
    means: 'There are more sockets than one scan reads: the remaining ones were not scanned.',
    known: 'The number of rows.',
    next: 'Scan one network namespace at a time.',
    deeper: 'skcheck --netns NAME',
  },
  'ss-old': {
    means: 'This ss does not report everything: some socket families or drop counters are missing.',
    known: 'Options that ss rejects, and fields that it does not print.',
    next: 'Install a newer iproute2.',
  },
  'no-tcp-info': {
    means: 'ss reported no TCP details, so fewer verdicts are proven.',
    known: 'Rows of TCP without tcp_info: an old ss, or no inet_diag and tcp_diag in the kernel.',
    next: 'modprobe tcp_diag, or install a newer iproute2.',
  },
  'netns-closed': {
    means: 'Some network namespaces could not be entered; their sockets were not scanned.',
    known: 'nsenter, or setns(2), refused.',
    next: 'Run as root with CAP_SYS_ADMIN, with nsenter (util-linux) installed.',
  },
  'netns-hidden': {
    means:
      'The network namespaces of some processes are not visible; a namespace that only they use was not scanned.',
    known: 'Links /proc/PID/ns/net, which require PTRACE_MODE_READ (ptrace(2)).',
    next: 'Run as root; in a container with CAP_SYS_PTRACE, without AppArmor’s profile (docs/containers.md).',
  },
  'without-ss': {
    means:
      'Sockets were read from /proc/net without ss, which lacks unix queues, data ages and memory charges.',
    known: 'ss is not installed, or --procfs.',
    next: 'Install iproute2.',
  },
  'tcp-orphans': {
    means:
      'The number of orphaned TCP sockets is near tcp_max_orphans; above it the kernel resets connections.',
    known: '/proc/net/sockstat and the sysctl (Documentation/networking/ip-sysctl.rst).',
    next: 'Check their send queues, and which peers are not reading.',
    deeper: 'skcheck --exact',
  },
  'time-wait': {
    means:
      'The number of TIME-WAIT sockets is near tcp_max_tw_buckets; above it the kernel drops them at once.',
    known: '/proc/net/sockstat of each namespace, and the sysctl.',
    next: 'Reuse connections (keep-alive, a connection pool).',
  },
  'tcp-memory': {
    means:
      'TCP memory is near its limits (tcp_mem): under pressure windows shrink, above the limit data is dropped.',
    known: '/proc/net/sockstat and net.ipv4.tcp_mem, in pages.',
    next: 'Find the sockets that hold it before you raise the limit.',
    deeper: 'skcheck --stale',
  },
  'udp-memory': {
    means: 'UDP memory is near its limits (udp_mem): above the limit datagrams are dropped.',
    known: '/proc/net/sockstat and net.ipv4.udp_mem, in pages.',
    next: 'Find the sockets that hold it.',
    deeper: 'skcheck --stale',
  },
  census: {
    means:
      'Reserved for the scan of all page frames (--census). No version has reported it so far.',
    known: '/proc/kpageflags and /proc/kpagecount (root).',
    next: 'Nothing.',
  },
  exact: {
    means: '--exact could not count some sockets; they keep estimates.',
    known: 'Reads of /proc/kcore.',
    next: 'Read the message: lockdown and containers forbid /proc/kcore.',
    deeper: 'kdump-mem sockets --live',
  },
  capture: {
    means: 'The capture is incomplete: what is missing in it was not scanned.',
    known: 'The manifest of the capture, compared with its files.',
    next: 'Capture again as root, with enough disk space.',
    deeper: 'skcheck --capture FILE',
  },
};
