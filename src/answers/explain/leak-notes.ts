import type { LeakNoteCode } from '../../leaks/notes.js';
import type { Explanations } from './explanation.js';

const SMALLER = 'Take a smaller sample: --sample 1/64.';

/** What makes an answer of `kdump-mem leaks` doubtful, or was met besides. */
export const LEAK_NOTES_EXPLAINED: Explanations<LeakNoteCode> = {
  overrun: {
    means:
      'The kernel’s buffers were full before they were read, and events were lost. A block whose free was lost seems to be held; one whose allocation was lost is missing.',
    known: 'The flag of missed events in each page of the buffer, and per_cpu/cpuN/stats.',
    next: SMALLER,
  },
  'overrun-unknown': {
    means:
      'What was recorded does not tell whether the kernel lost events: allocations or frees may be missing.',
    known: 'Text of perf script has none of its own, and a kernel may not count them.',
    next: 'Record here: kdump-mem leaks counts what is lost. Or give the text of tracefs, which tells it.',
  },
  'missed-frees': {
    means:
      'Pages were allocated where something was held still: its free was not seen. They count as freed.',
    known: 'The order of events.',
    next: 'A few are harmless. Many: see overrun.',
  },
  'found-free': {
    means:
      'Some blocks were free when they were looked up: freed since the recording ended, or their free was missed. Of these, and of what was taken again meanwhile, nothing is held.',
    known: '/proc/kcore or /proc/kpageflags, after the last window.',
    next: 'Nothing: they are left out of all figures.',
  },
  'unknown-frees': {
    means: 'Something was freed that was never seen allocated: mostly older than the recording.',
    known: 'The order of events.',
    next: 'Nothing: what was there before is not followed.',
  },
  'without-stack': {
    means: 'Some allocations had no stack. They are one site, (no stack).',
    known: 'Events that no stack follows.',
    next: SMALLER,
  },
  dropped: {
    means: 'Some blocks were no longer followed, since our own memory is bounded.',
    known: 'The bound, and how many were met beyond it.',
    next: SMALLER,
  },
  unseen: {
    means:
      'The kernel allocated more pages than events told: alloc_pages_bulk of some kernels fires none, which vmalloc and drivers’ page pools use. A leak among them is not seen here.',
    known: 'pgalloc_* of /proc/vmstat beside the events.',
    next: 'Ask for --type vmalloc too; where the kernel has page_owner or allocation profiling, --method takes it.',
  },
  'unseen-frees': {
    means:
      'The kernel freed more pages than events told. bpftrace runs nothing for what happens in an interrupt of its own program: a block that was freed then seems to be held.',
    known: 'pgfree of /proc/vmstat beside the events.',
    next: 'A few are harmless: blocks are looked up, and those that are free are left out. Many: leave out --engine bpftrace.',
  },
  'unseen-unknown': {
    means:
      'How many pages were allocated without an event is not known: /proc/vmstat was not to be had.',
    known: 'Nothing tells.',
    next: 'See whether /proc/vmstat can be read.',
  },
  'unseen-objects': {
    means:
      'kmem_cache_alloc_bulk fires no event, which packets (skbs) of drivers, io_uring and maple trees use: a leak among them is not seen here. What kfree_rcu and kmem_cache_free_bulk free fires none either: it seems to be held until it is looked up, or taken again.',
    known: 'mm/slub.c of kernels from 5.10 on; nothing counts them.',
    next: 'Where the kernel has allocation profiling or slub_debug=U, --method takes it.',
  },
  'not-looked-up': {
    means:
      'Where blocks are now was not looked up: the recording is a file, or no source could be opened.',
    known: 'The sources, and why each could not be had.',
    next: 'Run it live, as root. Without that nothing is called leaking.',
  },
  'no-blocks': {
    means:
      'What tells of allocations has sums alone, and no single blocks: where they are cannot be looked up, and nothing is called leaking.',
    known: 'The method: page_owner_stacks, allocinfo, slab traces.',
    next: 'Take one that names blocks: --method tracefs, or page-owner.',
    deeper: 'kdump-mem leaks --methods',
  },
  'no-addresses': {
    means:
      '/proc/vmallocinfo has numbers that stand for addresses, or zeros, and the kernel’s own list of areas could not be read (/proc/kcore). Each function’s total is reported; its areas cannot be looked up, and nothing is called leaking.',
    known: 'No address of its lines is one of the kernel’s.',
    next: 'Let root see them while it is recorded: sysctl kernel.kptr_restrict=1.',
  },
  'flags-only': {
    means:
      '/proc/kcore could not be read, and flags of page frames (/proc/kpageflags) do not tell whether a socket, a driver or nobody has a page.',
    known: 'Why /proc/kcore could not be opened.',
    next: 'Ask skcheck --stale whether a socket’s reader has stopped.',
    deeper: 'skcheck --stale',
  },
  'left-out': {
    means:
      'More blocks were held than were looked up: shares are of those that were, taken evenly from each stack.',
    known: 'The bound on what is looked up.',
    next: 'Nothing.',
  },
  lookup: {
    means:
      'Something of the kernel’s memory could not be read, or changed, while blocks were looked up.',
    known: 'The message.',
    next: 'Ask again.',
  },
  'maybe-free': {
    means:
      'Of some objects it is not known whether they are free: the list of free objects of their slab could not be read, or changed meanwhile. They count as held, so that a stack may hold less than is told.',
    known: 'The allocator’s lists (mm/slub.c) in /proc/kcore.',
    next: 'Ask again; a cache that is busy changes while it is read.',
  },
  'limited-cache': {
    means:
      'Objects of a stack that is called leaking lie in a cache that the kernel keeps full up to a limit: connections that netfilter follows (nf_conntrack) stay until their time is over, five days where they are established. A table that fills looks like a leak.',
    known:
      'The cache’s name, and net.netfilter.nf_conntrack_count and nf_conntrack_max of the network namespace that was asked in.',
    next: 'Look at the count again later: sysctl net.netfilter.nf_conntrack_count. Where it stands still below the limit nothing leaks.',
  },
  'ended-early': {
    means: 'The recording was ended before its time (Ctrl-C). What there was is told.',
    known: 'The signal.',
    next: 'Nothing.',
  },
  'too-few-windows': {
    means: 'There are fewer than three windows: nothing can be said of growth.',
    known: 'Readings of the recording.',
    next: 'Ask for longer, or for more windows: --windows 15.',
  },
  chosen: {
    means:
      'Only what some threads allocated was followed (--pid, --cgroup). What interrupts allocate counts for the thread that they interrupted.',
    known: 'The thread of each event.',
    next: 'Nothing.',
  },
  'ended-threads': {
    means:
      'Some threads ended before it could be told whether they were among the chosen: what they allocated is left out.',
    known: '/proc/TID is gone when its first event is read.',
    next: 'Ask without --pid and --cgroup.',
  },
  late: {
    means:
      'Events were read after later ones of other CPUs had been told. A free among them may have been taken for a missed one.',
    known: 'The time of each event.',
    next: SMALLER,
  },
  'settings-changed': {
    means:
      'While it was recorded somebody else changed settings of our private instances of tracefs: switched events or tracing off, or set a filter. The recording was ended then, within a second. What was recorded before is told.',
    known: 'The settings, read each second and at the end, beside what they were set to.',
    next: 'See who resets tracing (trace-cmd reset -a, a script), and ask again.',
  },
  'events-unmatched': {
    means:
      'The kernel counts other events as read than came to us: somebody else read our buffers (trace_pipe, trace-cmd), or emptied them. A block whose free was taken away seems to be held; one whose allocation was is missing.',
    known: 'per_cpu/cpuN/stats beside the events of all pages that were read.',
    next: 'See who reads tracing, and ask again.',
  },
  orphans: {
    means:
      'An earlier run was killed (SIGKILL) and left its private instances of tracefs. They were removed.',
    known: 'The names of instances have the pid and start time of their process, which is gone.',
    next: 'Nothing.',
  },
  'left-behind': {
    means:
      'An instance of tracefs that was made for this run could not be removed, since somebody else reads it.',
    known: 'rmdir(2): EBUSY.',
    next: 'End who reads it (fuser), then rmdir /sys/kernel/tracing/instances/NAME; or run leaks again, which removes it.',
  },
  'over-budget': {
    means:
      'Following events cost more of a CPU than --budget allows: their rate rose. The sample was made smaller where it may be.',
    known: 'Our own CPU time, and the kernel’s by what an event costs on this machine.',
    next: SMALLER,
  },
  'source-cut': {
    means:
      'What the kernel printed, or a file, ends too early, or says itself that it is not whole.',
    known: 'Its last line, or its own words.',
    next: 'Ask again; copy a file again.',
  },
  'source-strange': {
    means:
      'Lines have no form that is known, or their figures contradict each other: more pages than the area has room for, a block that does not begin at a multiple of its size. They were left out, and what they tell is missing.',
    known: 'The forms that kernels of 5.10 to 7.2 print.',
    next: 'See whether another program wrote into the file.',
  },
  'source-unreadable': {
    means:
      'A part of a source could not be read, or is not tracked: of some slab caches it is not known what they hold.',
    known: 'What read(2) said, and which caches of /sys/kernel/slab have a folder in debugfs.',
    next: 'Run it as root; boot with slub_debug=U, which tracks all caches.',
  },
  'source-sites': {
    means: 'There are more sites than are followed. Those beyond are one site.',
    known: 'The bound on our own memory.',
    next: 'Nothing: what holds most was met first in most cases.',
  },
  'source-order': {
    means:
      'An event is more than a second earlier than one before it, or a file begins when the others have ended: these are several recordings, or a time is damaged. What was freed between them seems to be held.',
    known: 'Times of the events, in the order of each file.',
    next: 'Give files of one recording; of buffers of CPUs, a file for each.',
  },
  'untold-order': {
    means:
      'Copies were given in which nothing tells which of them is older. In the wrong order what leaks seems to shrink, and what was given back seems to leak.',
    known:
      'page_owner has times of blocks (5.11 and newer), traces of SLUB the ages of objects, where enough of them are old. /proc/allocinfo, /proc/vmallocinfo and show_stacks have nothing of the kind.',
    next: 'See when the copies were made, and give the oldest first. kdump-mem leaks --method allocinfo reads by itself, in order.',
  },
  'source-inaccurate': {
    means: 'The kernel says of a site that it did not count all of its allocations.',
    known: 'accurate:no in /proc/allocinfo.',
    next: 'Ask another method: kdump-mem leaks --methods.',
    deeper: 'kdump-mem leaks --methods',
  },
};
