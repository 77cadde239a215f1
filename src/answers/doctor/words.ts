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
      'only your own processes and network namespace are visible, and memory by counters. Dumps need no capabilities.',
    remedy: 'Run as root, or in a container with the capabilities listed in deploy/kubernetes.',
  },
  processes: {
    needs: ['kdump-mem procs --live', 'skcheck'],
    without: 'RSS of visible processes; PSS and USS only of processes with readable maps.',
    remedy:
      'Run as root outside of containers. A container needs CAP_SYS_PTRACE and the host’s pid namespace (hostPID).',
  },
  ss: {
    needs: ['skcheck', 'kdump-mem procs --live --sockets'],
    without: 'skcheck reads /proc/net, with less detail.',
    remedy: 'Install iproute2.',
  },
  namespaces: {
    needs: ['skcheck'],
    without: 'sockets of other network namespaces are read from /proc/PID/net.',
    remedy: 'Install nsenter (util-linux), and run as root with CAP_SYS_ADMIN.',
  },
  counters: {
    needs: ['kdump-mem memory --live', 'kdump-mem watch'],
    without: 'the memory of a live machine is not available.',
    remedy: 'Mount /proc. A container runtime may hide its files.',
  },
  pageflags: {
    needs: ['kdump-mem memory --live --source pageflags'],
    without: 'memory --live uses counters.',
    remedy: 'Run as root with CAP_SYS_ADMIN. The kernel needs CONFIG_PROC_PAGE_MONITOR.',
  },
  kcore: {
    needs: ['kdump-mem … --live', 'kdump-mem leaks', 'skcheck --exact'],
    without:
      'memory --live uses page flags or counters, procs --live uses /proc, skcheck estimates. leaks uses page flags, with less detail.',
    remedy:
      'Run as root with CAP_SYS_RAWIO. The kernel needs CONFIG_PROC_KCORE and CONFIG_DEBUG_INFO_BTF, and must not be locked down.',
  },
  crash: {
    needs: ['kdump-mem … --engine crash', 'kdump-mem … --engine verify'],
    without: 'everything else works; dumps are read without it.',
    remedy: 'Install crash and the kernel debuginfo.',
  },
  pressure: {
    needs: ['kdump-mem procs --live --watch', 'kdump-mem snapshot --when psi=…'],
    without: 'everything else works; memory stall times are not available.',
    remedy: 'The kernel needs CONFIG_PSI; where it is off by default, boot with psi=1.',
  },
  perf: {
    needs: ['kdump-mem procs --live --pid N --stacks'],
    without: 'everything else works; allocation sites within a process are not available.',
    remedy:
      'Install linux-perf (Debian), perf (Fedora) or linux-tools (Ubuntu). Without root, kernel.perf_event_paranoid must be 2 or less.',
  },
  tracefs: {
    needs: ['kdump-mem leaks', 'kdump-mem procs --live --pid N --stacks'],
    without:
      'leaks compares allocation counts that the kernel keeps, if it does (leaks --methods lists them). Page fault stacks are recorded; mmap and brk calls are not.',
    remedy: 'Run as root, and mount it: mount -t tracefs tracefs /sys/kernel/tracing.',
  },
  bpftrace: {
    needs: ['kdump-mem leaks --engine bpftrace'],
    without: 'leaks records through tracefs, and samples if there are too many events.',
    remedy:
      'Install bpftrace 0.17.0 or newer, and run as root. It needs tracefs and a kernel that is not locked down.',
  },
};
