import { escapeText } from '../../base/escape.js';
import type { Check, CheckCode } from '../../doctor/checks.js';
import { wrap } from '../text/cut.js';
import type { DoctorJson } from './schema.js';

/** @param version of the program */
export function doctorJson(checks: readonly Check[], version: string): DoctorJson {
  return {
    schema: 'kdump-mem.doctor/1',
    version,
    node: process.versions.node,
    checks: checks.map((check) => {
      const { needs, without } = CHECK_WORDS[check.code];
      return { ...check, needs, without, remedy: remedyOf(check) };
    }),
  };
}

/**
 * Formats the available features, one per line, then the unavailable ones: commands that use them, what works
 * without them, and the remedy.
 *
 * @param program its name and version
 * @param width columns of the terminal; null: no terminal, and no line is wrapped
 */
export function doctorText(checks: readonly Check[], program: string, width: number | null): string {
  const good = checks.filter(({ state }) => state === 'works');
  const bad = checks.filter(({ state }) => state !== 'works');
  const head = `${program} with Node ${process.versions.node}: ${good.length} of ${checks.length} features work here${bad.length === 0 ? '.' : '; see below for the others.'}`;
  const rows = checks.flatMap(({ code, state, found }) =>
    hanging(`${state.padEnd(7)}  ${code.padEnd(10)}  `, escapeText(found), width),
  );
  const advice = bad.map((check) => {
    const { needs, without } = CHECK_WORDS[check.code];
    const only = check.state === 'partly' ? 'Partly' : 'Without it';
    return [
      `${check.code}: used by ${needs.join(', ')}.`,
      ...hanging('  ', `${only}: ${without}`, width),
      ...hanging('  ', remedyOf(check), width),
    ].join('\n');
  });
  return [[...wrap(head, width), '', ...rows].join('\n'), ...advice].join('\n\n');
}

function remedyOf({ code, state }: Check): string {
  const { remedy, ifMissing = remedy } = CHECK_WORDS[code];
  return state === 'missing' ? ifMissing : remedy;
}

function hanging(first: string, words: string, width: number | null): string[] {
  const room = width === null ? null : Math.max(20, width - first.length);
  const indent = ' '.repeat(first.length);
  return wrap(words, room).map((line, index) => `${index === 0 ? first : indent}${line}`);
}

/** Description of a feature of the machine. */
interface CheckWords {
  /** The feature. */
  readonly what: string;
  /** How the result is known. */
  readonly known: string;
  /** Commands that use it. */
  readonly needs: readonly string[];
  /** Commands that work without it. */
  readonly without: string;
  /** How to make it available. */
  readonly remedy: string;
  /** The remedy if the feature does not exist on this machine. */
  readonly ifMissing?: string;
}

export const CHECK_WORDS: Readonly<Record<CheckCode, CheckWords>> = {
  root: {
    what: 'The user and its capabilities.',
    known: 'The user ID, and CapEff in /proc/self/status.',
    needs: ['skcheck', 'kdump-mem memory --live', 'kdump-mem procs --live'],
    without:
      'only your own processes and network namespace are visible; memory is read from counters. Dumps need no capabilities.',
    remedy: 'Run as root, or in a container with the capabilities listed in deploy/kubernetes.',
  },
  processes: {
    what: 'Visibility of the processes of other users, and of their mappings.',
    known: '/proc/1, and the pid namespace.',
    needs: ['kdump-mem procs --live', 'skcheck'],
    without: 'procs lists RSS of visible processes, and PSS and USS where smaps is readable.',
    remedy:
      'If only few processes refuse root, they are in another user namespace or protected by a security module: their PSS and USS stay unknown. Otherwise run as root on the host, or in a container with CAP_SYS_PTRACE and the host’s pid namespace (hostPID).',
  },
  ss: {
    what: 'The program ss, which lists sockets.',
    known: 'ss -V.',
    needs: ['skcheck', 'kdump-mem procs --live --sockets'],
    without: 'skcheck reads /proc/net, with less detail.',
    remedy: 'Install iproute2.',
  },
  namespaces: {
    what: 'Permission to enter other network namespaces.',
    known: 'nsenter, and the capabilities that it needs.',
    needs: ['skcheck'],
    without: 'sockets of other network namespaces are read from /proc/PID/net.',
    remedy: 'Install nsenter (util-linux), and run as root with CAP_SYS_ADMIN.',
  },
  counters: {
    what: 'The kernel’s memory counters.',
    known: '/proc/meminfo, vmstat and zoneinfo.',
    needs: ['kdump-mem memory --live', 'kdump-mem watch'],
    without: 'memory and watch cannot read a live machine.',
    remedy: 'Mount /proc. A container runtime may hide its files.',
  },
  pageflags: {
    what: 'The flags of page frames.',
    known: '/proc/kpageflags is opened.',
    needs: ['kdump-mem memory --live --source pageflags'],
    without: 'memory --live uses counters.',
    remedy: 'Run as root with CAP_SYS_ADMIN. The kernel needs CONFIG_PROC_PAGE_MONITOR.',
  },
  kcore: {
    what: 'The memory of the running kernel.',
    known: '/proc/kcore is opened, with the symbols and types of this kernel.',
    needs: ['kdump-mem … --live', 'kdump-mem leaks', 'skcheck --exact'],
    without:
      'memory --live uses page flags or counters, procs --live uses /proc, and skcheck estimates. leaks checks blocks by page flags, and cannot confirm a leak.',
    remedy: 'Run as root with CAP_SYS_RAWIO, on a kernel that has CONFIG_DEBUG_INFO_BTF and is not locked down.',
    ifMissing:
      'This kernel was built without CONFIG_PROC_KCORE, or the container runtime hides the file. In a container, run on the host; otherwise use a kernel with CONFIG_PROC_KCORE, or a dump.',
  },
  crash: {
    what: 'The program crash.',
    known: 'crash --version.',
    needs: ['kdump-mem … --engine crash', 'kdump-mem … --engine verify'],
    without: 'dumps are read by the native engine.',
    remedy: 'Needed only to compare answers with crash: install crash and the kernel debuginfo.',
  },
  pressure: {
    what: 'Pressure stall information (PSI).',
    known: '/proc/pressure/memory is opened.',
    needs: ['kdump-mem procs --live --watch', 'kdump-mem snapshot --when psi=…'],
    without: 'memory stall times are not available.',
    remedy: 'The kernel needs CONFIG_PSI; where it is off by default, boot with psi=1.',
  },
  perf: {
    what: 'The program perf, and permission to record.',
    known: 'perf --version, and perf stat of one event.',
    needs: ['kdump-mem procs --live --pid N --stacks'],
    without: 'allocation sites within a process are not available.',
    remedy:
      'Install linux-perf (Debian), perf (Fedora) or linux-tools (Ubuntu). Without root, kernel.perf_event_paranoid must be 2 or less.',
  },
  tracefs: {
    what: 'Kernel trace events.',
    known: 'tracefs, at its usual mount points.',
    needs: ['kdump-mem leaks', 'kdump-mem procs --live --pid N --stacks'],
    without:
      'leaks uses the allocation counters of the kernel, if it has any (leaks --methods lists them). procs --stacks records page faults, but not mmap and brk.',
    remedy: 'As root: mount -t tracefs tracefs /sys/kernel/tracing.',
  },
  bpftrace: {
    what: 'The program bpftrace, its version, and permission to trace kernel events.',
    known: 'bpftrace --version, and bpftrace -l of the page allocation event.',
    needs: ['kdump-mem leaks --engine bpftrace'],
    without: 'leaks records through tracefs, if that is mounted, and samples if there are too many events.',
    remedy: 'Install bpftrace 0.17.0 or newer, and run as root. It needs tracefs and a kernel that is not locked down.',
  },
};
