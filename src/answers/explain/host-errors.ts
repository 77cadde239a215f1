import type { HostErrorCode } from '../../base/errors/host.js';
import type { Explanations } from './explanation.js';

/** Why a host could not be asked: `skcheck_scan_failure` has these codes. `next` is for who is not root. */
export const HOST_ERRORS: Explanations<HostErrorCode> = {
  gone: {
    means: 'A file, process or link does not exist, or no longer exists.',
    known: 'ENOENT, ESRCH.',
    next: 'Check that /proc is mounted: skcheck needs Linux with procfs.',
  },
  denied: {
    means: 'Permission denied: the object exists, but this user cannot read it.',
    known: 'EACCES, EPERM.',
    next: 'Run as root, or as the owner of the process.',
  },
  unreadable: {
    means: 'The content is malformed or unsupported.',
    known: 'The format of the content.',
    next: 'skcheck needs Linux with procfs.',
  },
  'no-such-process': {
    means: 'There is no process with this pid.',
    known: '/proc.',
    next: 'Check the pid: it must be from this pid namespace.',
  },
  'no-such-netns': {
    means: 'There is no such network namespace.',
    known: '/run/netns, and the namespaces of processes.',
    next: 'Give a name (ip netns), a path, the pid of a process in it, or "all".',
  },
  'netns-closed': {
    means: 'Permission denied: the network namespace cannot be entered.',
    known: 'nsenter, or setns(2), refused.',
    next: 'Run as root, with nsenter (util-linux) installed.',
  },
  'not-a-capture': {
    means: 'The file is neither a capture nor a sosreport.',
    known: 'Its members.',
    next: 'Give a file that skcheck --capture wrote, or a sosreport.',
  },
  'capture-failed': {
    means: 'The capture could not be made.',
    known: 'The script’s exit status.',
    next: 'Nothing was captured.',
  },
  'ss-missing': {
    means: 'The program ss is not installed.',
    known: 'execve(2).',
    next: 'Install it (package iproute2; iproute on Fedora and RHEL).',
  },
  'ss-failed': {
    means: 'ss exited with an error.',
    known: 'The exit status and the last line of output.',
    next: 'Run "ss -nemita" to see the error.',
  },
  blocked: {
    means:
      'A read of /proc/PID made no progress and was abandoned: another task holds the mmap_lock of the process.',
    known: 'The process that read was asleep, and used no CPU time, for up to 2 s.',
    next: 'Read wchan and stack of the threads of that process: cat /proc/PID/task/*/stack.',
  },
  'ss-hung': {
    means: 'ss did not answer in time.',
    known: 'The time limit.',
    next: 'Run "ss -nemita": on a very large host it can exceed the time limit.',
  },
  'ss-too-much': {
    means: 'ss printed more than one sample can contain.',
    known: 'The limit on its output.',
    next: 'Check one network namespace at a time (ip netns exec).',
  },
};
