/**
 * What a snapshot holds of a host: the one list for the script (script.ts) and for the collector in Node
 * (src/capture/write). Paths are absolute; `*` stands for any name, without a slash.
 */

/** The version of the layout, which the file `version` has. docs/snapshot.md describes it. */
export const LAYOUT_VERSION = 3;

/** The directory that all of a snapshot lies in. Readers take any name. */
export const TOP_DIRECTORY = 'kdump-mem-snapshot';

const KERNEL = 'hostname osrelease version ostype tainted pid_max threads-max random/boot_id';
const SHARED_MEMORY = 'shmmax shmall shmmni msgmax sem';
const SHOWN = 'dmesg_restrict kptr_restrict perf_event_paranoid';
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
  'tcp_mem tcp_rmem tcp_wmem udp_mem tcp_max_orphans tcp_max_tw_buckets tcp_moderate_rcvbuf';

/** These under that directory. */
const under = (directory: string, names: string): string[] =>
  names.split(' ').map((name) => `${directory}/${name}`);

/** Files with one name each. What a kernel or a user lacks is noted among the errors. */
export const HOST_FILES: readonly string[] = [
  ...under(
    '/proc',
    'meminfo zoneinfo vmstat slabinfo buddyinfo vmallocinfo swaps modules cgroups version uptime loadavg',
  ),
  ...under('/proc', 'self/auxv self/mountinfo net/sockstat net/sockstat6 net/protocols allocinfo'),
  ...under('/proc/pressure', 'memory cpu io'),
  ...under('/proc/sys/kernel', `${KERNEL} ${SHARED_MEMORY} ${SHOWN}`),
  ...under('/proc/sys/vm', VM),
  ...under('/proc/sys/fs', FS),
  ...under('/proc/sys/net/core', NET_CORE),
  ...under('/proc/sys/net/ipv4', NET_IPV4),
  ...under('/sys/kernel/mm/transparent_hugepage', 'enabled defrag shmem_enabled'),
  ...under('/sys/kernel/mm/ksm', 'run pages_shared pages_sharing pages_unshared pages_volatile'),
  '/etc/os-release',
];

/** Files of which there may be none or many. */
export const HOST_PATTERNS: readonly string[] = [
  ...under(
    '/sys/kernel/mm/hugepages/*',
    'nr_hugepages free_hugepages resv_hugepages surplus_hugepages',
  ),
  ...under('/sys/devices/system/node/node*', 'meminfo numastat'),
  '/sys/block/zram*/mm_stat',
];

/** The kernel's command line may hold passwords: it goes with the arguments of processes. */
export const WITH_ARGUMENTS: readonly string[] = ['/proc/cmdline'];

/** What is read again with each sample: the figures that move. */
export const SAMPLED_FILES: readonly string[] = under(
  '/proc',
  'meminfo vmstat slabinfo buddyinfo zoneinfo pressure/memory',
);

/** Of each process at each sample, besides its status. */
export const PROCESS_FILES =
  'comm wchan cgroup stat schedstat oom_score oom_score_adj limits'.split(' ');

/** Lines of a thread's status that are kept. */
export const THREAD_STATUS =
  /^(State|Tgid|NSpid|voluntary_ctxt_switches|nonvoluntary_ctxt_switches):/;

/** The namespaces of each process that are noted. */
export const NAMESPACES = ['net', 'pid', 'mnt', 'user'] as const;

/** What SLUB tells of each cache, in `slab-attributes`. */
export const SLAB_ATTRIBUTES = ['object_size', 'reclaim_account', 'order', 'objs_per_slab'];

/** Of each memory cgroup: v2's files, then v1's. */
export const CGROUP_FILES = [
  ...'memory.current memory.peak memory.max memory.high memory.low memory.min'.split(' '),
  ...'memory.swap.current memory.swap.max memory.stat memory.events memory.pressure'.split(' '),
  ...'memory.usage_in_bytes memory.max_usage_in_bytes memory.limit_in_bytes memory.failcnt'.split(
    ' ',
  ),
  ...'memory.memsw.usage_in_bytes memory.kmem.usage_in_bytes memory.kmem.tcp.usage_in_bytes'.split(
    ' ',
  ),
  'cgroup.procs',
];

/** Where cgroups are looked for, and so many of them. */
export const CGROUP_ROOT = '/sys/fs/cgroup';
export const MOST_CGROUPS = 20_000;

/** Of the kernel's log, and of smaps: more is cut off, and said. Bytes. */
export const MOST_BYTES = 40 * 1024 * 1024;

/**
 * Of one list of processes (states, memory, links): 30,000 processes take 160 MiB at most. Writers cut it there and
 * report it, and readers take as much. Bytes.
 */
export const MOST_PROCESS_BYTES = 256 * 1024 * 1024;

/** Files of processes in one list, of a dozen for each process. */
export const MOST_PROCESS_FILES = 2_000_000;

/** So many errors are told one by one. */
export const MOST_ERRORS = 10_000;

/** Parts that are there only when they are asked for. */
export const OPTIONAL_PARTS = [
  'smaps',
  'stacks',
  'arguments',
  'unix-paths',
  'kpageflags',
  'perf',
] as const;
export type OptionalPart = (typeof OPTIONAL_PARTS)[number];

/** Parts that the script can take too. */
export const SCRIPT_PARTS: readonly OptionalPart[] = ['smaps', 'stacks', 'arguments', 'unix-paths'];

/** Secrets that stay out unless they are asked for by these names. */
export const SECRET_PARTS = ['arguments', 'unix-paths'] as const satisfies readonly OptionalPart[];

/** What stays out always. */
export const NEVER_TAKEN = ['environment'] as const;

/** What stays out of one that is to name nobody. */
export const NAMING = ['log', 'names'] as const;

/** All that may stay out on purpose. */
export const LEFT_OUT = [...NEVER_TAKEN, ...SECRET_PARTS, ...NAMING] as const;
export type LeftOut = (typeof LEFT_OUT)[number];

/** What stands in place of a name that was left out. */
export const LEFT_OUT_NAME = '(left-out)';
