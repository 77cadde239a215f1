import type { FrameNote } from '../../account/memory/answer.js';
import type { CategoryName } from '../../account/memory/categories.js';
import type { UnnamedCharges } from '../../account/memory/cgroups.js';
import type { UnnamedFiles } from '../../account/memory/files.js';
import type { LeftOutReason } from '../../records/files.js';
import type { NamedKind } from '../../records/named-memory.js';
import type { Explanation, Explanations } from './schema.js';

/** @param deeper default: the memory breakdown with the kernel's own counters */
const category = (means: string, known: string, next: string, deeper = 'kdump-mem memory -v'): Explanation => ({
  means,
  known,
  next,
  deeper,
});

const NOTHING = 'None.';
const PROCESSES = 'kdump-mem procs';
const FILES = 'kdump-mem memory --files';
const CACHES = 'kdump-mem memory --caches';
const VMALLOC = 'kdump-mem memory --vmalloc';
const ZONES = 'kdump-mem memory --nodes';

/** Categories of `kdump-mem memory`; docs/memory.md lists the counters each is checked against. */
export const CATEGORIES_EXPLAINED: Explanations<CategoryName> = {
  'zfs-arc': category(
    'The cache of ZFS (ARC). No counter of the kernel includes its pages, and MemAvailable does not either. ZFS frees it down to its minimum (c_min) when memory is short.',
    'scatter_data_size and scatter_chunk_waste of /proc/spl/kstat/zfs/abdstats; without that file data_size and metadata_size of arcstats, as an upper bound. In a dump these pages are unattributed.',
    'If it is too large, lower zfs_arc_max: /sys/module/zfs/parameters/zfs_arc_max. arc_summary shows its use.',
    'kdump-mem memory --live',
  ),
  'free-cpu-lists': category(
    'Free pages on per-CPU free lists (pcp); no kernel counter includes them.',
    'The per_cpu_pages lists of each zone.',
    NOTHING,
    ZONES,
  ),
  percpu: category(
    'Per-CPU variables.',
    'Chunks of mm/percpu.c, through page tables.',
    'If large: the machine has many CPUs, cgroups or network namespaces.',
  ),
  image: category(
    'Code and data of the kernel image.',
    'Reserved pages from _text to _end, through page tables.',
    NOTHING,
  ),
  memmap: category(
    'One struct page per frame: 1.6 % of memory with 4 KiB pages.',
    'The struct page array, through page tables.',
    NOTHING,
  ),
  'kernel-stacks': category(
    'Kernel stacks of threads, 16 KiB each (x86_64).',
    'task_struct.stack of all tasks.',
    'If large: find the process with the most threads.',
    'kdump-mem stacks',
  ),
  modules: category('Code and data of modules.', 'vmalloc areas by caller.', NOTHING, VMALLOC),
  bpf: category(
    'BPF memory in vmalloc areas, such as JIT-compiled programs.',
    'vmalloc areas by caller.',
    NOTHING,
    VMALLOC,
  ),
  vmalloc: category(
    'Other memory that the kernel allocated with vmalloc.',
    'vm_struct (mm/vmalloc.c): pages and caller.',
    'List the callers.',
    VMALLOC,
  ),
  'page-tables': category(
    'Page tables of processes and of the kernel.',
    'The page type; the kernel’s own by walking its page tables.',
    'If large: many processes map large shared memory. Huge pages reduce it.',
    PROCESSES,
  ),
  'network-sockets': category(
    'Data in socket queues: received and unread, or not yet sent.',
    'A walk of all sockets, page by page.',
    'Find the process that has the sockets open but does not read them.',
    'kdump-mem sockets',
  ),
  'network-other': category(
    'Network memory outside socket queues: driver rings, page pools, qdiscs.',
    'The rows outside socket queues (kdump-mem sockets -v).',
    'Find the largest row.',
    'kdump-mem sockets -v',
  ),
  secret: category(
    'Memory of memfd_secret, which is not in the kernel’s direct map.',
    'secretmem inodes.',
    'Find the process that has it open (/proc/PID/fd).',
    PROCESSES,
  ),
  pipes: category(
    'Unread data in pipes.',
    'pipe_inode_info of open pipes.',
    'Find the process that has the pipe open but does not read it.',
  ),
  rings: category(
    'Ring buffers of ftrace, perf, io_uring, BPF and virtio.',
    'The structures of each owner.',
    'Find the largest owner. For ftrace, reduce buffer_size_kb.',
  ),
  'dma-buf': category(
    'dma-buf buffers of the system heap, shared between devices.',
    'db_list and the heap’s own buffers (drivers/dma-buf).',
    'Find the process that has them open (/proc/PID/fdinfo).',
  ),
  gpu: category(
    'Memory of graphics drivers. The kernel counts it but does not mark the pages; they are counted as unattributed.',
    'NR_GPU_ACTIVE and NR_GPU_RECLAIM, on kernels that count them.',
    'Query the driver (debugfs, /proc/PID/fdinfo).',
  ),
  tables: category(
    'Permanent kernel allocations: hash tables, ftrace records, requests of block devices.',
    'Kernel symbols of the tables and their sizes; block requests by the tags of all disks.',
    NOTHING,
  ),
  'driver-mapped': category(
    'Pages of drivers that a process maps, and that nothing else refers to.',
    'Page tables of processes (vm_insert_page). Each page table entry has a reference to its page.',
    'Find the process and the device that it has open (/proc/PID/fd). The pages are freed when it unmaps them.',
    PROCESSES,
  ),
  'free-buddy': category(
    'Free blocks of the page allocator.',
    'The page type, checked against the free lists.',
    NOTHING,
    ZONES,
  ),
  'free-unaccepted': category(
    'Free memory that a confidential guest has not accepted yet.',
    'zone.unaccepted_pages.',
    NOTHING,
    ZONES,
  ),
  'free-uninitialized': category(
    'Free memory whose struct pages the kernel has not initialized yet (deferred_init).',
    'MemTotal less managed pages of all zones; MemFree exceeds the free pages of all zones by as much.',
    NOTHING,
    ZONES,
  ),
  anonymous: category(
    'Anonymous memory of processes: heap, stacks.',
    'The mapping of the struct page; owners through page tables.',
    'List the processes by memory.',
    PROCESSES,
  ),
  'page-cache': category(
    'Cached file contents. The kernel reclaims it on demand, unless it is dirty or locked.',
    'The mapping of the struct page.',
    'List the files.',
    FILES,
  ),
  shared: category(
    'Shared memory and tmpfs files. It is freed only when swapped out or removed.',
    'shmem mappings.',
    'List the files; most are in /dev/shm or /run.',
    FILES,
  ),
  'swap-cache': category('Pages that are both in swap and in memory.', 'The page flag.', NOTHING),
  hugetlb: category(
    'Huge pages reserved through hugetlb, in use or free.',
    'The page type.',
    'Other processes cannot use free huge pages: lower nr_hugepages.',
  ),
  'slab-reclaimable': category(
    'Reclaimable kernel objects: inodes, dentries.',
    'Slabs of caches with SLAB_RECLAIM_ACCOUNT.',
    'List the caches.',
    CACHES,
  ),
  'slab-unreclaimable': category(
    'Kernel objects that stay until their owner frees them.',
    'Slabs of all other caches.',
    'List the caches; one that grows without limit is a leak. In a dump, kdump-mem refs --cache NAME finds what refers to its objects.',
    CACHES,
  ),
  'large-kmalloc': category(
    'kmalloc allocations that are too large for a slab.',
    'The page type (since 6.15).',
    'In a dump, find what refers to them: kdump-mem refs --category large-kmalloc.',
    'kdump-mem refs --category large-kmalloc',
  ),
  compressed: category(
    'Pages compressed by zram or zswap.',
    'The page type (zsmalloc).',
    'zramctl and /sys/kernel/debug/zswap show the compression ratio.',
  ),
  movable: category(
    'Non-LRU pages that drivers let the kernel move, such as balloons or z3fold; the owner is unknown.',
    'The mapping of the struct page.',
    NOTHING,
  ),
  balloon: category(
    'Memory that a balloon driver returned to the hypervisor, or that is offline.',
    'PG_offline.',
    'Deflate the balloon on the host.',
  ),
  unattributed: category(
    'Pages that are allocated but not attributed to any owner. In a dump, mostly pages of drivers that call the page allocator directly. On a machine without /proc/kcore, and in snapshots, also socket queues, pipes and other memory.',
    'The remainder: all memory less every other category.',
    'On a machine without /proc/kcore, check the sockets first: skcheck. In a dump, list what refers to the pages, and what is in them: kdump-mem memory --unattributed. If a dump has much more than 1 MiB, page_owner=on at the next boot records allocation sites, at a cost for each allocation.',
    'kdump-mem memory --unattributed',
  ),
  'crash-kernel': category(
    'Reserved for the crash kernel that writes dumps.',
    'The resource "Crash kernel".',
    'The boot option crashkernel= sets its size.',
  ),
  'reserved-other': category(
    'Reserved at boot by firmware, the kernel or drivers, and never freed.',
    'PG_reserved, and not in another category.',
    NOTHING,
  ),
  unread: category(
    'Frames whose struct page is missing from the dump or inconsistent.',
    'Failed reads.',
    'Create a dump with less filtering (makedumpfile -d).',
    'kdump-mem info',
  ),
  'missing-counters': category(
    'Memory of unknown use: lines of /proc/meminfo that would show its use are missing from the text, or malformed. The row names the first of them.',
    'The remainder: MemTotal less every counter that the text has.',
    'Read a whole copy of /proc/meminfo.',
  ),
};

const FLAGS = 'Page flags (/proc/kpageflags, include/uapi/linux/kernel-page-flags.h).';

/** Additional properties of frames in a category. */
export const FRAME_NOTES: Explanations<FrameNote['note']> = {
  thp: {
    means: 'The pages are part of transparent huge pages or large folios.',
    known: FLAGS,
    next: 'A process that uses little of each huge page holds more memory than it needs: see its AnonHugePages.',
    deeper: 'kdump-mem procs --live',
  },
  mlocked: {
    means: 'A process locked the pages (mlock): the kernel cannot swap or reclaim them.',
    known: FLAGS,
    next: 'If large: see VmLck in /proc/PID/status.',
  },
  hwpoison: {
    means: 'The hardware reported memory errors in these frames; the kernel no longer uses them.',
    known: FLAGS,
    next: 'Search the log for memory errors, and replace the memory module.',
    deeper: 'kdump-mem log --level err+',
  },
  'zero-page': { means: 'The zero pages, shared by all processes.', known: FLAGS, next: 'None.' },
  dirty: {
    means: 'The pages have changed since they were read, and are not yet written to disk: the kernel cannot free them.',
    known: 'Dirty of /proc/meminfo.',
    next: 'If large: see whether the disk or the file server accepts writes (/proc/pressure/io).',
  },
  writeback: {
    means: 'The kernel is writing the pages to disk or to swap.',
    known: 'Writeback of /proc/meminfo.',
    next: 'If large and constant: see the tasks that wait for it.',
    deeper: 'kdump-mem blocked',
  },
};

type Unnamed = UnnamedCharges['reason'] | UnnamedFiles['reason'];

/** Why the file or cgroup of pages is unknown. */
export const UNNAMED: Explanations<Unnamed> = {
  unread: {
    means: 'The cgroup charge of these pages could not be read.',
    known: 'The struct page, or its target, is not in the dump.',
    next: 'Create a dump that contains it (makedumpfile -d 31 keeps it).',
  },
  unreadable: {
    means: 'The file or cgroup of these pages is unknown: its memory is not available.',
    known: 'The inode, dentry or cgroup that the struct page references.',
    next: 'Use an unfiltered dump, or --live.',
  },
  damaged: {
    means: 'The inode, dentry or cgroup of these pages is inconsistent.',
    known: 'The inode, dentry or cgroup that the struct page references.',
    next: 'With --live, run the command again. For a dump, see the warnings.',
  },
  'not-listed': {
    means: 'The list reached its limit; the memory of further entries is in the total.',
    known: 'A limit of entries, so that kdump-mem itself needs little memory.',
    next: 'None: the total is complete.',
  },
  moved: {
    means: 'Pages changed during the scan: the category and its files differ by this amount.',
    known: 'The sum of all files, compared with the category.',
    next: 'If large, run the command again when the machine is less busy.',
  },
};

const SCAN = 'The walk over /proc/PID/fd and /proc/PID/maps, and the output of fincore.';

/** What the list of open and mapped files lacks. */
export const CACHED_LEFT_OUT: Explanations<LeftOutReason> = {
  processes: {
    means: 'Processes beyond the limit of 50,000 files or 10 s were not searched.',
    known: SCAN,
    next: 'Run the command again when the machine is less busy.',
  },
  descriptors: {
    means: 'Descriptors of processes could not be listed.',
    known: SCAN,
    next: 'Run it as root on the host, not in a container.',
  },
  maps: {
    means: 'Mappings of processes could not be read: permission denied, or their mmap_lock is held.',
    known: SCAN,
    next: 'Run it as root on the host. kdump-mem doctor lists processes that block readers.',
    deeper: 'kdump-mem doctor',
  },
  'file-system': {
    means: 'Files of network, FUSE or unknown file systems were not opened, since that may block.',
    known: 'The type of their mount in /proc/PID/mountinfo.',
    next: 'Run fincore on such a file, if its server responds.',
  },
  gone: {
    means: 'Files were closed meanwhile, or cannot be opened.',
    known: SCAN,
    next: 'A few are normal. For many, run the command again.',
  },
  time: {
    means: 'fincore did not report these files within 20 s.',
    known: SCAN,
    next: 'Run the command again when the machine is less busy.',
  },
};

const named = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem memory --live -v',
});

/** Memory that sources beside /proc/meminfo name (`named`, `notRead`). */
export const NAMED_EXPLAINED: Explanations<NamedKind> = {
  'huge-pages': named(
    'The pool of huge pages of one size: free, reserved by mappings that have not touched them, and surplus; by NUMA node, with the processes that map most.',
    'Files of /sys/kernel/mm/hugepages and /sys/devices/system/node; HugetlbPages of /proc/PID/status, in which a shared page counts for each process.',
    'Free pages that nothing reserves are lost to other uses: lower vm.nr_hugepages.',
  ),
  balloon: named(
    'Memory that this guest returned to its hypervisor.',
    'Balloon of /proc/meminfo, balloon_inflate less balloon_deflate of /proc/vmstat, hv-balloon and vmmemctl of debugfs, xen_memory of sysfs. Some drivers take it out of MemTotal.',
    'Compare the memory that the hypervisor assigns to this guest.',
  ),
  zram: named(
    'A compressed block device in memory, mostly used as swap.',
    'mm_stat of /sys/block/zramN: the data, its compressed size, and the memory that it takes.',
    'A ratio near 1 frees no memory: check what is stored in it.',
  ),
  zswap: named(
    'The compressed cache of swap, and the cgroups whose pages are in it.',
    'Zswap and Zswapped of /proc/meminfo, and memory.zswap.current without that of child cgroups.',
    'Find the processes of that cgroup with most swap.',
  ),
  'zfs-arc': named(
    'The cache of ZFS, in slab objects and in pages that no counter of the kernel includes.',
    'size, c_min and c_max of /proc/spl/kstat/zfs/arcstats; abdstats for its pages.',
    'Lower zfs_arc_max if applications need this memory.',
  ),
  'dying-cgroups': named(
    'Removed cgroups that charged memory still keeps.',
    'cgroup.stat of the root and of the cgroup with most of them; of version 1 /proc/cgroups.',
    'kdump-mem memory --cgroups lists them where /proc/kcore is readable.',
  ),
  gpu: named(
    'Buffers of a GPU in the memory of this machine, by the processes that have the device open.',
    'drm-resident-*, drm-shared-* and drm-memory-* of /proc/PID/fdinfo, once for each drm-client-id and drm-pdev. A shared buffer may be that of another client: hence the bounds. Regions such as vram are memory of the device. With GPUActive (7.1), the kernel counts TTM’s pages; other drivers’ buffers are shared memory.',
    'Check the largest process. A driver without drm-memory lines reports no sizes.',
  ),
  'dma-buf': named(
    'Buffers that devices and processes share, by the driver or heap that made them.',
    'size, exp_name and ino of /proc/PID/fdinfo. If they have 1 % of memory, /sys/kernel/debug/dma_buf/bufinfo too, which lists those that no process has open. Buffers of heaps are in no counter of the kernel; those of udmabuf are shared memory while their memfd is open, and in no counter afterwards; those of other drivers are in the rows of these.',
    'A buffer is freed when the last process and device close it.',
  ),
  'page-pools': named(
    'Pages that drivers allocated from page pools and that did not return: in rings, in skbs, in caches of the pools.',
    'NETDEV_CMD_PAGE_POOL_GET of netlink (6.8), asked by perl or python3: inflight, inflight-mem, detach-time, for each network namespace.',
    'A detached pool waits for its pages: find the sockets that do not read them (kdump-mem skcheck --stale).',
  ),
  'nic-rings': named(
    'Buffers that wait for packets in receive rings: an estimate.',
    'Descriptors of ETHTOOL_MSG_RINGS_GET, queues and MTU of RTM_GETLINK: at least one full queue of frames, at most all queues with buffers in pages of their own.',
    'Compare the bounds with unattributed memory; ethtool -G makes rings smaller.',
  ),
};
