import type { LeakNoteCode } from '../../leaks/notes.js';
import type { MethodRefusal } from '../../leaks/readings/methods.js';
import type { Place, Unplaced } from '../../leaks/survivors/lookup.js';
import type { LeakReason } from '../../leaks/verdict.js';
import type { Explanation, Explanations } from './schema.js';

const SMALLER = 'Use a smaller sample: --sample 1/64.';

/** Doubts and notes of an answer of `kdump-mem leaks`. */
export const LEAK_NOTES_EXPLAINED: Explanations<LeakNoteCode> = {
  overrun: {
    means:
      'The trace buffers overflowed and the kernel dropped events. A block whose free was dropped seems held; a block whose allocation was dropped is missing.',
    known: 'The flag of missed events in each page of the buffer, and per_cpu/cpuN/stats.',
    next: SMALLER,
  },
  'overrun-unknown': {
    means: 'The recording does not show whether the kernel dropped events: allocations or frees may be missing.',
    known: 'perf script output has no count of dropped events, and some kernels do not count them.',
    next: 'Record with kdump-mem leaks, which counts dropped events, or give the text of tracefs.',
  },
  'missed-frees': {
    means: 'The kernel allocated frames that still seemed held: their free was not recorded. They count as freed.',
    known: 'The order of events.',
    next: 'A few are harmless. Many: see overrun.',
  },
  'found-free': {
    means: 'Some blocks were already free when checked: freed after the recording, or their free was not recorded.',
    known: '/proc/kcore or /proc/kpageflags, after the last window.',
    next: 'None: no figure includes them.',
  },
  'unknown-frees': {
    means: 'Memory was freed that has no recorded allocation: mostly older than the recording.',
    known: 'The order of events.',
    next: 'None: older allocations are not followed.',
  },
  'without-stack': {
    means: 'Some allocations had no stack trace. They form one site, (no stack).',
    known: 'Events without a stack trace.',
    next: SMALLER,
  },
  dropped: {
    means: 'Some blocks were not followed: the tracking tables of kdump-mem are full.',
    known: 'The size of the tables, and the number of blocks beyond it.',
    next: SMALLER,
  },
  unseen: {
    means:
      'The kernel allocated more pages than events show: alloc_pages_bulk (vmalloc, page pools) fires no event on some kernels. A leak there is not found.',
    known: 'pgalloc_* in /proc/vmstat, compared with the events.',
    next: 'Also run --type vmalloc. If the kernel has page_owner or allocation profiling, use it with --method.',
  },
  'unseen-frees': {
    means:
      'The kernel freed more pages than events show. bpftrace misses events that interrupt its own program: a block freed then seems held.',
    known: 'pgfree in /proc/vmstat, compared with the events.',
    next: 'A few are harmless, since free blocks are removed when checked. For many, remove --engine bpftrace.',
  },
  'unseen-unknown': {
    means:
      'Bulk allocations (vmalloc, page pools) fire no trace event on some kernels. Without /proc/vmstat their number is unknown, and a leak there is not found.',
    known: '/proc/vmstat could not be read, or the recording is a file.',
    next: 'Record on the machine itself, where /proc/vmstat is readable.',
  },
  'unseen-objects': {
    means:
      'kmem_cache_alloc_bulk (driver skbs, io_uring, maple trees) fires no event: a leak there is not found. Frees by kfree_rcu and kmem_cache_free_bulk fire none either: those objects seem held until they are checked or reused.',
    known: 'mm/slub.c of kernels since 5.10; the kernel does not count them.',
    next: 'If the kernel has allocation profiling or slub_debug=U, use it with --method.',
  },
  'not-looked-up': {
    means:
      'It is unknown where the blocks are now: the recording is a file, or no source could be opened. No leak can be confirmed.',
    known: 'The sources, and why each is not available.',
    next: 'Record on the machine itself, as root: kdump-mem leaks.',
  },
  'no-blocks': {
    means:
      'This source reports totals, not individual blocks. It is unknown where they are now, so no leak can be confirmed.',
    known: 'The method: page_owner_stacks, allocinfo, slab traces.',
    next: 'Use a method that lists blocks: --method tracefs, or page-owner.',
    deeper: 'kdump-mem leaks --methods',
  },
  'no-addresses': {
    means:
      '/proc/vmallocinfo has hashed addresses or zeros, and /proc/kcore is not available. Totals by caller are reported. The areas cannot be checked, so no stack gets the verdict leaking.',
    known: 'No line has a kernel address.',
    next: 'Let root see addresses during the recording: sysctl kernel.kptr_restrict=1.',
  },
  'flags-only': {
    means:
      '/proc/kcore is not available, and page flags (/proc/kpageflags) do not distinguish pages of sockets, of drivers, and unreferenced pages.',
    known: 'The reason why /proc/kcore could not be opened.',
    next: 'Check with skcheck --stale whether a process stopped reading its socket.',
    deeper: 'skcheck --stale',
  },
  'left-out': {
    means: 'Not every held block was checked. Shares are of the checked blocks, an even selection of each stack.',
    known: 'The maximum number of blocks to check.',
    next: 'None.',
  },
  lookup: {
    means: 'Some kernel memory could not be read, or changed, while the blocks were checked.',
    known: 'The message.',
    next: 'Ask again.',
  },
  'maybe-free': {
    means:
      'Some objects may be free: the freelist of their slab could not be read, or changed meanwhile. They count as held, so a stack may hold less than reported.',
    known: 'The SLUB freelists (mm/slub.c), through /proc/kcore.',
    next: 'Run it again: a busy cache changes while it is read.',
  },
  'limited-cache': {
    means:
      'Objects of a leaking stack are in a cache that fills up to a limit. Connection tracking entries (nf_conntrack) stay until their timeout, five days for established connections. A table that fills looks like a leak.',
    known:
      'The cache’s name, and net.netfilter.nf_conntrack_count and nf_conntrack_max of the current network namespace.',
    next: 'Check the count again later: sysctl net.netfilter.nf_conntrack_count. If it settles below the limit, it is no leak.',
  },
  'ended-early': {
    means: 'The recording was interrupted (Ctrl-C). The results until then are reported.',
    known: 'The signal.',
    next: 'None.',
  },
  'too-few-windows': {
    means: 'Fewer than three windows: growth is unknown.',
    known: 'Readings of the recording.',
    next: 'Record longer, or use more windows: --windows 15.',
  },
  filtered: {
    means:
      'Only allocations by the selected threads were followed (--pid, --cgroup). Allocations in an interrupt count for the interrupted thread.',
    known: 'The thread of each event.',
    next: 'None.',
  },
  'exited-threads': {
    means:
      'Some threads exited before it was known whether they match --pid or --cgroup. Their allocations are missing.',
    known: '/proc/TID no longer exists when the first event of the thread is read.',
    next: 'Run it without --pid and --cgroup.',
  },
  late: {
    means: 'Events arrived after later events of other CPUs. A free among them may be reported as missed.',
    known: 'The timestamp of each event.',
    next: SMALLER,
  },
  'settings-changed': {
    means:
      'Another program changed the tracefs instances of this recording: it disabled events or tracing, or set a filter. The recording stopped within a second. Earlier results are reported.',
    known: 'The settings, read each second and at the end.',
    next: 'Find the program that resets tracing (trace-cmd reset -a, a script), then run it again.',
  },
  'events-unmatched': {
    means:
      'Another program read or cleared the trace buffers (trace_pipe, trace-cmd). A block whose free is missing seems held; a block whose allocation is missing is not listed.',
    known: 'per_cpu/cpuN/stats, compared with the events that were read.',
    next: 'Find the program that reads the trace buffers, then run it again.',
  },
  orphans: {
    means: 'An earlier run was killed (SIGKILL) and left its tracefs instances. They were removed.',
    known: 'Instance names contain the pid and start time of their process, which has exited.',
    next: 'None.',
  },
  'left-behind': {
    means: 'A tracefs instance of this run could not be removed: another program has it open.',
    known: 'rmdir(2): EBUSY.',
    next: 'Stop the program that reads it (fuser), then rmdir /sys/kernel/tracing/instances/NAME, or run leaks again, which removes it.',
  },
  'over-budget': {
    means:
      'Following events cost more CPU than --budget allows: their rate rose. The sample was reduced where possible.',
    known: 'The CPU time of kdump-mem, plus the kernel’s cost per event on this machine.',
    next: SMALLER,
  },
  'source-truncated': {
    means: 'The source is truncated, or marks itself as incomplete.',
    known: 'Its last line, or its own statement.',
    next: 'Run it again, or copy the file again.',
  },
  'source-malformed': {
    means:
      'Malformed or inconsistent lines were skipped: more pages than the area holds, or a block that is not aligned to its size. Their allocations are missing.',
    known: 'The formats of kernels 5.10 to 7.2.',
    next: 'Check whether another program wrote to the file.',
  },
  'source-unreadable': {
    means: 'A part of a source could not be read, or is not tracked: the contents of some slab caches are unknown.',
    known: 'The error of read(2), and the caches of /sys/kernel/slab that have a directory in debugfs.',
    next: 'Run it as root; boot with slub_debug=U, which tracks all caches.',
  },
  'source-sites': {
    means: 'There are more allocation sites than the table holds. The others form one site.',
    known: 'The size of the table.',
    next: 'None: the largest sites usually appear first.',
  },
  'source-inaccurate': {
    means: 'The kernel marks a site as inaccurate: it did not count every allocation.',
    known: 'accurate:no in /proc/allocinfo.',
    next: 'Use another method: kdump-mem leaks --methods.',
    deeper: 'kdump-mem leaks --methods',
  },
  'source-order': {
    means:
      'An event is more than a second older than the one before it, or a file begins after the others end: several recordings, or a corrupt timestamp. Memory freed in between seems held.',
    known: 'The event timestamps, in the order of each file.',
    next: 'Give the files of one recording; for per-CPU buffers, one file each.',
  },
  'source-largest': {
    means:
      'memleak prints only its largest stacks. One that is missing at a time counts with the smallest that was printed, so that it grows at least as fast as stated; others never appear.',
    known: 'The number in the first line of each report.',
    next: 'Print more stacks: memleak --top 1000 60 10.',
  },
  'unknown-order': {
    means:
      'The copies do not show which is older. In the wrong order, a leak seems to shrink, and freed memory seems to leak.',
    known:
      'page_owner has allocation times (since 5.11), SLUB traces have object ages. /proc/allocinfo, /proc/vmallocinfo and show_stacks have no times.',
    next: 'Check when the copies were made, and give the oldest first. kdump-mem leaks --method allocinfo reads them in order itself.',
  },
};

const METHODS = 'kdump-mem leaks --methods';

/** Why a method of `kdump-mem leaks` is not available. */
export const METHOD_REFUSALS: Explanations<MethodRefusal> = {
  absent: {
    means: 'This kernel was built without it, or is too old for it.',
    known: 'Its file does not exist, although the file system is mounted.',
    next: 'Use another method.',
    deeper: METHODS,
  },
  off: {
    means: 'The kernel supports it, but it was not enabled at boot.',
    known: 'Its file is empty or reports it.',
    next: 'Boot with the option in the answer (page_owner=on, slub_debug=U), or use another method.',
    deeper: METHODS,
  },
  'not-mounted': {
    means: 'Its file system is not mounted.',
    known: 'Its directory is empty.',
    next: 'Mount it: mount -t debugfs debugfs /sys/kernel/debug, or mount -t tracefs tracefs /sys/kernel/tracing.',
    deeper: METHODS,
  },
  denied: {
    means: 'Permission denied for this user.',
    known: 'Opening it failed with EACCES or EPERM.',
    next: 'Run it as root. Under kernel lockdown, root is refused too.',
    deeper: 'kdump-mem doctor',
  },
  threshold: {
    means: 'Its count threshold hides small stacks, including those that grow.',
    known: 'The count threshold of page_owner_stacks.',
    next: 'Set the threshold to 0, or use another method.',
    deeper: METHODS,
  },
  'not-installed': {
    means: 'It needs a program that is not installed.',
    known: 'No directory of PATH has the program.',
    next: 'Install bpftrace, or use another method.',
    deeper: METHODS,
  },
  'not-readable': {
    means: 'Its file exists, but reading it failed.',
    known: 'The error of the kernel, printed beside it.',
    next: 'Use another method.',
    deeper: METHODS,
  },
};

const FRAMES = 'The struct page of each frame (/proc/kcore), or its flags (/proc/kpageflags).';
const SOCKETS = 'kdump-mem sockets --by process --live';

const place = (means: string, next: string, deeper?: string, known = FRAMES): Explanation => ({
  means,
  known,
  next,
  ...(deeper === undefined ? {} : { deeper }),
});

/** Current location of blocks that were not freed. */
export const LEAK_PLACES: Explanations<Place> = {
  free: place('Already free: freed after the recording, or its free was not recorded.', 'None.'),
  reused: place('Freed, and the frame or slot now belongs to another block.', 'None.'),
  'page-cache': place(
    'File contents. The kernel frees it under memory pressure.',
    'None, unless memory still runs out.',
    'kdump-mem memory --live --files',
  ),
  shared: place(
    'tmpfs or shared memory, which stays until the file is removed.',
    'Find the file.',
    'kdump-mem memory --live --files',
  ),
  anonymous: place(
    'Memory of a process: heap or stack.',
    'Find the process that grows.',
    'kdump-mem procs --live --watch',
  ),
  'page-table': place(
    'A page table of a process or of the kernel.',
    'Find the process with large mappings.',
    'kdump-mem procs --live',
  ),
  'kernel-stack': place(
    'The kernel stack of a thread.',
    'Find the process with many threads.',
    'kdump-mem stacks --live',
  ),
  pipe: place('Unread data in a pipe.', 'Find the processes that have the pipe open.'),
  slab: place(
    'An object in a slab cache, named in the answer.',
    'Check whether the cache grows.',
    'kdump-mem memory --live --caches',
  ),
  vmalloc: place('Part of a vmalloc area.', 'Find the caller of the area.', 'kdump-mem memory --live --vmalloc'),
  socket: place(
    'Queued in a socket. The answer names the socket and its owners.',
    'Make the process read, or close the socket.',
    SOCKETS,
    'The queues of all sockets, skb by skb, through /proc/kcore.',
  ),
  network: place(
    'Held by the network stack, not by a socket: queued packets or driver rings.',
    'Check the rows outside the sockets.',
    'kdump-mem sockets -v --live',
  ),
  'page-pool': place(
    'Held by a driver’s page pool, for received or future packets.',
    'If the pool keeps growing, its packets are not freed. Find the sockets that hold them.',
    SOCKETS,
  ),
  ring: place('A ring buffer of tracing, perf, io_uring, BPF or virtio.', 'Find the program that created the ring.'),
  kernel: place(
    'In use by the kernel; `category` in the JSON says for what.',
    'Run kdump-mem explain with that category.',
  ),
  unreferenced: place(
    'Unreferenced: nothing is known to reference it.',
    'Check the functions of the stack and their module.',
    'kdump-mem memory --live',
  ),
  unknown: place('The location of the block is unknown; it does not count as free.', 'See `why` in the JSON.'),
};

/** Why the location of a block is unknown. */
export const LEAK_UNPLACED: Explanations<Unplaced> = {
  'from-file': {
    means: 'The recording is from another time or machine: its blocks cannot be checked here.',
    known: 'The answer was made with --from.',
    next: 'Run kdump-mem leaks on the machine itself.',
  },
  'no-source': {
    means: 'Neither /proc/kcore nor /proc/kpageflags is readable: no block was checked.',
    known: 'The error of each, in `unavailable` of the answer.',
    next: 'Run it as root on the host, not in a container without these files.',
    deeper: 'kdump-mem doctor',
  },
  'flags-only': {
    means: 'Only page flags are readable, and they do not show the use of this frame.',
    known: '/proc/kpageflags.',
    next: 'Run it where /proc/kcore is readable.',
    deeper: 'kdump-mem doctor',
  },
  unreadable: {
    means: 'Its struct page is unreadable or inconsistent.',
    known: 'Kernel memory, through /proc/kcore; it changes while it is read.',
    next: 'A few are harmless. For many, run it again when the machine is less busy.',
  },
  'no-such-frame': {
    means: 'This machine has no such page frame.',
    known: 'The page frame numbers of this machine.',
    next: 'Check whether the recording is from another machine, or whether memory was removed.',
  },
};

const WATCH_LONGER = 'Record longer: --interval 1h.';

/** The reasons behind the verdicts of `kdump-mem leaks`. */
export const LEAK_REASONS_EXPLAINED: Explanations<LeakReason> = {
  unreferenced: {
    means:
      'Leaking: memory of this stack grows steadily, blocks of each third of the recording are still held, and nothing is known to reference them.',
    known:
      'Readings over three windows or more, and the category of every page frame (/proc/kcore): these blocks are unattributed, or in vmalloc areas or slab caches without a known owner.',
    next: 'Check the functions of the stack and their module. A driver cache that grows permanently looks the same.',
    deeper: 'kdump-mem memory --live',
  },
  queued: {
    means:
      'Leaking: memory of this stack grows steadily, and most of it is queued and unread in sockets, rings or page pools.',
    known: 'The queues of all sockets, through /proc/kcore.',
    next: 'Find the process that is not reading (skcheck --stale), then its sockets: kdump-mem skb --pid N --live.',
    deeper: 'kdump-mem sockets --by process --live',
  },
  reclaimable: {
    means: 'Growing, but reclaimable: page cache or reclaimable slab, which the kernel frees under memory pressure.',
    known: 'Page flags, or the flags of the slab cache.',
    next: 'None, unless memory still runs out.',
    deeper: 'kdump-mem memory --live --files',
  },
  'process-owned': {
    means: 'Growing, but owned by processes: their memory, page tables, stacks or files. It is freed when they exit.',
    known: 'The category or slab cache of the blocks.',
    next: 'Find the process that grows.',
    deeper: 'kdump-mem procs --live --watch',
  },
  'kernel-owned': {
    means: 'Growing, and in use by the kernel for a known purpose.',
    known: 'The category of the blocks: `category` in the answer.',
    next: 'Run kdump-mem explain with that category.',
    deeper: 'kdump-mem memory --live',
  },
  'location-unknown': {
    means: 'Growing, but the location of the blocks is unknown: they were not checked, or page flags do not show it.',
    known: 'The sources of the answer.',
    next: 'Run it as root where /proc/kcore is readable. Otherwise check sockets with skcheck --stale.',
    deeper: 'skcheck --stale',
  },
  unsteady: {
    means: 'Growing, but not steadily, or the early blocks are mostly freed: a leak, or long-lived memory.',
    known: 'The three thirds of the recording, compared.',
    next: WATCH_LONGER,
  },
  'turns-over': {
    means: 'Transient: the held blocks are from the last third of the recording; earlier blocks were freed.',
    known: 'The allocation time of each block that is still held.',
    next: 'None.',
  },
  slowing: {
    means: 'Transient: the growth slowed or stopped, as in a cache that fills.',
    known: 'The memory held in each third of the recording.',
    next: 'None.',
  },
  freed: {
    means: 'Transient: every block was already free or reused when checked.',
    known: 'The current contents of those page frames.',
    next: 'None.',
  },
  'too-few-windows': {
    means: 'Unknown: growth needs at least three windows.',
    known: 'Readings of the recording.',
    next: 'Use more windows (--windows 15); with files, give more copies.',
  },
  'sample-too-small': {
    means: 'Unknown: the sample contains too few of its blocks.',
    known: 'The blocks in the sample: at least eight are needed.',
    next: 'Use a larger sample (--sample 1/8, --budget 5%), or record longer.',
  },
  inconclusive: {
    means:
      'Unknown: the variation is larger than the growth, or more than half of it appeared in the last third of the recording. Both a new leak and short-lived memory look like this.',
    known: 'The interval of its growth, and the memory held at each reading.',
    next: WATCH_LONGER,
  },
  'frees-keep-pace': {
    means:
      'Unknown: the site grows and nothing references its blocks, but over the last half of the time at least half as much of the same order (or slab cache) was freed that had been allocated before the recording. Blocks that merely outlive the recording look like this.',
    known:
      'Frees that match no recorded allocation, by order; the objects in use that /proc/slabinfo counts, by cache.',
    next: 'Record for longer than the blocks live: --interval 1h. page_owner (page_owner=on) knows what was allocated before.',
  },
  'maybe-free': {
    means:
      'Unknown: the site would be called leaking, but a quarter or more of its objects may be free: the freelists of their slabs could not be read.',
    known: 'The freelist of each slab, read again when it changed meanwhile.',
    next: 'Run it again; --type page reports the slabs’ pages.',
  },
};
