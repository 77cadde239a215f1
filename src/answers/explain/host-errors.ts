import type { HostErrorCode } from '../../base/errors/host.js';
import type { Explanations } from './explanation.js';

/** Why a host could not be asked: `skcheck_scan_failure` has these codes. `next` is for who is not root. */
export const HOST_ERRORS: Explanations<HostErrorCode> = {
  gone: {
    means: 'A file, process or link is not there (any more).',
    known: 'ENOENT, ESRCH.',
    next: 'Is /proc mounted? skcheck needs Linux with procfs.',
  },
  denied: {
    means: 'It is there, and this user may not look.',
    known: 'EACCES, EPERM.',
    next: 'Run as root, or as the user that the process belongs to.',
  },
  unreadable: {
    means: 'It answers in a way that is not understood.',
    known: 'The form of what was read.',
    next: 'skcheck needs Linux with procfs.',
  },
  'no-such-process': {
    means: 'There is no process of that pid.',
    known: '/proc.',
    next: 'Check the pid; it is one of this pid namespace.',
  },
  'no-such-netns': {
    means: 'There is no such network namespace.',
    known: '/run/netns, and the namespaces of processes.',
    next: 'Give the name of one (ip netns), a path, a pid that lives in it, or all.',
  },
  'netns-closed': {
    means: 'A network namespace may not be entered.',
    known: 'nsenter, or setns(2), refused.',
    next: 'Run as root, with nsenter (util-linux) installed.',
  },
  'not-a-capture': {
    means: 'The file is neither a capture nor a sosreport.',
    known: 'Its members.',
    next: 'Give what skcheck --capture wrote, or a sosreport.',
  },
  'capture-failed': {
    means: 'The capture could not be made.',
    known: 'The script’s exit status.',
    next: 'Nothing was captured.',
  },
  'ss-missing': {
    means: 'The program ss is not there.',
    known: 'execve(2).',
    next: 'Install it (package iproute2; iproute on Fedora and RHEL).',
  },
  'ss-failed': {
    means: 'ss ended with an error.',
    known: 'Its exit status and last words.',
    next: 'Run "ss -nemita" by hand to see what it lacks.',
  },
  blocked: {
    means:
      'A read of /proc/PID made no progress and was abandoned: another task holds the mmap_lock of the process.',
    known: 'The process that read was asleep, and used no CPU time, for up to 2 s.',
    next: 'Read wchan and stack of the threads of that process: cat /proc/PID/task/*/stack.',
  },
  'ss-hung': {
    means: 'ss did not answer in time.',
    known: 'A limit of time.',
    next: 'Run "ss -nemita" by hand; a very large host may need more time than we give.',
  },
  'ss-too-much': {
    means: 'ss printed more than one look takes.',
    known: 'A limit of bytes.',
    next: 'Look at one network namespace at a time (ip netns exec).',
  },
};
