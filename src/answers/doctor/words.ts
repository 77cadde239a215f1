import type { CheckCode } from '../../doctor/check.js';

/** What a check is about, for people. */
interface CheckWords {
  /** What needs it. */
  readonly needs: readonly string[];
  /** What works where it does not. */
  readonly without: string;
  /** What to do about it. */
  readonly remedy: string;
}

export const CHECK_WORDS: Readonly<Record<CheckCode, CheckWords>> = {
  root: {
    needs: ['skcheck', 'kdump-mem memory --live', 'kdump-mem procs --live'],
    without:
      'you see your own processes and network namespace, and memory by counters alone. Dumps need no rights.',
    remedy: 'Run it as root, or in a container with the capabilities that deploy/kubernetes names.',
  },
  processes: {
    needs: ['kdump-mem procs --live', 'skcheck'],
    without: 'of the processes that are shown RSS; PSS and USS of those whose maps may be read.',
    remedy:
      'It needs CAP_SYS_PTRACE, as root outside of containers has; in one, also the host’s pid namespace (hostPID).',
  },
  ss: {
    needs: ['skcheck', 'kdump-mem procs --live --sockets'],
    without: 'skcheck reads /proc/net by itself, and says what that lacks.',
    remedy: 'Install iproute2.',
  },
  namespaces: {
    needs: ['skcheck'],
    without: 'sockets of other network namespaces are read from /proc/PID/net.',
    remedy: 'Install util-linux, which has nsenter, and run it as root, with CAP_SYS_ADMIN.',
  },
  counters: {
    needs: ['kdump-mem memory --live', 'kdump-mem watch'],
    without: 'nothing of a live machine’s memory can be told.',
    remedy: 'Mount /proc. A container runtime may hide its files.',
  },
  pageflags: {
    needs: ['kdump-mem memory --live --source pageflags'],
    without: 'memory --live tells by counters what it can.',
    remedy: 'Run it as root, with CAP_SYS_ADMIN. The kernel needs CONFIG_PROC_PAGE_MONITOR.',
  },
  kcore: {
    needs: ['kdump-mem … --live', 'kdump-mem leaks', 'skcheck --exact'],
    without:
      'memory --live looks at page flags or counters, procs --live at /proc, skcheck estimates; leaks looks blocks up by page flags, which tell less.',
    remedy:
      'Run it as root, with CAP_SYS_RAWIO. The kernel needs CONFIG_PROC_KCORE and CONFIG_DEBUG_INFO_BTF, and must not be locked down.',
  },
  crash: {
    needs: ['kdump-mem … --engine crash', 'kdump-mem … --engine verify'],
    without: 'everything else: dumps are read without it.',
    remedy: 'Install crash, and the debuginfo of the kernel.',
  },
  pressure: {
    needs: ['kdump-mem procs --live --watch', 'kdump-mem snapshot --when psi=…'],
    without: 'everything else; how long tasks waited for memory is not told.',
    remedy: 'The kernel needs CONFIG_PSI; where it is off by default, boot with psi=1.',
  },
  perf: {
    needs: ['kdump-mem procs --live --pid N --stacks'],
    without: 'everything else; who allocates in a process is not told.',
    remedy:
      'Install linux-perf (Debian), perf (Fedora) or linux-tools (Ubuntu). Without root, kernel.perf_event_paranoid must be 2 or less.',
  },
  tracefs: {
    needs: ['kdump-mem leaks', 'kdump-mem procs --live --pid N --stacks'],
    without:
      'leaks compares what the kernel keeps by itself, where it does (leaks --methods tells); stacks of page faults are recorded, and calls of mmap and brk are not.',
    remedy: 'Run it as root, and mount it: mount -t tracefs tracefs /sys/kernel/tracing.',
  },
  bpftrace: {
    needs: ['kdump-mem leaks --engine bpftrace'],
    without:
      'leaks records through tracefs, by itself, and samples where there is too much to tell one by one.',
    remedy:
      'Install bpftrace, 0.17.0 or newer, and run it as root. It needs tracefs, and a kernel that is not locked down.',
  },
};
