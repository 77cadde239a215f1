import type { LeakNoteCode } from '../../leaks/notes.js';
import type { Explanations } from './explanation.js';

const SMALLER = 'Use a smaller sample: --sample 1/64.';

/** What makes an answer of `kdump-mem leaks` doubtful, or was met besides. */
export const LEAK_NOTES_EXPLAINED: Explanations<LeakNoteCode> = {
  overrun: {
    means:
      'The trace buffers overflowed and the kernel dropped events. A block whose free was dropped seems held; a block whose allocation was dropped is missing.',
    known: 'The flag of missed events in each page of the buffer, and per_cpu/cpuN/stats.',
    next: SMALLER,
  },
  'overrun-unknown': {
    means:
      'The recording does not show whether the kernel dropped events: allocations or frees may be missing.',
    known: 'perf script output has no count of dropped events, and some kernels do not count them.',
    next: 'Record with kdump-mem leaks, which counts dropped events, or give the text of tracefs.',
  },
  'missed-frees': {
    means:
      'The kernel allocated frames that still seemed held: their free was not recorded. They count as freed.',
    known: 'The order of events.',
    next: 'A few are harmless. Many: see overrun.',
  },
  'found-free': {
    means:
      'Some blocks were already free when checked: freed after the recording, or their free was not recorded.',
    known: '/proc/kcore or /proc/kpageflags, after the last window.',
    next: 'Nothing: no figure includes them.',
  },
  'unknown-frees': {
    means: 'Memory was freed that has no recorded allocation: mostly older than the recording.',
    known: 'The order of events.',
    next: 'Nothing: older allocations are not followed.',
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
      'The number of pages allocated without an event is unknown: /proc/vmstat was not available.',
    known: 'No source.',
    next: 'Check whether /proc/vmstat is readable.',
  },
  'unseen-objects': {
    means:
      'kmem_cache_alloc_bulk (driver skbs, io_uring, maple trees) fires no event: a leak there is not found. Frees by kfree_rcu and kmem_cache_free_bulk fire none either: those objects seem held until they are checked or reused.',
    known: 'mm/slub.c of kernels since 5.10; the kernel does not count them.',
    next: 'If the kernel has allocation profiling or slub_debug=U, use it with --method.',
  },
  'not-looked-up': {
    means:
      'The blocks’ current use was not checked: the recording is a file, or no source could be opened.',
    known: 'The sources, and why each is not available.',
    next: 'Run it live, as root. Otherwise no stack gets the verdict leaking.',
  },
  'no-blocks': {
    means:
      'This method reports totals, not individual blocks. Their current use is unknown, so no stack gets the verdict leaking.',
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
    means:
      'Not every held block was checked. Shares are of the checked blocks, an even selection of each stack.',
    known: 'The maximum number of blocks to check.',
    next: 'Nothing.',
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
    next: 'Nothing.',
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
    next: 'Nothing.',
  },
  'exited-threads': {
    means:
      'Some threads exited before it was known whether they match --pid or --cgroup. Their allocations are missing.',
    known: '/proc/TID no longer exists when the first event of the thread is read.',
    next: 'Run it without --pid and --cgroup.',
  },
  late: {
    means:
      'Events arrived after later events of other CPUs. A free among them may be reported as missed.',
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
    next: 'Nothing.',
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
    means:
      'A part of a source could not be read, or is not tracked: the contents of some slab caches are unknown.',
    known:
      'The error of read(2), and the caches of /sys/kernel/slab that have a directory in debugfs.',
    next: 'Run it as root; boot with slub_debug=U, which tracks all caches.',
  },
  'source-sites': {
    means: 'There are more allocation sites than the table holds. The others form one site.',
    known: 'The size of the table.',
    next: 'Nothing: the largest sites usually appear first.',
  },
  'source-order': {
    means:
      'An event is more than a second older than the one before it, or a file begins after the others end: several recordings, or a corrupt timestamp. Memory freed in between seems held.',
    known: 'The event timestamps, in the order of each file.',
    next: 'Give the files of one recording; for per-CPU buffers, one file each.',
  },
  'unknown-order': {
    means:
      'The copies do not show which is older. In the wrong order, a leak seems to shrink, and freed memory seems to leak.',
    known:
      'page_owner has allocation times (since 5.11), SLUB traces have object ages. /proc/allocinfo, /proc/vmallocinfo and show_stacks have no times.',
    next: 'Check when the copies were made, and give the oldest first. kdump-mem leaks --method allocinfo reads them in order itself.',
  },
  'source-inaccurate': {
    means: 'The kernel marks a site as inaccurate: it did not count every allocation.',
    known: 'accurate:no in /proc/allocinfo.',
    next: 'Use another method: kdump-mem leaks --methods.',
    deeper: 'kdump-mem leaks --methods',
  },
};
