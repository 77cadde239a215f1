import type { CategoryName } from '../../account/memory/categories.js';
import type { Explanation, Explanations } from './explanation.js';

/** @param deeper unless told, the whole table with the kernel's own counters */
const category = (
  means: string,
  known: string,
  next: string,
  deeper = 'kdump-mem memory -v',
): Explanation => ({ means, known, next, deeper });

const NOTHING = 'Nothing: it is what it is.';
const PROCESSES = 'kdump-mem procs';
const FILES = 'kdump-mem memory --files';
const CACHES = 'kdump-mem memory --caches';
const VMALLOC = 'kdump-mem memory --vmalloc';
const ZONES = 'kdump-mem memory --nodes';

/** Categories of `kdump-mem memory`; docs/memory.md has what each is held against. */
export const CATEGORIES_EXPLAINED: Explanations<CategoryName> = {
  'free-cpu-lists': category(
    'Free pages that CPUs keep ready; no counter has them.',
    'Lists of per_cpu_pages of each zone.',
    NOTHING,
    ZONES,
  ),
  percpu: category(
    'Variables of which each CPU has its own.',
    'Chunks of mm/percpu.c by page tables.',
    'Much of it: many CPUs, or many cgroups and network namespaces.',
  ),
  image: category(
    'Code and data of the kernel itself.',
    '_text to _end by page tables, as far as it is reserved.',
    NOTHING,
  ),
  memmap: category(
    'The struct page of every frame: 1.6 % of memory with pages of 4 KiB.',
    'The array of struct page by page tables.',
    NOTHING,
  ),
  'kernel-stacks': category(
    'Stacks of threads in the kernel, 16 KiB each (x86_64).',
    'task_struct.stack of all tasks.',
    'Much of it: see who has so many threads.',
    'kdump-mem stacks',
  ),
  modules: category('Code and data of modules.', 'Areas of vmalloc by caller.', NOTHING, VMALLOC),
  bpf: category('Programs of BPF, translated.', 'Areas of vmalloc by caller.', NOTHING, VMALLOC),
  vmalloc: category(
    'What parts of the kernel asked vmalloc for.',
    'vm_struct of mm/vmalloc.c: pages and caller.',
    'See who asked.',
    VMALLOC,
  ),
  'page-tables': category(
    'Tables that map addresses to pages, of processes and of the kernel.',
    'The type of the struct page; the kernel’s own by the tree.',
    'Much of it: many processes map much shared memory. Huge pages make it small.',
    PROCESSES,
  ),
  'network-sockets': category(
    'Data in queues of sockets: it came and nobody read it, or it is to be sent.',
    'The census of sockets, page by page.',
    'See who has the sockets open and does not read.',
    'kdump-mem sockets',
  ),
  'network-other': category(
    'What the network holds in no socket’s queue: rings of drivers, pools, queueing disciplines.',
    'The rows beside the sockets (kdump-mem sockets -v).',
    'See which row it is.',
    'kdump-mem sockets -v',
  ),
  secret: category(
    'Memory of memfd_secret, which the kernel itself cannot see.',
    'Inodes of secretmem.',
    'See which process has it.',
    PROCESSES,
  ),
  pipes: category(
    'Data in pipes that nobody has read.',
    'pipe_inode_info of open pipes.',
    'See who has the pipe open and does not read.',
  ),
  rings: category(
    'Buffers of tracing, perf, io_uring, BPF and virtio.',
    'The owners’ own structures.',
    'See which owner is the largest; buffers of ftrace shrink with buffer_size_kb.',
  ),
  'dma-buf': category(
    'Buffers that devices share, of the system heap.',
    'db_list and the heap’s own buffers (drivers/dma-buf).',
    'See who has them open (/proc/PID/fdinfo).',
  ),
  gpu: category(
    'What the kernel counts of graphics drivers. No page says that it is theirs, so they are among what nothing explains.',
    'NR_GPU_ACTIVE and NR_GPU_RECLAIM, where the kernel has them.',
    'Ask the driver (debugfs, fdinfo).',
  ),
  tables: category(
    'Tables that the kernel keeps for good: hash tables, records of ftrace, requests of block devices.',
    'Symbols of the tables and their sizes; requests by the tags of all disks.',
    NOTHING,
  ),
  'free-buddy': category(
    'Free blocks of the page allocator.',
    'The type of the struct page, and the free lists’ counts.',
    NOTHING,
    ZONES,
  ),
  'free-unaccepted': category(
    'Memory of a confidential guest that it has not accepted yet: free.',
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
    'Memory of processes that is of no file: heap, stacks.',
    'The struct page’s mapping says so; whose it is, page tables.',
    'See which process has it.',
    PROCESSES,
  ),
  'page-cache': category(
    'Contents of files, kept to be read again: it goes when memory is needed, unless it is dirty or locked.',
    'The struct page’s mapping.',
    'See which files.',
    FILES,
  ),
  shared: category(
    'Shared memory and files of tmpfs: it does not go before it is swapped out or removed.',
    'Mappings of shmem.',
    'See which files; /dev/shm and /run are the usual ones.',
    FILES,
  ),
  'swap-cache': category(
    'Pages that are in swap and in memory.',
    'The flag of the struct page.',
    NOTHING,
  ),
  hugetlb: category(
    'Huge pages that were set aside, in use or not.',
    'The type of the struct page.',
    'Free ones are of use to nobody else: lower nr_hugepages.',
  ),
  'slab-reclaimable': category(
    'Small objects that can go: inodes, dentries.',
    'Slabs of caches with SLAB_RECLAIM_ACCOUNT.',
    'See which caches.',
    CACHES,
  ),
  'slab-unreclaimable': category(
    'Small objects of the kernel that stay until who has them frees them.',
    'Slabs of all other caches.',
    'See which caches; one that grows without end is a leak.',
    CACHES,
  ),
  'large-kmalloc': category(
    'Blocks of kmalloc that are too large for a slab.',
    'The type of the struct page, where the kernel has one.',
    NOTHING,
  ),
  compressed: category(
    'Pages that zram or zswap has compressed.',
    'The type of the struct page (zsmalloc).',
    'zramctl and /sys/kernel/debug/zswap tell how well.',
  ),
  movable: category(
    'Pages that a driver lets the kernel move (balloons, z3fold): whose is not told.',
    'The struct page’s mapping.',
    NOTHING,
  ),
  balloon: category(
    'Memory that the hypervisor has taken back, or that was taken offline.',
    'PG_offline.',
    'Ask the host to give it back.',
  ),
  unattributed: category(
    'Pages that are given out, and nothing tells to whom: mostly of drivers that took them from the page allocator.',
    'What is left: no walk, no flag.',
    'See their orders; boot with page_owner=on.',
  ),
  'crash-kernel': category(
    'Set aside for the kernel that takes dumps.',
    'The resource "Crash kernel".',
    'crashkernel= sets it.',
  ),
  'set-aside': category(
    'Set aside at boot by firmware, the kernel or drivers, and never given back.',
    'PG_reserved, and in no category before.',
    NOTHING,
  ),
  unread: category(
    'Frames whose struct page is not in the dump, or contradicts itself.',
    'Reads that failed.',
    'Take a dump that leaves less out.',
    'kdump-mem info',
  ),
};
