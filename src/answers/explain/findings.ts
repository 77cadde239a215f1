import type { Corruption, FindingCode } from '../../triage/finding.js';
import type { Explanation, Explanations } from './explanation.js';

/** Findings of `kdump-mem triage`; their sentences, with figures, are in answers/triage/words.ts. */
export const FINDINGS: Explanations<FindingCode> = {
  panic: {
    means:
      'The kernel stopped itself (panic()), since it could not go on, or since a setting asked for it (panic_on_oops, softlockup_panic, hung_task_panic, vm.panic_on_oom). `reason` is the last word; `cause` is what came before it in the log, and is mostly the one to look for.',
    known:
      'The line "Kernel panic - not syncing" (kernel/panic.c), and the kernel’s own variables: panic_cpu, crashing_cpu and the task that ran there.',
    next: 'Read the stack from its top: the first function that is not the fault’s own handling is where to look. Then read the log before the panic.',
    deeper: 'kdump-mem stacks --cpu N',
  },
  oops: {
    means:
      'Code of the kernel followed a bad pointer, divided by zero or met a BUG(). The task that ran was ended, and locks that it had are never released: what is stuck later may be a consequence.',
    known:
      'Lines of arch/x86/mm/fault.c, arch/x86/kernel/dumpstack.c, arch/arm64/mm/fault.c, and lib/bug.c. An address below 4096 is a member of a structure whose pointer was null.',
    next: 'Look at the function and offset at RIP or pc in the log, and whether a module from elsewhere is on the stack. Search for this function in the fixes of newer kernels.',
    deeper: 'kdump-mem log --since -1m',
  },
  'soft-lockup': {
    means:
      'A CPU ran code of the kernel for longer than 2 × watchdog_thresh (20 s) and let no other task run. Interrupts still came. It is a loop, a lock that spins, or a host that gives a virtual CPU no time.',
    known:
      'The watchdog’s line (kernel/watchdog.c; Documentation/admin-guide/lockup-watchdogs.rst).',
    next: 'Look at what that task did, and at the other CPUs: often one of them holds what this one waits for. In a virtual machine ask the host for steal time.',
    deeper: 'kdump-mem stacks',
  },
  'hard-lockup': {
    means:
      'A CPU took no interrupt for longer than watchdog_thresh (10 s): it looped with interrupts off, or stands still in firmware or hardware.',
    known:
      'The watchdog of NMIs or of the neighbour CPU (kernel/watchdog_perf.c, kernel/watchdog_buddy.c; Documentation/admin-guide/lockup-watchdogs.rst).',
    next: 'Look at the stack of that CPU. If it shows nothing, suspect firmware (SMIs) and the hardware’s own log.',
    deeper: 'kdump-mem stacks --cpu N',
  },
  'rcu-stall': {
    means:
      'A CPU or a task did not pass a quiet state of RCU in time (21 s unless set), so that memory that waits for it is not freed. Code that loops in the kernel, a CPU without time, or a thread of RCU that is not let run.',
    known: 'The line of kernel/rcu/tree_stall.h (Documentation/RCU/stallwarn.rst).',
    next: 'The lines after it name the CPUs or tasks: look at their stacks. Is memory growing, look whether RCU holds it back.',
    deeper: 'kdump-mem stacks',
  },
  'hung-task': {
    means:
      'A task waited without a pause and could not be interrupted (state D) for longer than hung_task_timeout_secs (120 s): for a disk, a server of NFS, or a lock that another task has.',
    known: 'khungtaskd’s line (kernel/hung_task.c; Documentation/admin-guide/sysctl/kernel.rst).',
    next: 'See what it waits in, and who else waits there: the one task of another stack often has the lock.',
    deeper: 'kdump-mem stacks --state D',
  },
  'blocked-tasks': {
    means:
      'Tasks that wait in one place and cannot be interrupted (state D). One or two wait for a disk, which is normal; many in one place wait for each other or for something that does not answer.',
    known:
      'States and stacks of all tasks (task_struct.__state, ORC or frame records). Tasks that are frozen (__refrigerator) are left out.',
    next: 'Read the stack: the function above schedule and the lock’s own functions says what for. Then find who holds it.',
    deeper: 'kdump-mem stacks --state D',
  },
  'oom-kill': {
    means:
      'An allocation or a charge failed, and the kernel called the OOM killer. `reason` says for want of what: the whole machine (`global`), a memory cgroup at its limit (`memcg`), the nodes of a cpuset or of a memory policy (`cpuset`, `mempolicy`), or nothing: SysRq-f requested it (`sysrq`). `outcome` says how it ended: `killed`, `chosen` (the log does not contain the kill), `exiting`, `no-killable-process`, `panic` (vm.panic_on_oom: no process was killed) or `unknown`. `shortage` is `watermark` where no zone had enough free pages, `fragmentation` where it had, but in blocks that are too small.',
    known:
      'The report of mm/oom_kill.c, put together from its lines (kernels from 2.6.32 on); counters and zones are from mm/show_mem.c (before 6.4: mm/page_alloc.c), those of a cgroup from mm/memcontrol.c. A figure that the kernel did not print, or that was cut off, is null.',
    next: 'The victim is the process with the highest badness (oom_score_adj counts), not always the one that took the memory: compare it with the largest processes, and look at the unattributed memory, which is in no counter that the kernel printed.',
    deeper: 'kdump-mem procs',
  },
  'allocation-failure': {
    means:
      'The page allocator had no block of that order for the process, or took too long to find one (`milliseconds`); or vmalloc, the per-CPU allocator, a slab cache or overcommit accounting refused. Where much is free but little of it in large blocks, memory is fragmented; where little is free, there was none.',
    known:
      'warn_alloc’s report (mm/page_alloc.c): order, flags, and the free blocks of each zone then; lines of mm/vmalloc.c, mm/percpu.c, mm/slub.c, mm/util.c and fs/xfs.',
    next: 'Of order 0 to 3: memory was short, see where it is. Of order 4 and more: the asker should be able to do with less; compaction and min_free_kbytes help.',
    deeper: 'kdump-mem memory --nodes',
  },
  'memory-corruption': {
    means:
      'Something in the kernel wrote where it must not, freed twice, or used what was freed. All later trouble may come from it, and what else this program reads from there may be wrong.',
    known:
      'Checks of mm/slub.c (slub_debug), lib/list_debug.c, lib/refcount.c, mm/kasan and mm/memory.c, by their lines.',
    next: 'The first such line counts, not the last. Repeat it with slub_debug=FZPU or KASAN; suspect modules from elsewhere first, then memory modules (is there a hardware-error?).',
    deeper: 'kdump-mem log',
  },
  'hardware-error': {
    means:
      'The processor, the memory controller or a PCIe device reported an error. UE: it was not corrected, and data is lost. CE: it was corrected; many of them announce worse.',
    known:
      'Lines of arch/x86/kernel/cpu/mce, mm/memory-failure.c, drivers/edac and drivers/pci/pcie/aer.c, and of firmware through APEI.',
    next: 'Read the hardware’s own log (BMC, rasdaemon) and have the part that it names changed. Doubt all other findings of that machine.',
    deeper: 'kdump-mem log --level err+',
  },
  'kernel-warning': {
    means:
      'A WARN_ON() met what its author thought cannot be. The kernel went on; often nothing is lost, but it can be the first sign of what came later.',
    known: 'The line that __warn (kernel/panic.c) prints, with file and line.',
    next: 'If it came before the trouble, look at the source at that line and at the stack behind it in the log.',
    deeper: 'kdump-mem log --level warn+',
  },
  lockdep: {
    means:
      'Lockdep found locks that are taken in an order, or in a context, in which they can deadlock; or a lock that is released, freed or kept where it must not be; or RCU that is read outside of its critical section. It need not have happened yet.',
    known:
      'Reports of kernel/locking/lockdep.c (Documentation/locking/lockdep-design.rst) and kernel/rcu. They need CONFIG_PROVE_LOCKING; lockdep turns itself off after the first.',
    next: 'Read the two chains of the report: who takes which lock under which. The function in the title takes the lock that closes the circle.',
    deeper: 'kdump-mem log --level warn+',
  },
  'atomic-sleep': {
    means:
      'The kernel slept, or could have slept, where it must not: under a spinlock, in an interrupt, or with preemption off. A deadlock can follow.',
    known:
      'Lines of kernel/sched/core.c, lib/smp_processor_id.c and kernel/workqueue.c. Some need CONFIG_DEBUG_ATOMIC_SLEEP or CONFIG_DEBUG_PREEMPT.',
    next: 'Read the stack trace: the function in the title called what sleeps. Look for the lock that its caller holds.',
    deeper: 'kdump-mem log --level warn+',
  },
  'spinlock-bug': {
    means:
      'A spinlock or rwlock was taken twice by one CPU, released by another, used before it was initialized, or not released for a long time.',
    known: 'Reports of kernel/locking/spinlock_debug.c. They need CONFIG_DEBUG_SPINLOCK.',
    next: 'Bad magic: the memory of the lock was freed or overwritten. Recursion and lockup: read the stack traces of the owner and of the CPU that waits.',
    deeper: 'kdump-mem stacks',
  },
  'workqueue-lockup': {
    means:
      'A pool of workqueue threads made no progress for longer than workqueue.watchdog_thresh (30 s). Work that is queued to it waits.',
    known: 'The line of the watchdog in kernel/workqueue.c; the state of the pools follows it.',
    next: 'The lines after it list the pools and the work that is in flight: look at the stacks of those kworkers.',
    deeper: 'kdump-mem stacks',
  },
  'memory-leak': {
    means: 'kmemleak found memory that was allocated and that no pointer references any more.',
    known:
      'Reports of mm/kmemleak.c (Documentation/dev-tools/kmemleak.rst). A few are false: pointers that are kept in another form.',
    next: 'The backtrace of the report is that of the allocation. `kdump-mem leaks` measures what call sites keep.',
    deeper: 'kdump-mem leaks',
  },
  'uninitialized-value': {
    means:
      'KMSAN found that the kernel used memory that nothing was written to, or copied it to user space (infoleak).',
    known: 'Reports of mm/kmsan (Documentation/dev-tools/kmsan.rst).',
    next: 'The report shows where the value was used, where it was copied, and where it was created.',
    deeper: 'kdump-mem log --level err+',
  },
  'data-race': {
    means:
      'KCSAN found two accesses to one address at the same time, of which at least one writes, without a lock or a marked access (READ_ONCE, WRITE_ONCE).',
    known: 'Reports of kernel/kcsan (Documentation/dev-tools/kcsan.rst).',
    next: 'Both stack traces are in the report. Not each race is harmful.',
    deeper: 'kdump-mem log --level err+',
  },
  'undefined-behavior': {
    means:
      'UBSAN found an operation of C whose result is undefined: an index beyond its array, a shift by too much, an overflow of a signed number.',
    known: 'Reports of lib/ubsan.c (Documentation/dev-tools/ubsan.rst).',
    next: 'The line names the file and line of the operation. An index beyond its array can have overwritten other data.',
    deeper: 'kdump-mem log --level err+',
  },
  'network-memory': {
    means:
      'The network refused work for want of room: tcp_mem was used up, a table of connections (conntrack) or neighbours was full, or no more files could be opened.',
    known:
      'Lines of net/ipv4/tcp.c, net/netfilter/nf_conntrack_core.c, net/core/neighbour.c and fs/file_table.c.',
    next: 'See which sockets hold the memory before a limit is raised: sockets that nobody reads fill any limit.',
    deeper: 'kdump-mem sockets',
  },
  'file-system-error': {
    means:
      'A file system found itself damaged, or a disk did not do what it was told. What waits for that disk hangs; files may be lost.',
    known:
      'Lines of fs/ext4, fs/jbd2, fs/xfs, fs/btrfs, net/sunrpc, block/blk-core.c, fs/buffer.c, mm/page_io.c and drivers/nvme.',
    next: 'Look at the disk and its path (SMART, multipath, the storage’s log) before the file system is checked.',
    deeper: 'kdump-mem log --level err+',
  },
  'waiting-data': {
    means:
      'One socket pins a notable part of the memory (5 %): data has come, or is to be sent, and who should take it does not.',
    known:
      'Every skb of its queues and the pages behind them, counted once (docs/memory.md, "pinned"). The share is of all RAM.',
    next: 'See what the process that has it open waits in. To end it gives the memory back, unless others hold the same socket.',
    deeper: 'kdump-mem skb --sock ADDRESS',
  },
  'waiting-data-of-process': {
    means:
      'One process pins a notable part of the memory (5 %) in queues of its sockets, though no one of them does by itself. Small messages that nobody reads pin whole pages of the driver.',
    known:
      'Every skb of their queues and the pages behind them, counted once for all of them (docs/memory.md, "pinned"). The share is of all RAM.',
    next: 'See what the process waits in, and why it does not read. To end it gives back `freedIfKilledBytes` at least.',
    deeper: 'kdump-mem skb --pid N',
  },
  'waiting-data-of-machine': {
    means:
      'Sockets pin a notable part of the memory (5 %) together, and no socket and no process tells of it by itself: many workers do not read, or nobody has these sockets open (unaccepted, orphaned, in a message).',
    known:
      'Every skb of every queue and the pages behind them, counted once. The share is of all RAM; what was told of single sockets and processes is taken off before it is judged.',
    next: 'See who has them, by process, cgroup or port. Many workers of one program have one cause.',
    deeper: 'kdump-mem sockets --by cgroup',
  },
  'stalled-reader': {
    means:
      'A connection of TCP has data that its process does not take: nothing came for 10 s or longer, and either the peer may send no more, or much memory is pinned. `ageSeconds` is since the newest data came: all of it has waited at least so long. `doing` and `symbol` are of the thread that is nearest to reading, and say where it waits, not why.',
    known:
      'icsk_ack.lrcvtime of the connection against jiffies, rcv_wup + rcv_wnd − rcv_nxt (tcp_receive_window, include/net/tcp.h), and the stacks of all threads of the process. How long a tick is: clocksource_jiffies.',
    next: 'Look at what the process waits for: a lock, a disk, another process. One that is stopped (T) needs a SIGCONT. One that waits for events may not ask for those of this socket.',
    deeper: 'kdump-mem stacks --pid N',
  },
  'unattributed-memory': {
    means:
      'Pages are given out, and no walk, no flag and no counter tells to whom: mostly a driver that took them from the page allocator (alloc_pages), such as one of graphics, storage or a hypervisor.',
    known:
      'Every page frame is in one category; these are those of which the struct page says nothing and to which no walk led (docs/memory.md).',
    next: 'See their orders and which modules are loaded. On a running machine boot with page_owner=on, or read /proc/allocinfo.',
    deeper: 'kdump-mem memory -v',
  },
  'low-memory': {
    means:
      'A zone has less free than the kernel keeps for itself (its min watermark): who asks for memory there must wait or reclaim.',
    known:
      'Free blocks of each zone beside zone._watermark (mm/page_alloc.c; Documentation/admin-guide/sysctl/vm.rst).',
    next: 'See where the memory is; of one node alone look at who is bound to it.',
    deeper: 'kdump-mem memory --nodes',
  },
  tainted: {
    means:
      'The kernel is not quite that of its distribution any more: modules from elsewhere, or something that went wrong before. By itself it is no trouble.',
    known: 'The bits of tainted_mask (Documentation/admin-guide/tainted-kernels.rst).',
    next: 'Where a module of another vendor is on a stack of the trouble, ask that vendor first.',
    deeper: 'kdump-mem info',
  },
};

const corruption = (means: string, known: string): Explanation => ({
  means,
  known,
  next: 'Do not rely on the function in its title. Read the lines of the log around the report.',
});

/** Why a report of the kernel log cannot be trusted. */
export const CORRUPTIONS_EXPLAINED: Explanations<Corruption> = {
  'no-function': corruption(
    'The stack trace contains no function of the kernel that could be blamed.',
    'The frames of the trace, less helpers that check, allocate, lock or print for others.',
  ),
  'no-first-lines': corruption(
    'The first lines of the report are missing.',
    'A line from the middle of a report without the line that begins one.',
  ),
  interleaved: corruption(
    'Messages of another CPU or task are mixed into the first line.',
    'A timestamp within the text of the line.',
  ),
  'lines-missing': corruption(
    'Lines that such a report always contains are missing.',
    'The lines that the kernel prints in every report of this kind.',
  ),
  cut: corruption(
    'The report ends within a stack trace.',
    'Fewer than three lines after the line that begins the trace.',
  ),
  'no-frames': corruption(
    'A stack trace of the report contains no frames.',
    'The lines after the one that begins the trace.',
  ),
  'no-trace': corruption(
    'The report contains no stack trace, and such a report always does.',
    'No line that begins a trace, or none with a frame.',
  ),
};
