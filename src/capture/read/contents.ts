/**
 * Contents of a snapshot: the list shared by the script (script.ts) and the collector in Node
 * (src/capture/write). Paths are absolute; `*` matches any name, without a slash.
 */

/** Version of the layout, stored in the file `version`. docs/internals/snapshot.md describes it. */
export const LAYOUT_VERSION = 3;

/** Top directory of a snapshot. Readers accept any name. */
export const TOP_DIRECTORY = 'kdump-mem-snapshot';

const KERNEL = 'hostname osrelease version ostype tainted pid_max threads-max random/boot_id';
const SHARED_MEMORY = 'shmmax shmall shmmni msgmax sem';
const SHOWN = 'dmesg_restrict kptr_restrict perf_event_paranoid';
const HUNG_TASKS = 'hung_task_timeout_secs hung_task_warnings';
const VM = [
  'overcommit_memory overcommit_ratio overcommit_kbytes admin_reserve_kbytes user_reserve_kbytes',
  'min_free_kbytes watermark_scale_factor watermark_boost_factor lowmem_reserve_ratio',
  'swappiness vfs_cache_pressure page-cluster zone_reclaim_mode numa_stat max_map_count',
  'dirty_ratio dirty_bytes dirty_background_ratio dirty_background_bytes',
  'nr_hugepages nr_overcommit_hugepages hugetlb_shm_group',
  'extfrag_threshold compaction_proactiveness percpu_pagelist_high_fraction',
  'panic_on_oom oom_kill_allocating_task oom_dump_tasks',
].join(' ');
const FS = 'file-nr file-max nr_open inode-nr dentry-state pipe-max-size pipe-user-pages-soft';
const NET_CORE = 'max_skb_frags rmem_max rmem_default wmem_max wmem_default optmem_max somaxconn';
const NET_IPV4 =
  'tcp_mem tcp_rmem tcp_wmem udp_mem tcp_max_orphans tcp_orphan_retries tcp_max_tw_buckets tcp_moderate_rcvbuf';

/** Returns these paths below a directory. */
const under = (directory: string, names: string): string[] => names.split(' ').map((name) => `${directory}/${name}`);

/** Files with fixed names. Missing or unreadable ones are recorded among the errors. */
export const HOST_FILES: readonly string[] = [
  ...under(
    '/proc',
    'meminfo zoneinfo vmstat slabinfo buddyinfo vmallocinfo stat swaps modules devices misc cgroups version uptime loadavg key-users',
  ),
  ...under(
    '/proc',
    'self/auxv self/mountinfo sysvipc/shm sysvipc/msg net/sockstat net/sockstat6 net/protocols allocinfo',
  ),
  ...under('/proc/pressure', 'memory cpu io'),
  ...under('/proc/sys/kernel', `${KERNEL} ${SHARED_MEMORY} ${SHOWN} ${HUNG_TASKS}`),
  ...under('/proc/sys/vm', VM),
  ...under('/proc/sys/fs', FS),
  ...under('/proc/sys/net/core', NET_CORE),
  ...under('/proc/sys/net/ipv4', NET_IPV4),
  ...under('/proc/sys/net/netfilter', 'nf_conntrack_count nf_conntrack_max'),
  ...under('/sys/kernel/mm/transparent_hugepage', 'enabled defrag shmem_enabled'),
  ...under('/sys/kernel/mm/ksm', 'run pages_shared pages_sharing pages_unshared pages_volatile'),
  '/etc/os-release',
];

/** Patterns that may match no file, or many. */
export const HOST_PATTERNS: readonly string[] = [
  ...under('/sys/kernel/mm/hugepages/*', 'nr_hugepages free_hugepages resv_hugepages surplus_hugepages'),
  ...under('/sys/devices/system/node/node*/hugepages/hugepages-*', 'nr_hugepages free_hugepages surplus_hugepages'),
  // Balloons. Reading VMware's file changes what its driver does: it is left out.
  '/sys/bus/virtio/drivers/virtio_balloon/virtio*/features',
  ...under('/sys/devices/system/xen_memory/xen_memory*/info', 'current_kb low_kb high_kb'),
  '/sys/kernel/debug/hv-balloon*',
  // ZFS: arcstats and abdstats.
  '/proc/spl/kstat/zfs/a*stats',
  ...under('/sys/devices/system/node/node*', 'meminfo numastat'),
  '/sys/block/zram*/mm_stat',
  '/sys/kernel/tracing/buffer_total_size_kb',
  '/sys/kernel/tracing/instances/*/buffer_total_size_kb',
];

/** The kernel's command line may contain passwords: it is only captured with the arguments of processes. */
export const WITH_ARGUMENTS: readonly string[] = ['/proc/cmdline'];

/** Changing counters, read again for each sample. */
export const SAMPLED_FILES: readonly string[] = under(
  '/proc',
  'meminfo vmstat slabinfo buddyinfo zoneinfo pressure/memory pressure/io loadavg locks',
);

/** Files of each process at each sample, besides its status. */
export const PROCESS_FILES = 'comm wchan cgroup stat schedstat'.split(' ');

/** Those that only the last states need too. */
export const LAST_PROCESS_FILES = ['oom_score', 'oom_score_adj', 'limits'];

/** Files of each thread in state D. Then its status follows again, which shows whether it ran meanwhile. */
export const WAIT_FILES = ['wchan', 'stack'];

/** Captured lines of a thread's status. */
export const THREAD_STATUS = /^(State|Tgid|NSpid|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):/;

/** Captured namespaces of each process. */
export const NAMESPACES = ['net', 'pid', 'mnt', 'user', 'ipc'] as const;
/** Those of the collector itself, which its files of the host are in. */
export const OWN_NAMESPACES = ['net', 'mnt', 'ipc'].map((kind) => `/proc/self/ns/${kind}`);

/** Read in each ipc namespace: file `ipc-INODE`. */
export const SYSV_QUEUES = '/proc/sysvipc/msg';

/** SLUB attributes of each cache, in `slab-attributes`. */
export const SLAB_ATTRIBUTES = ['object_size', 'reclaim_account', 'order', 'objs_per_slab'];

/** Files of each memory cgroup: v2's, then v1's. */
export const CGROUP_FILES = [
  ...'memory.current memory.peak memory.max memory.high memory.low memory.min'.split(' '),
  ...'memory.swap.current memory.swap.max memory.zswap.current memory.stat memory.events memory.pressure'.split(' '),
  ...'memory.usage_in_bytes memory.max_usage_in_bytes memory.limit_in_bytes memory.failcnt'.split(' '),
  ...'memory.memsw.usage_in_bytes memory.kmem.usage_in_bytes'.split(' '),
  ...'memory.oom_control pids.current pids.max'.split(' '),
  'cgroup.stat',
  'cgroup.procs',
];

/** Root of the search for cgroups, and their maximum number. */
export const CGROUP_ROOT = '/sys/fs/cgroup';
export const MAX_CGROUPS = 20_000;

/** Limit for the kernel log, and for smaps: the rest is truncated and reported. Bytes. */
export const MAX_BYTES = 40 * 1024 * 1024;

/**
 * Limit for one list of processes (states, memory, links): 30,000 processes need at most 160 MiB.
 * Writers truncate there and report it, and readers accept as much. Bytes.
 */
export const MAX_PROCESS_BYTES = 256 * 1024 * 1024;

/** Maximum number of files of processes in one list, a dozen per process. */
export const MAX_PROCESS_FILES = 2_000_000;

/** Maximum number of errors to list individually. */
export const MAX_ERRORS = 10_000;

/** Replacement for omitted names. */
export const LEFT_OUT_NAME = '(left-out)';
