import type { HostCheckName } from '../../triage/host-reader.js';
import type { Explanation, Explanations } from './explanation.js';

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
  available: check(
    'Whether little memory is available, and what uses it.',
    '/proc/meminfo and /proc/PID/status.',
  ),
  'shared-memory': check(
    'Large files in memory and System V segments, mapped or not.',
    '/proc/PID/fd, tmpfs mounts, /proc/sysvipc/shm and /proc/PID/status.',
  ),
  pipes: check(
    'Processes with many pipes, if memory is unattributed.',
    '/proc/PID/fd and /proc/sys/fs/pipe-max-size.',
  ),
  fragmentation: check(
    'Zones with free memory but without large free blocks.',
    '/proc/buddyinfo, /proc/zoneinfo and /proc/vmstat.',
  ),
  'memory-pressure': check('Tasks that stall for memory.', '/proc/pressure/memory.'),
  cgroups: check(
    'Cgroups near their memory limit, and OOM kills by cgroup.',
    'Files of the memory controller below /sys/fs/cgroup.',
  ),
  'oom-kills': check('OOM kills since boot.', 'oom_kill of /proc/vmstat.'),
  writeback: check(
    'Dirty pages and writeback that makes no progress.',
    '/proc/meminfo and /proc/pressure/io.',
  ),
  slab: check('Slab that cannot be reclaimed.', '/proc/meminfo and /proc/slabinfo.'),
  vmalloc: check(
    'Large vmalloc areas, their largest caller, and for BPF maps the process that has the most.',
    'VmallocUsed of /proc/meminfo, /proc/vmallocinfo, and fdinfo of BPF maps.',
  ),
  processes: check(
    'Zombies, blocked tasks, kernel stacks, page tables and open files.',
    '/proc/PID/status, wchan, limits and fd; /proc/meminfo.',
  ),
  limits: check(
    'Limits of the machine that are nearly reached.',
    '/proc/loadavg, /proc/net/sockstat, and /proc/sys.',
  ),
  inotify: check(
    'Users near their limits of inotify instances and watches.',
    '/proc/PID/fd, fdinfo and /proc/sys/fs/inotify.',
  ),
  'huge-pages': check('Unused huge pages.', '/sys/kernel/mm/hugepages.'),
  sockets: check(
    'Memory pinned by sockets that are not read, by one sample.',
    'ss in each network namespace, and /proc/PID/fd.',
  ),
  'cpu-steal': check(
    'CPU time that the hypervisor took away, since boot and during the check.',
    'Steal of /proc/stat, read before and after the other checks.',
  ),
};
