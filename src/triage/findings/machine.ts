import { anyCategoryWords } from '../../account/memory/category-names.js';
import { SLAB_CACHES, slabCacheKey } from '../../records/slab-caches.js';
import { taintFlags } from '../../walk/machine-facts.js';
import type { Amount, Declarations, Of, OfProcess, Reported, Words } from './declared.js';
import {
  blocksWords,
  cgroupName,
  cgroupPath,
  cgroupWords,
  largestWords,
  percent,
  process,
  program,
  size,
  text,
} from './declared.js';

type Hypervisor = Partial<Of<'stealShare' | 'stealSeconds' | 'recentShare' | 'idleLockups' | 'balloonBytes'>>;
type Growth = Amount &
  OfProcess &
  Of<'category' | 'cache', string> &
  Of<'grownBytes' | 'beforeBytes' | 'seconds' | 'ownerBytes'> &
  Partial<Of<'file', string> & Of<'fileBytes' | 'pipes' | 'mostBytes' | 'processes' | 'isNew'>>;

/** What a limit counts. */
const LIMITED: readonly (readonly [limit: RegExp, counted: string])[] = [
  [/^RLIMIT_NOFILE$/, 'file descriptors '],
  [/^tcp_max_orphans$/, 'orphaned TCP sockets '],
  [/^(?:threads-max|pid_max)$/, 'threads '],
  [/^pids\.max /, 'tasks '],
  [/^file-max$/, 'open files '],
  [/^nf_conntrack_max$/, 'tracked connections '],
  [/^(?:tcp|udp)_mem$/, 'pages of socket memory '],
  [/^max_user_instances /, 'inotify instances '],
  [/^max_user_watches /, 'inotify watches '],
];
const limited = (limit: unknown): string => LIMITED.find(([name]) => name.test(String(limit)))?.[1] ?? '';

/** The process that has most of some buffers open. */
const openedWords = (of: OfProcess & Of<'processBytes'>): string[] =>
  of.pid == null ? [] : [`Most is open in ${process(of)}: ${size(of.processBytes)}.`];

export const MACHINE = {
  tainted: {
    words: (of: Of<'mask'>) =>
      `Tainted kernel: ${taintFlags(BigInt(of.mask ?? 0))
        .map(({ words }) => words)
        .join(', ')}.`,
    means:
      'The kernel has out-of-tree or proprietary modules, or a failure occurred before. Taint alone is not a problem.',
    known: 'The bits of tainted_mask (Documentation/admin-guide/tainted-kernels.rst).',
    next: 'If a stack of the failure contains a third-party module, contact its vendor first.',
    deeper: 'kdump-mem info',
  },
  fragmentation: {
    words: (
      of: Of<'node' | 'order' | 'freeBytes' | 'compactStalls' | 'compactFails'> &
        Of<'zone', string> &
        Parameters<typeof blocksWords>[0],
    ) => [
      `Fragmented memory: zone ${text(of.zone)} of node ${text(of.node)} has ${size(of.freeBytes)} free, but no free block of order ${text(of.order)} or larger.`,
      `Since boot, allocations waited for compaction ${text(of.compactStalls)} times, and it failed ${text(of.compactFails)} times.`,
      ...blocksWords(of),
    ],
    means:
      'A zone has free memory, but no free block of order 3 or larger. Network buffers and many drivers need such blocks. Allocations then wait for compaction, or fail.',
    known:
      '/proc/buddyinfo, the zone in /proc/zoneinfo, and compact_stall and compact_fail of /proc/vmstat (mm/vmstat.c).',
    next: 'Check for page allocation failures in the log. Unmovable memory (slab, queued packets) prevents compaction: find its owner.',
    deeper: 'kdump-mem memory --nodes',
  },
  'memory-pressure': {
    words: (
      of: Of<'fullAvg10' | 'fullAvg60' | 'someAvg10' | 'someAvg60'> &
        Of<'cgroup', string> &
        Partial<OfProcess & Of<'usedBytes' | 'anonBytes' | 'swapUsedBytes'>>,
    ) => [
      `Memory pressure${of.cgroup == null ? '' : ` in ${cgroupWords(of.cgroup)}`}: all tasks stalled for memory in ${text(of.fullAvg10)} % of the last 10 s (some tasks: ${text(of.someAvg10)} %).`,
      `In the last 60 s: ${text(of.fullAvg60)} % (some tasks: ${text(of.someAvg60)} %).`,
      ...(of.usedBytes == null ? [] : [`The cgroup uses ${size(of.usedBytes)}.`]),
      ...largestWords(of),
      ...cgroupPath(of.cgroup),
      ...(of.swapUsedBytes ? [`${size(of.swapUsedBytes)} of swap is in use.`] : []),
    ],
    means:
      'Tasks of the machine or of a cgroup wait for memory: for reclaim, compaction, or pages that were evicted and are read again. `full` is the time in which no task could run. A cgroup at its limit stalls also if all of its page cache could be reclaimed: it needs these pages.',
    known:
      '/proc/pressure/memory and memory.pressure of each cgroup of version 2 (Documentation/accounting/psi.rst), and SwapFree of /proc/meminfo.',
    next: 'Find the processes and cgroups that use the most memory, and those that grow.',
    deeper: 'kdump-mem procs --live --watch 5s',
  },
  'cgroup-near-limit': {
    words: (
      of: Of<'cgroup' | 'limit', string> &
        Of<'usedBytes' | 'limitBytes' | 'share' | 'reclaimableBytes' | 'fullAvg60'> &
        Partial<OfProcess & Of<'anonBytes'>>,
    ) => [
      `Cgroup ${of.reclaimableBytes == null ? 'throttled' : 'near its limit'}: ${cgroupName(of.cgroup)} uses ${size(of.usedBytes)} of ${size(of.limitBytes)} (${text(of.limit)}).`,
      ...(of.reclaimableBytes == null
        ? []
        : [
            `${of.reclaimableBytes === 0 ? 'None' : `Only ${size(of.reclaimableBytes)}`} of that is page cache, which the kernel can reclaim.`,
          ]),
      ...(of.fullAvg60 ? [`All its tasks stalled for memory in ${text(of.fullAvg60)} % of the last 60 s.`] : []),
      ...largestWords(of),
      ...cgroupPath(of.cgroup),
    ],
    means:
      'A cgroup uses at least 90 % of its memory limit, page cache that can be reclaimed not counted. Or its tasks are throttled because it exceeds memory.high. At memory.max the OOM killer kills one of its processes.',
    known:
      'memory.current, memory.max, memory.high, memory.stat, memory.events and memory.pressure (Documentation/admin-guide/cgroup-v2.rst); of version 1 memory.usage_in_bytes, memory.limit_in_bytes and memory.stat.',
    next: 'Find the process of the cgroup that grows. Raise the limit if that is what it normally needs; if its use only grows, it is a leak, and fills any limit.',
    deeper: 'kdump-mem procs --live --by cgroup',
  },
  'oom-kills': {
    words: (of: Of<'kills'> & Of<'cgroup', string>) =>
      `OOM kills since boot: ${text(of.kills)}${of.cgroup == null ? ' on this machine' : ` in ${cgroupWords(of.cgroup)}`}.`,
    means:
      'The OOM killer has killed processes since boot. The counters do not show when: an `oom-kill` finding of the log does.',
    known:
      'oom_kill of /proc/vmstat (since 4.13), and of memory.events or memory.oom_control by cgroup. Kills in a cgroup count for the machine too.',
    next: 'Read the kernel log, or the journal, for the reports.',
    deeper: 'kdump-mem triage',
  },
  'writeback-stuck': {
    words: (of: Of<'dirtyBytes' | 'writebackBytes' | 'share' | 'ioFullAvg60'>) => [
      `Writeback stuck: ${percent(of.share)} of memory is dirty (${size(of.dirtyBytes)}) or under writeback (${size(of.writebackBytes)}).`,
      `All tasks stalled for I/O in ${text(of.ioFullAvg60)} % of the last 60 s.`,
    ],
    means:
      'Much memory is dirty or under writeback, and all tasks wait for I/O. Writers are throttled until the disk or the server responds.',
    known: 'Dirty and Writeback of /proc/meminfo, and /proc/pressure/io.',
    next: 'Check the disks and network file systems, and errors in the log.',
    deeper: 'kdump-mem triage',
  },
  'unreclaimable-slab': {
    words: (of: Slab) => [
      of.share == null
        ? `Slab: ${size(of.bytes)}. Total memory is unknown.`
        : `Unreclaimable slab: ${size(of.bytes)} (${percent(of.share)} of ${wholeWords(of)}).`,
      cachesWords(of),
      ...causeWords(of),
    ],
    traits: ['excessive', 'single'],
    means:
      'Slab caches that cannot be reclaimed use a large share of memory. Often one cache leaks, or a program makes the kernel hold many objects.',
    known:
      'SUnreclaim of /proc/meminfo, and /proc/slabinfo for the largest caches; in a dump the category slab-unreclaimable.',
    next: 'Check whether the largest cache grows, and record its call sites. In a dump, kdump-mem refs --cache NAME finds what refers to its objects.',
    act: (_: Slab, panicked: boolean) =>
      panicked
        ? 'Find what refers to the objects of the largest cache: kdump-mem refs --cache NAME in this dump.'
        : 'Check on the machine whether the largest cache still grows: run kdump-mem triage again in ten minutes, and compare. If it does, kdump-mem leaks --type slab shows the code that allocates.',
    deeper: 'kdump-mem leaks',
  },
  'reclaimable-slab': {
    words: (of: Slab) => [
      `Reclaimable slab: ${size(of.bytes)} (${percent(of.share)} of ${wholeWords(of)}).`,
      cachesWords(of),
      ...causeWords(of),
      'The kernel frees it when memory is short.',
    ],
    traits: ['single'],
    means:
      'Slab caches that can be reclaimed, mostly dentries and inodes, use a quarter of memory. A program that looks up many files, also files that do not exist, fills them; less page cache is left.',
    known: 'SReclaimable of /proc/meminfo, and /proc/slabinfo for the largest caches.',
    next: 'It is no problem by itself. If page cache is missing, find the program that looks up files.',
    deeper: 'kdump-mem memory --live --caches',
  },
  'per-cpu-memory': {
    words: (of: Amount) => [
      `Per-CPU memory: ${size(of.bytes)} (${percent(of.share)} of memory).`,
      'Memory cgroups (also removed ones that are still charged), BPF maps and network devices have a part per CPU.',
    ],
    traits: ['excessive'],
    means:
      'Per-CPU memory has at least 10 % of memory. Each object in it takes a part for each possible CPU: many memory cgroups, also removed ones that memory is still charged to, per-CPU BPF maps, or network devices.',
    known: 'Percpu of /proc/meminfo (since 4.19); in a dump the category percpu.',
    next: 'Compare nr_dying_descendants of /sys/fs/cgroup/cgroup.stat and num_cgroups of /proc/cgroups with the number of cgroups in use. bpftool map lists BPF maps.',
    deeper: 'kdump-mem memory --cgroups',
  },
  'kernel-stacks': {
    words: (of: Amount & OfProcess & Of<'threads'> & Partial<Of<'processes'>>) =>
      `Kernel stacks: ${size(of.bytes)} (${percent(of.share)} of memory). ${program(of)} the most threads (${text(of.threads)}).`,
    traits: ['excessive', 'single'],
    means: 'The stacks of threads use at least 5 % of memory (16 KiB for each thread).',
    known:
      'KernelStack of /proc/meminfo, and Threads of /proc/PID/status; in a dump the category kernel-stacks, and signal_struct.nr_threads.',
    next: 'Check why the named process has so many threads.',
    deeper: 'kdump-mem procs --live --sort threads',
  },
  'page-tables': {
    words: (of: Amount & OfProcess & Of<'mostBytes'> & Partial<Of<'processes'>>) =>
      `Page tables: ${size(of.bytes)} (${percent(of.share)} of memory). ${program(of)} the most (${size(of.mostBytes)}).`,
    traits: ['excessive', 'single'],
    means:
      'Page tables use at least 5 % of memory. Many processes that map one large shared area without huge pages are the usual cause.',
    known:
      'PageTables of /proc/meminfo, and VmPTE of /proc/PID/status; in a dump the category page-tables, and mm_struct.pgtables_bytes.',
    next: 'Find out why so many processes map so much: huge pages for large shared memory, or fewer processes, need smaller tables.',
    deeper: 'kdump-mem procs --live --sort page-tables',
  },
  'pinned-pages': {
    words: (
      of: OfProcess &
        Of<'pinnedBytes' | 'share'> &
        Partial<Of<'lockedBytes' | 'uncounted' | 'registeredBytes'> & Of<'kinds', string>>,
    ) =>
      of.uncounted == null
        ? [
            `Pinned pages: the kernel pinned ${of.lockedBytes ? 'up to ' : ''}${size(of.pinnedBytes)} (${percent(of.share)} of memory) for ${process(of)} (${of.lockedBytes ? 'VmPin and VmLck' : 'VmPin'}).`,
            `It can neither reclaim nor move them until the process or its device frees them (${of.kinds == null ? 'io_uring, RDMA, vdpa, rings of perf' : text(of.kinds)}).`,
          ]
        : [
            `Pinned pages: up to ${size(of.pinnedBytes)} (${percent(of.share)} of memory) is pinned, and no process counts it.`,
            'A page counts for each of its pins. AF_XDP, GPU drivers and direct I/O in progress pin pages that no process counts.',
            ...(of.pid == null
              ? []
              : of.registeredBytes == null
                ? [`${process(of)} has ${text(of.kinds)} open.`]
                : [`${process(of)} has registered ${size(of.registeredBytes)} with ${text(of.kinds)}.`]),
          ],
    means:
      'The kernel holds pages of a process in place for a device or for io_uring. It can neither swap, reclaim nor move them, so that they also fragment memory. A warning from 25 % of memory on.',
    known:
      'VmPin of /proc/PID/status (mm->pinned_vm): registered buffers of io_uring, RDMA, vdpa, and ring buffers of perf events beyond perf_event_mlock_kb. VFIO counts its pages in VmLck, as mlocked ones, which makes it an upper bound; iommufd in VmPin, or in both if a program uses it as a container of VFIO; AF_XDP in neither. `kinds` are those of its open descriptors. What no process counts: nr_foll_pin_acquired less nr_foll_pin_released of /proc/vmstat (5.7), an upper bound, less VmPin and VmLck of all processes. Memory registered with AF_XDP: umem of ss -e -A xdp, which needs the kernel’s xsk_diag (5.1).',
    next: 'Check whether the program normally registers that much. kdump-mem procs --sort pinned also adds VmLck where smaps shows no mlocked page (VFIO).',
    deeper: 'kdump-mem procs --sort pinned',
  },
  'limit-near': {
    words: (
      of: Of<'used' | 'most' | 'share'> &
        Of<'limit', string> &
        Partial<OfProcess & Of<'mostPid'> & Of<'mostComm', string>>,
    ) => [
      `Limit ${Number(of.used) >= Number(of.most) ? 'reached' : 'nearly reached'}: ${of.pid == null ? '' : `${process(of)} uses `}${text(of.used)} of ${text(of.most)} ${limited(of.limit)}(${text(of.limit)})${of.mostPid == null ? '' : `; pid ${text(of.mostPid)} (${text(of.mostComm)}) has the most`}.`,
      ...(of.limit === 'tcp_max_orphans' && Number(of.used) > Number(of.most)
        ? [
            'Each was closed by its process before its peer acknowledged all data. The kernel resets connections above the limit. A higher limit lets them pin more memory: first find the peers that do not acknowledge, with ss -tno state fin-wait-1 state last-ack state closing.',
          ]
        : []),
      ...(/^key/.test(String(of.limit)) ? ['/proc/keys lists the keys, read as that user.'] : []),
    ],
    means:
      'A limit of the machine or of a process is used to at least 90 %. Above it, calls fail: new processes, files, connections, keys, or socket memory.',
    known:
      '/proc/loadavg, threads-max, pid_max, file-nr, nf_conntrack_count, sockstat with tcp_mem and udp_mem, key-users, inotify descriptors by user (one inherited by fork counts for each process), /proc/PID/limits, and pids.max of cgroups (version 2).',
    next: 'Find what uses up the limit before you raise it: a leak fills any limit. Orphans keep memory until their peers acknowledge the data.',
    act: ({ limit }: Of<'limit', string>) =>
      limit === 'tcp_max_orphans'
        ? 'Do not raise the limit first: find the peers that do not acknowledge the data.'
        : 'Find what uses up the limit before you raise it: a leak fills any limit.',
    deeper: 'kdump-mem procs --live',
  },
  'file-watches': {
    words: (of: OfProcess & Of<'watches' | 'bytes'> & Of<'kind', string>) => [
      `File watches: ${process(of)} has ${text(of.watches)} ${of.kind === 'epoll' ? 'files in epoll' : of.kind === 'fanotify' ? 'fanotify marks' : 'inotify watches'}, about ${size(of.bytes)} of kernel memory.`,
      ...(of.kind === 'epoll' ? [] : ['Each keeps its inode in memory, which the kernel then cannot reclaim.']),
    ],
    traits: ['excessive'],
    means:
      'A process watches so many files that the watches and the inodes that they keep hold about 64 MiB or more of slab, which counts for no process. Typical programs index or synchronize large trees.',
    known:
      'Lines of /proc/PID/fdinfo of inotify and fanotify descriptors, and of epoll if the slab cache eventpoll_epi is large. Bytes are an estimate: 1 KiB for each watch (a mark, its connector and an inode; evictable marks keep none), 200 bytes for each file in epoll. A descriptor that a child inherited counts for both.',
    next: 'Exclude folders that the program need not watch. Closing the descriptor frees the watches; the inodes are then reclaimable.',
    deeper: 'kdump-mem procs --pid N --fds',
  },
  'hugetlb-unused': {
    words: (
      of: Amount &
        Of<'pageBytes' | 'pages'> &
        Partial<OfProcess & Of<'inFilesBytes' | 'reservedBytes' | 'surplusBytes' | 'mappedBytes'>>,
    ) => [
      `Unused huge pages: ${size(of.bytes)} (${percent(of.share)} of memory) is reserved in ${size(of.pageBytes)} pages that no process uses.`,
      ...(of.inFilesBytes == null
        ? []
        : [`${size(of.inFilesBytes)} of it is in files of hugetlbfs or segments that no process maps.`]),
      ...(of.reservedBytes
        ? [`Another ${size(of.reservedBytes)} is reserved by mappings that have not touched it (HugePages_Rsvd).`]
        : []),
      ...(of.surplusBytes ? [`${size(of.surplusBytes)} is surplus: the kernel frees it when it is unused.`] : []),
      ...(of.pid == null ? [] : [`Largest user: ${process(of)} maps ${size(of.mappedBytes)} of huge pages.`]),
    ],
    traits: ['excessive'],
    means:
      'Huge pages are reserved, but no process uses or has reserved them, or they are in files that no process maps. No other allocation can use that memory.',
    known:
      'nr_hugepages, free_hugepages, resv_hugepages and surplus_hugepages of each size in /sys/kernel/mm/hugepages; HugetlbPages of /proc/PID/status for those in use. memory shows the pools by NUMA node.',
    next: 'Find out which program they are for, and whether it should run. Without one, reduce vm.nr_hugepages.',
    deeper: 'kdump-mem memory --live',
  },
  zombies: {
    words: (of: OfProcess & Of<'zombies'>) =>
      `Zombies: ${text(of.zombies)} exited children of ${process(of)} are not reaped.`,
    means: 'A process does not wait for its children that exited. Each zombie keeps its pid.',
    known: 'State and PPid of /proc/PID/status.',
    next: 'Restart or repair the parent. When the parent exits, the zombies are reaped.',
    act: ({ pid }: Partial<OfProcess>) =>
      pid === 1
        ? 'Find out why pid 1 does not wait for its children: it must not be killed.'
        : 'Report it to the owner of the parent. A zombie keeps a pid, but no memory that matters: restart the parent only if pids run out.',
    deeper: 'kdump-mem procs --live',
  },
  'hypervisor-overcommitted': {
    words: hypervisorWords,
    means:
      'The host did not run this guest while it had work to do: the host has more guests than CPUs, or this guest was paused (live migration, snapshot). Timeouts, soft lockups, RCU stalls and slow I/O then have their cause outside of the guest.',
    known:
      'Steal time, as a share of the CPU time that the guest needed (busy and steal): since boot, and live also during the check. From 10 % on it is a note, from 25 % on a warning. In /proc/stat, or in a dump kernel_cpustat, which must agree with rq.prev_steal_time. Soft lockups of idle CPUs (swapper) in the log whose stack begins in a halt: such a CPU runs nothing that could be stuck. If the log has no stack, it is a note, because interrupts can loop on an idle CPU. Memory that the balloon holds is shown beside it. A hypervisor that reports no steal time can hide this.',
    next: 'Confirm it on the host: CPU contention of this guest (ready or steal time), overcommitted memory, and whether it was migrated at that time.',
    deeper: 'kdump-mem triage',
  },
  balloon: {
    words: (of: Amount & Of<'isInMemTotal'> & Of<'driver', string>) => [
      `Balloon: ${text(of.driver)} returned ${size(of.bytes)} (${percent(of.share)} of memory) of this guest to the hypervisor.`,
      of.isInMemTotal === 0
        ? 'MemTotal is lower by this amount: it is in no other counter.'
        : of.isInMemTotal === 1
          ? 'MemTotal still includes it, and free memory does not.'
          : 'Whether MemTotal includes it is unknown.',
    ],
    means:
      'The hypervisor took memory of this guest back with its balloon driver. No process of the guest can use or free it. It is a warning while little memory is available.',
    known:
      'Balloon of /proc/meminfo (6.16), balloon_inflate less balloon_deflate of /proc/vmstat, debugfs of hv_balloon and vmw_balloon, sysfs of xen_memory. The virtio feature DEFLATE_ON_OOM shows whether MemTotal includes it; Xen lowers MemTotal. Without such a file, what MemTotal lost since the line “Memory:” of the boot log is a lower bound.',
    next: 'Compare the memory that the hypervisor assigns to this guest, and its minimum. Raise it there if the guest needs more.',
    deeper: 'kdump-mem memory --live',
  },
  'compressed-memory': {
    words: (of: Amount & Of<'dataBytes' | 'deviceBytes' | 'cgroupBytes'> & Of<'device' | 'cgroup', string>) => [
      `Compressed swap: ${size(of.bytes)} (${percent(of.share)} of memory) holds ${size(of.dataBytes)} of data${of.dataBytes == null || !of.bytes ? '' : ` (ratio ${(of.dataBytes / of.bytes).toFixed(1)})`}.`,
      `Largest: ${text(of.device)}, ${size(of.deviceBytes)}.`,
      ...(of.cgroup == null ? [] : [`Most of zswap: ${cgroupWords(of.cgroup)}, ${size(of.cgroupBytes)}.`]),
    ],
    means:
      'zram or zswap keeps swapped pages compressed in memory, and this memory is at least 10 % of RAM. The pages belong to processes, but no RSS shows them. With a ratio near 1 it frees almost nothing.',
    known:
      'mm_stat of each zram device (mem_used_total and orig_data_size), Zswap and Zswapped of /proc/meminfo (5.19), and memory.zswap.current of cgroups.',
    next: 'Find the processes with most swap. Only then limit zram (mem_limit) or zswap (max_pool_percent) if it takes too much.',
    deeper: 'kdump-mem procs --live --sort swap',
  },
  'zfs-arc': {
    words: (of: Amount & Of<'reclaimableBytes' | 'minBytes'>) => [
      `ZFS ARC: ${size(of.bytes)} (${percent(of.share)} of memory) is the cache of ZFS.`,
      `ZFS can free up to ${size(of.reclaimableBytes)} of it, down to its minimum of ${size(of.minBytes)}. MemAvailable does not include it.`,
    ],
    means:
      'The cache of ZFS has at least 10 % of memory. It is neither in Cached nor in MemAvailable, so that memory seems to be used up. ZFS shrinks it when memory is short, but more slowly than the kernel frees page cache.',
    known: 'size, c_min and c_max of /proc/spl/kstat/zfs/arcstats; abdstats for its pages in no counter of the kernel.',
    next: 'If applications need this memory, lower zfs_arc_max. arc_summary shows hit rates.',
    deeper: 'kdump-mem memory --live',
  },
  'gpu-memory': {
    words: (of: Amount & OfProcess & Of<'mostBytes' | 'deviceBytes' | 'processBytes'> & Of<'device', string>) => [
      `GPU memory: buffers of ${text(of.device)} have ${size(of.bytes)} (${percent(of.share)}) of this machine's memory${of.mostBytes != null && of.mostBytes > of.bytes ? `, and at most ${size(of.mostBytes)}` : ''}.`,
      ...openedWords(of),
      ...(of.deviceBytes ? [`Another ${size(of.deviceBytes)} is in memory of the device.`] : []),
    ],
    means:
      'Buffers of a GPU have at least 10 % of the memory of this machine. No RSS of a process shows them, and reclaim cannot free them while they are in use. A shared buffer may be that of several processes: it counts once in the lower bound.',
    known:
      'drm-resident-*, drm-shared-* and drm-memory-* of /proc/PID/fdinfo of descriptors of /dev/dri and /dev/accel, once for each client. The upper bound counts shared buffers for each client.',
    next: 'Check the process that has most of them open. If they grow, the driver or the program leaks buffers.',
    deeper: 'kdump-mem memory --live -v',
  },
  'dma-buf': {
    words: (of: Amount & OfProcess & Of<'buffers' | 'unopenedBytes' | 'processBytes'> & Of<'exporter', string>) => [
      `dma-bufs: ${text(of.buffers)} buffers of ${text(of.exporter)} have ${size(of.bytes)} (${percent(of.share)} of memory).`,
      ...openedWords(of),
      ...(of.unopenedBytes ? [`No process has ${size(of.unopenedBytes)} of them open.`] : []),
    ],
    means:
      'Buffers that devices and processes share have at least 5 % of memory. Buffers of heaps are in no counter of the kernel and in no RSS. Those of udmabuf are pages of a memfd, and in no counter once it is closed. They are freed when the last process and device close them.',
    known:
      'size, exp_name and ino of /proc/PID/fdinfo of descriptors of dma-bufs, each buffer once; with 1 % of memory or more, debugfs dma_buf/bufinfo, which also lists buffers that no process has open.',
    next: 'Check the process that has most of them open, and the devices in bufinfo.',
    deeper: 'kdump-mem memory --live -v',
  },
  'page-pool-detached': {
    words: (of: Of<'bytes' | 'pages' | 'pools' | 'detachedSeconds' | 'interfaces'> & Of<'interface', string>) => [
      `Page pool detached and not returned: ${text(of.pages)} pages (${size(of.bytes)}) of ${text(of.interface)}${Number(of.interfaces ?? 1) > 1 ? ` and ${text(Number(of.interfaces) - 1)} more` : ''}, for ${text(of.detachedSeconds)} s.`,
      `${of.pools === 1 ? 'The pool waits' : `${text(of.pools)} pools wait`} for pages in socket queues that are not read, or that were leaked.`,
    ],
    means:
      'A driver destroyed a page pool, for example when an interface was removed or its rings changed, but pages of it are still in use. The pool and its pages stay until all return. Packets in a socket that is not read hold them, or a driver leaked them.',
    known:
      'detach-time, inflight and inflight-mem of page pools (netdev page-pool-get of netlink, 6.8), read by perl or python3.',
    next: 'Find sockets that are not read: skcheck --stale. If there are none, the driver leaks pages.',
    deeper: 'skcheck --stale',
  },
  'dying-cgroups': {
    words: (of: Of<'dying' | 'dyingInside' | 'cgroups'> & Of<'cgroup', string>) => [
      `Removed cgroups: memory still keeps ${text(of.dying)} of them (${of.cgroups == null ? 'the number that exist is unknown' : `${text(of.cgroups)} exist`}).`,
      ...(of.dyingInside == null || of.cgroup === '/'
        ? []
        : [`${text(of.dyingInside)} of them were in ${cgroupWords(of.cgroup)}.`]),
    ],
    means:
      'Cgroups were removed, but page cache, slab objects or sockets are still charged to them, so that the kernel keeps their structures. Each takes per-CPU memory and slows down reclaim. Services that restart often leave them.',
    known:
      'nr_dying_subsys_memory (6.14) or nr_dying_descendants of cgroup.stat; of version 1 num_cgroups of /proc/cgroups less the cgroups that exist. The innermost cgroup with most of them is named.',
    next: 'With /proc/kcore, kdump-mem memory --cgroups lists them with their files and slabs. Memory pressure, or drop_caches, frees those that only page cache keeps.',
    deeper: 'kdump-mem memory --cgroups',
  },
  'counter-leak': {
    words: (of: Of<'bytes' | 'mostBytes'> & Of<'counter' | 'why', string>) =>
      of.why === 'impossible'
        ? `Impossible counter: ${text(of.counter)} is ${size(of.bytes)}, more than this machine has (${size(of.mostBytes)}).`
        : of.why === 'isolated'
          ? `Leaked counter: ${text(of.counter)} is ${size(of.bytes)}, more than the inactive list has (${size(of.mostBytes)}). Reclaim waits for pages that never return.`
          : `Leaked counter: ${text(of.counter)} is ${size(of.bytes)}, but no TCP socket exists in any network namespace.`,
    means:
      'A counter of the kernel is impossible, or the objects that it counts contradict it: a driver or the kernel added without subtracting, or the reverse. Tools that read it are wrong. TCP reduces its windows by a leaked counter, and reclaim throttles tasks by leaked isolated pages.',
    known:
      'Counters of pages in /proc/vmstat and /proc/meminfo beside the memory of all zones; nr_isolated_anon and nr_isolated_file beside their inactive lists; mem beside alloc of /proc/net/sockstat (both of all namespaces).',
    next: 'Repeat it when the machine is idle. If it persists, search the fixes of this kernel and its drivers; a reboot resets the counter.',
    deeper: 'kdump-mem memory -v',
  },
  'clock-unstable': {
    words: (of: Reported & Partial<Of<'clocksource' | 'old', string>>) => [
      `Unstable clock: the kernel stopped using clocksource ${text(of.clocksource ?? of.old)}.`,
      'Times before and after may be wrong. In a guest, the hypervisor may have paused it.',
    ],
    means:
      'The kernel compared its clock with another one, and stopped using it because they differed. Until then times in the log, timeouts and measured durations may be wrong.',
    known:
      'The message of the clocksource watchdog (kernel/time/clocksource.c). The other clock may be the wrong one, for example after a hypervisor paused the guest.',
    next: 'Check whether the guest was paused or migrated, and whether time synchronization reports a step.',
    deeper: 'kdump-mem log',
  },
  'clock-step': {
    words: (of: Of<'stepSeconds' | 'seconds'>) =>
      `Clock step: the wall clock was set ${text(Math.abs(Number(of.stepSeconds)))} s ${Number(of.stepSeconds) < 0 ? 'back' : 'forward'} within ${text(of.seconds)} s since the baseline.`,
    means:
      'The wall clock was set, by more than 10 s, since the baseline of --baseline. Times in logs before and after cannot be compared.',
    known: 'The wall clock and the uptime, which cannot be set, of the baseline and now. A positive step is forward.',
    next: 'Check time synchronization, and whether the guest was restored from a snapshot.',
    deeper: 'kdump-mem log',
  },
  'memory-growth': {
    words: (of: Growth) => [
      `Memory growth: ${anyCategoryWords(String(of.category))} grew by ${size(of.grownBytes)} (${percent(of.share)} of memory) in ${text(of.seconds)} s${rate(of)}, from ${size(of.beforeBytes)} to ${size(of.bytes)}.`,
      ...(of.ownerBytes == null
        ? []
        : [
            `Largest growth: ${of.cache == null ? process(of) : text(of.cache)}${of.isNew === 1 ? ', which started in that time' : ''}, ${size(of.ownerBytes)}.`,
          ]),
      ...(of.file == null
        ? []
        : [
            `Largest now, mapped by no process: ${text(of.file)}${of.pid == null ? '' : ` of ${process(of)}`}, ${size(of.fileBytes)}.`,
          ]),
      ...(of.pipes == null
        ? []
        : [`${program(of)} ${text(of.pipes)} pipes open, which can hold up to ${size(of.mostBytes)}.`]),
    ],
    means:
      'A category of kernel memory other than reclaimable slab grew since the baseline of --baseline by at least 64 MiB and 1 % of memory; from 5 % on it is a warning. The kernel cannot reclaim it: it may be a leak. Growth of anonymous and shared memory and of page tables is a note.',
    known:
      'The memory breakdowns of the baseline and now, of the same boot and from the same source. The owner is the process or slab cache that grew most; it has at least a quarter of the growth, or half if the baseline lacks some owners.',
    next: 'Find out whether it continues to grow, and where it is allocated: kdump-mem watch, kdump-mem leaks.',
    deeper: 'kdump-mem memory -v',
  },
  'recorded-growth': {
    words: (
      of: Omit<Growth, 'share'> &
        Of<'share' | 'endedSeconds' | 'perMinuteBytes' | 'ownerShare'> &
        Partial<Of<'owner' | 'ownerScan', string> & Of<'boundBytes'>>,
    ) => [
      `Memory growth before the last sample: ${anyCategoryWords(String(of.category))} grew by ${size(of.grownBytes)}${of.share === null ? '' : ` (${percent(of.share)} of memory)`} in ${text(of.seconds)} s, about ${size(of.perMinuteBytes)} a minute${of.endedSeconds === 0 ? '' : `, until ${text(of.endedSeconds)} s before it`}.`,
      ...(of.owner == null
        ? ['The recorder knows no owner of a quarter of it.']
        : of.boundBytes == null
          ? [
              `Largest growth: ${of.pid == null ? text(of.owner) : process({ pid: of.pid, comm: of.owner })}, ${of.ownerScan === 'sockets' ? 'about ' : ''}${size(of.ownerBytes)}${of.ownerShare == null ? '' : ` (${percent(of.ownerShare)} of the growth between two lists of owners)`}.`,
            ]
          : [
              `Possible owner: ${of.pid == null ? text(of.owner) : process({ pid: of.pid, comm: of.owner })}, which held ${of.ownerScan === 'pipes' ? 'up to ' : ''}${size(of.boundBytes)}.`,
            ]),
    ],
    means:
      'The recorder (kdump-mem watch --ring) sampled memory every 5 seconds. In the ten minutes before its last sample of that boot, a category of memory that the kernel cannot reclaim grew by at least 64 MiB and 1 % of memory. From 5 % on it is a warning; anonymous and shared memory and page tables count, since the machine ended or was short of memory.',
    known:
      'The largest rise of each category within the time, by counters of /proc and the uptime. The owner is the process, slab cache, file in memory or sockets of a process that grew most between the lists at both ends of the rise; it has at least a quarter of the growth. Lists are made each minute, and whenever a category grew by as much. Files, pipes and sockets are listed only then: if that was once, their growth is unknown, and they are possible owners.',
    next: 'Compare the owner with the OOM report or the dump. If the growth is normal, it only shows what changed last.',
    deeper: 'kdump-mem watch --ring',
  },
  'recorded-answer': {
    words: (
      of: Of<'file' | 'answer', string> &
        Of<'at' | 'codes' | 'first' | 'firstSeverity', string> &
        Of<'findings' | 'complete'>,
    ) => [
      `Recorded by kdump-mem: ${text(of.file)} is an answer (${text(of.answer)})${of.at == null ? '' : ` of ${text(of.at)}`}${of.findings == null ? '' : ` with ${Number(of.findings) === 0 ? 'no findings' : Number(of.findings) === 1 ? '1 finding' : `${text(of.findings)} findings`}`}${of.complete === 0 ? ', incomplete' : ''}.`,
      ...(of.first == null
        ? []
        : [
            of.firstSeverity == null
              ? `It could not read the dump: ${text(of.first)}`
              : `The first (${text(of.firstSeverity)}): ${text(of.first)}`,
          ]),
      ...(of.codes == null || of.codes === '' ? [] : [`Codes: ${text(of.codes)}.`]),
    ],
    means:
      'The capture contains an answer that kdump-mem made on the machine, or beside a dump. It is repeated here, not verified: the dump and the files that it was made from are not in the capture.',
    known:
      'Files of the plugin of sos (sos_commands/kdump_mem) and kdump-mem.json beside dumps in /var/crash and of pstore. The severity is a warning if the answer has a critical finding or a warning, or could not read its dump. The answer to a dump has no time.',
    next: 'Read the answer itself. For more, get the dump, or the .extract beside it.',
    deeper: 'kdump-mem triage',
  },
  rebooted: {
    words: (of: Of<'uptimeSeconds'>) =>
      `Reboot since the baseline: this boot began ${of.uptimeSeconds == null ? 'at an unknown time' : `${text(Math.round(Number(of.uptimeSeconds)))} s ago`}. Growth since the baseline is unknown.`,
    means: 'The machine booted since the baseline of --baseline. Memory of the earlier boot is gone.',
    known: '/proc/sys/kernel/random/boot_id, which each boot chooses anew; otherwise the time of boot.',
    next: 'Find out why: read the log of the earlier boot, and a dump if there is one.',
    deeper: 'kdump-mem log',
  },
  'counter-mismatch': {
    words: (of: Amount & Of<'category', string> & Of<'foundBytes' | 'countedBytes'>) =>
      `Counter contradicts memory: the kernel counts ${size(of.countedBytes)} of ${anyCategoryWords(String(of.category))}, but page flags show ${size(of.foundBytes)}.`,
    means:
      'A counter of the kernel differs from the page frames that it counts, by at least 256 MiB and more than both changed during the scan. From 5 % of memory on it is a warning. Tools that read the counter are wrong.',
    known:
      '/proc/kpageflags beside /proc/meminfo and /proc/vmstat, which are read before and after the scan. Only counters of exactly the same pages are compared. Anonymous memory and page cache may exceed their counter.',
    next: 'Repeat it on an idle machine. If it persists, a driver or a fault of this kernel changes the counter without the pages: search its fixes.',
    deeper: 'kdump-mem memory -v',
  },
} satisfies Declarations;

/** A shorter time says nothing about a minute. */
const MINUTE = 60;

const rate = ({ grownBytes, seconds }: Growth): string =>
  Number(seconds) < MINUTE ? '' : ` (${size((MINUTE * Number(grownBytes)) / Number(seconds))} a minute)`;

function hypervisorWords({ stealShare, recentShare, idleLockups, balloonBytes }: Hypervisor): Words {
  const shares = [
    ...(stealShare == null ? [] : [`${percent(stealShare)} since boot`]),
    ...(recentShare == null ? [] : [`${percent(recentShare)} during this check`]),
  ].join(', ');
  const lockups = idleLockups === 1 ? '1 soft lockup of an idle CPU' : `${text(idleLockups)} soft lockups of idle CPUs`;
  return [
    `The hypervisor may be overcommitted: ${[
      ...(shares === '' ? [] : [`it took away part of the CPU time that was needed (${shares})`]),
      ...(idleLockups ? [`the log has ${lockups}`] : []),
    ].join(', and ')}.`,
    ...(idleLockups ? ['A CPU that is halted cannot be stuck: the host did not run it in time.'] : []),
    ...(balloonBytes == null ? [] : [`The balloon driver holds ${size(balloonBytes)}.`]),
    'Confirm on the host: its CPU load, and ready or steal time of this guest.',
  ];
}

type Slab = Of<'bytes' | 'share' | 'mostBytes'> & Of<'caches', string> & Partial<Of<'counter', string>>;

/** What a share is of: the memory of the machine, or of the cgroup whose memory.stat has the counter. */
const wholeWords = ({ counter }: Slab): string =>
  counter == null ? 'memory' : `the cgroup’s memory, ${text(counter)} of memory.stat`;

function cachesWords(of: Slab): string {
  if (of.caches == null) return 'The largest caches are unknown (on that machine, as root: slabtop -o -s c).';
  const [first, ...others] = text(of.caches).split(', ');
  return `Largest caches: ${[`${first} (${size(of.mostBytes)})`, ...others].join(', ')}.`;
}

/** What the first of the largest caches has, by its name. */
function causeWords({ caches }: Slab): string[] {
  const [name = ''] = String(caches ?? '').split(', ');
  const cache = SLAB_CACHES[slabCacheKey(name) ?? ''];
  return cache
    ? [
        `${text(name)}: ${cache.objects}. Usual cause when large: ${cache.cause} (${cache.command}); if it only grows, a leak in the kernel.`,
      ]
    : [];
}
