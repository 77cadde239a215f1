import { CHECK_CODES, type CheckCode, type CheckState } from '../../doctor/checks.js';
import type { HostCheckName } from '../../triage/host-reader.js';
import { CHECK_WORDS } from '../doctor/render.js';
import type { Explanation, Explanations } from './schema.js';

/** Subject of each check, and how its result is known. */
const TESTED: Readonly<Record<CheckCode, readonly [what: string, known: string]>> = {
  root: ['The user and its capabilities.', 'The user ID, and CapEff in /proc/self/status.'],
  processes: ['Visibility of the processes of other users, and of their mappings.', '/proc/1, and the pid namespace.'],
  ss: ['The program ss, which lists sockets.', 'ss -V.'],
  namespaces: ['Permission to enter other network namespaces.', 'nsenter, and the capabilities that it needs.'],
  counters: ['The kernel’s memory counters.', '/proc/meminfo, vmstat and zoneinfo.'],
  pageflags: ['The flags of page frames.', '/proc/kpageflags is opened.'],
  kcore: ['The memory of the running kernel.', '/proc/kcore is opened, with the symbols and types of this kernel.'],
  crash: ['The program crash.', 'crash --version.'],
  pressure: ['Pressure stall information (PSI).', '/proc/pressure/memory is opened.'],
  perf: ['The program perf, and permission to record.', 'perf --version, and perf stat of one event.'],
  tracefs: ['Kernel trace events.', 'tracefs, at its usual mount points.'],
  bpftrace: [
    'The program bpftrace, its version, and permission to trace kernel events.',
    'bpftrace --version, and bpftrace -l of the page allocation event.',
  ],
};

/** Checks of `kdump-mem doctor`. */
export const DOCTOR_CHECKS = Object.fromEntries(
  CHECK_CODES.map((code): [CheckCode, Explanation] => {
    const [what, known] = TESTED[code];
    const { without, remedy } = CHECK_WORDS[code];
    const means = `${what} Without it: ${without}`;
    return [code, { means, known, next: remedy, deeper: 'kdump-mem doctor' }];
  }),
) as Explanations<CheckCode>;

/** Results of a check. */
export const DOCTOR_STATES: Explanations<CheckState> = {
  works: { means: 'The feature works here.', known: 'A test that changes nothing.', next: 'None.' },
  partly: {
    means: 'The feature works in part; the answer says which.',
    known: 'A test that changes nothing.',
    next: 'See the remedy in the answer.',
  },
  refused: {
    means: 'The feature exists here, but permission was denied.',
    known: 'The error of the kernel or the program.',
    next: 'See the remedy in the answer: usually a missing capability.',
  },
  missing: {
    means: 'The feature does not exist on this machine.',
    known: 'The file or program was not found.',
    next: 'See the remedy in the answer, and what works without it.',
  },
};

const check = (means: string, known: string): Explanation => ({
  means,
  known,
  next: 'If the check is listed under `unread`, read `why` there. As root, and with a new snapshot, more can be read.',
  deeper: 'kdump-mem triage --json',
});

/** Checks of this machine or a snapshot (`checked`, `unread`). */
export const HOST_CHECKS_EXPLAINED: Explanations<HostCheckName> = {
  log: check(
    'Messages of the kernel log: panics, lockups, hung tasks, OOM kills and errors.',
    '/dev/kmsg or dmesg; of a sosreport its logs.',
  ),
  memory: check('Memory that is not attributed to any owner.', 'Counters in /proc/meminfo.'),
  watermarks: check('Zones below their min or low watermark.', '/proc/zoneinfo.'),
  available: check('Whether little memory is available, and what uses it.', '/proc/meminfo and /proc/PID/status.'),
  'shared-memory': check(
    'Large files in memory and System V segments, mapped or not.',
    '/proc/PID/fd, tmpfs mounts, /proc/sysvipc/shm and /proc/PID/status.',
  ),
  fragmentation: check(
    'Zones with free memory but without large free blocks.',
    '/proc/buddyinfo, /proc/zoneinfo and /proc/vmstat.',
  ),
  'memory-pressure': check('Tasks that stall for memory.', '/proc/pressure/memory.'),
  cgroups: check(
    'Cgroups near their memory or pids limit or stalled for memory, and OOM kills by cgroup.',
    'Files of the memory and pids controllers below /sys/fs/cgroup.',
  ),
  'oom-kills': check('OOM kills since boot.', 'oom_kill of /proc/vmstat.'),
  writeback: check('Dirty pages and writeback that makes no progress.', '/proc/meminfo and /proc/pressure/io.'),
  slab: check('Slab that cannot be reclaimed.', '/proc/meminfo and /proc/slabinfo.'),
  'message-queues': check(
    'Unread messages of System V and POSIX queues.',
    '/proc/sysvipc/msg of each ipc namespace, and mounts of mqueue. A snapshot has System V queues of one namespace.',
  ),
  vmalloc: check(
    'Large vmalloc areas, their largest caller, and for BPF maps the process that has the most.',
    'VmallocUsed of /proc/meminfo, /proc/vmallocinfo, and fdinfo of BPF maps.',
  ),
  processes: check(
    'Zombies, blocked tasks, kernel stacks, page tables and open files.',
    '/proc/PID/status, wchan, limits and fd; /proc/meminfo.',
  ),
  limits: check('Limits of the machine that are nearly reached.', '/proc/loadavg, /proc/net/sockstat, and /proc/sys.'),
  inotify: check(
    'Users near their limits of inotify instances and watches, and processes that watch very many files.',
    '/proc/PID/fd, fdinfo and /proc/sys/fs/inotify.',
  ),
  'huge-pages': check('Unused huge pages.', '/sys/kernel/mm/hugepages.'),
  'named-memory': check(
    'Balloons of hypervisors, zram and zswap, the cache of ZFS, removed cgroups, buffers of GPUs, dma-bufs, and page pools.',
    'Their own files in /proc and /sys, and netlink; docs/memory.md lists them.',
  ),
  counters: check(
    'Counters that are impossible, or that their objects contradict.',
    '/proc/vmstat, /proc/meminfo and /proc/net/sockstat.',
  ),
  pipes: check('Processes with many pipes, if memory is unattributed.', '/proc/PID/fd and /proc/sys/fs/pipe-max-size.'),
  sockets: check(
    'Memory pinned by sockets that are not read, by one sample.',
    'ss in each network namespace, and /proc/PID/fd.',
  ),
  'cpu-steal': check(
    'CPU time that the hypervisor took away, since boot and during the check.',
    'Steal of /proc/stat, read before and after the other checks.',
  ),
  baseline: check(
    'Growth since the baseline of --baseline, another boot, and steps of the clock.',
    'The memory breakdowns, boot ids and clocks of the baseline and now.',
  ),
};
