import type { SkcheckWarning } from '../skcheck/schema.js';
import type { Explanations } from './explanation.js';

/** What limits an answer of skcheck, or is near a limit of the host. */
export const SKCHECK_WARNINGS: Explanations<SkcheckWarning['code']> = {
  'one-sample': {
    means:
      'There is one sample only: a socket counts as stalled by the age of its newest data, and may be slow instead.',
    known: 'A capture or sosreport with one sample.',
    next: 'Capture with two samples (skcheck --capture).',
    deeper: 'skcheck --capture FILE',
  },
  'owner-unknown': {
    means: 'Sockets have unread data, and whose they are is not seen.',
    known: 'Links of /proc/PID/fd, as far as this user is shown them.',
    next: 'Run as root; in a container with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, without AppArmor’s profile (docs/containers.md).',
    deeper: 'skcheck --exact',
  },
  undecided: {
    means: 'So many sockets with unread data could not be judged.',
    known: 'The verdict `undecided` of each.',
    next: 'Take more time between samples.',
    deeper: 'skcheck --interval 10 -v',
  },
  'row-unreadable': {
    means:
      'Lines of ss or /proc/net could not be read and are left out: nothing found is then no all-clear.',
    known: 'The form of each line.',
    next: 'Ask again; if it stays, report the line.',
  },
  'row-contested': {
    means: 'Unix sockets are left out, since the name of one pretends to be the row of another.',
    known: 'Two rows with one inode.',
    next: 'Look for who binds such names: nobody does by accident.',
  },
  'row-left-out': {
    means: 'There are more sockets than one look takes: the rest was not looked at.',
    known: 'The number of rows.',
    next: 'Look at one network namespace at a time.',
    deeper: 'skcheck --netns NAME',
  },
  'ss-old': {
    means: 'This ss does not tell all: families of sockets, or drops.',
    known: 'What ss refuses, and fields that it does not print.',
    next: 'Install a newer iproute2.',
  },
  'no-tcp-info': {
    means: 'ss told no details of TCP, so that less is proved.',
    known: 'Rows of TCP without tcp_info: an old ss, or no inet_diag and tcp_diag in the kernel.',
    next: 'modprobe tcp_diag, or install a newer iproute2.',
  },
  'netns-closed': {
    means: 'Network namespaces could not be entered, and their sockets were not looked at.',
    known: 'nsenter, or setns(2), refused.',
    next: 'Run as root with CAP_SYS_ADMIN, with nsenter (util-linux) installed.',
  },
  'netns-hidden': {
    means:
      'It is not seen in which network namespaces some processes are: one that is theirs alone was not looked at.',
    known: 'The links /proc/PID/ns/net, which take PTRACE_MODE_READ (ptrace(2)).',
    next: 'Run as root; in a container with CAP_SYS_PTRACE, without AppArmor’s profile (docs/containers.md).',
  },
  'without-ss': {
    means:
      'Read from /proc/net without ss: unix queues, ages and what memory is charged are not to be seen there.',
    known: 'ss is not installed, or --procfs.',
    next: 'Install iproute2.',
  },
  'tcp-orphans': {
    means:
      'Sockets of TCP that no process has open are near tcp_max_orphans: beyond it connections are reset.',
    known: '/proc/net/sockstat beside the sysctl (Documentation/networking/ip-sysctl.rst).',
    next: 'See what their send queues hold, and which peers do not take it.',
    deeper: 'skcheck --exact',
  },
  'time-wait': {
    means: 'Sockets in TIME-WAIT are near tcp_max_tw_buckets: beyond it they are dropped at once.',
    known: '/proc/net/sockstat of each namespace beside the sysctl.',
    next: 'Let connections be used again (keep-alive, a pool) instead of opening many.',
  },
  'tcp-memory': {
    means:
      'TCP’s memory is near its limits (tcp_mem): under pressure windows shrink, beyond it data is dropped.',
    known: '/proc/net/sockstat beside net.ipv4.tcp_mem, in pages.',
    next: 'See which sockets hold it before the limit is raised.',
    deeper: 'skcheck --stale',
  },
  'udp-memory': {
    means: 'UDP’s memory is near its limits (udp_mem): beyond it datagrams are dropped.',
    known: '/proc/net/sockstat beside net.ipv4.udp_mem, in pages.',
    next: 'See which sockets hold it.',
    deeper: 'skcheck --stale',
  },
  census: {
    means: 'Of the pass over all page frames (--census). No version has told it so far.',
    known: '/proc/kpageflags and /proc/kpagecount (root).',
    next: 'Nothing.',
  },
  exact: {
    means: 'Sockets that --exact could not count: they keep estimates.',
    known: 'Reads of /proc/kcore.',
    next: 'The message says why; lockdown or a container forbid /proc/kcore.',
    deeper: 'kdump-mem sockets --live',
  },
  capture: {
    means: 'The capture lacks something: what it does not hold was not looked at.',
    known: 'The capture’s manifest beside its files.',
    next: 'Capture again, as root, with room on the disk.',
    deeper: 'skcheck --capture FILE',
  },
};
