import type { Corruption, FindingCode } from '../../triage/finding.js';
import type { Explanation, Explanations } from './explanation.js';

/** Findings of `kdump-mem triage`; their sentences, with figures, are in answers/triage/words.ts. */
export const FINDINGS: Explanations<FindingCode> = {
  panic: {
    means:
      'The kernel stopped itself with panic(), because it could not continue or because a setting requests it (panic_on_oops, softlockup_panic, hung_task_panic, vm.panic_on_oom). `reason` is the message of the panic. `cause` is the event before it in the log, and usually the one to investigate.',
    known:
      'The line "Kernel panic - not syncing" (kernel/panic.c), and kernel variables: panic_cpu, crashing_cpu and the task running there.',
    next: 'Read the stack trace from the top: the first function that does not handle the fault is the place to investigate. Then read the log before the panic.',
    deeper: 'kdump-mem stacks --cpu N',
  },
  oops: {
    means:
      'Kernel code used an invalid pointer, divided by zero or reached a BUG(). The running task was killed, and its locks are never released: later hangs may be a consequence.',
    known:
      'Lines of arch/x86/mm/fault.c, arch/x86/kernel/dumpstack.c, arch/arm64/mm/fault.c, and lib/bug.c. An address below 4096 is a member of a structure accessed through a NULL pointer.',
    next: 'Check the function and offset at RIP or pc in the log, and out-of-tree modules in the stack trace. Search the fixes of newer kernels for this function.',
    deeper: 'kdump-mem log --since -1m',
  },
  'soft-lockup': {
    means:
      'A CPU ran kernel code for longer than 2 × watchdog_thresh (20 s) and scheduled no other task. Interrupts were still serviced. Causes: a loop, a contended spinlock, or a host that does not run the virtual CPU.',
    known:
      'The watchdog’s line (kernel/watchdog.c; Documentation/admin-guide/lockup-watchdogs.rst).',
    next: 'Read the stack traces of that task and of the other CPUs: often one of them holds the lock. In a virtual machine check the steal time.',
    deeper: 'kdump-mem stacks',
  },
  'hard-lockup': {
    means:
      'A CPU serviced no interrupt for longer than watchdog_thresh (10 s): it looped with interrupts disabled, or is stuck in firmware or hardware.',
    known:
      'The NMI watchdog or the buddy CPU’s watchdog (kernel/watchdog_perf.c, kernel/watchdog_buddy.c; Documentation/admin-guide/lockup-watchdogs.rst).',
    next: 'Read the stack trace of that CPU. If it shows no cause, check firmware (SMIs) and the hardware log.',
    deeper: 'kdump-mem stacks --cpu N',
  },
  'rcu-stall': {
    means:
      'A CPU or a task reported no RCU quiescent state in time (default 21 s), so memory queued for RCU is not freed. Causes: a loop in kernel code, a starved CPU, or an RCU kthread that does not run.',
    known: 'The line of kernel/rcu/tree_stall.h (Documentation/RCU/stallwarn.rst).',
    next: 'The lines after it name the CPUs or tasks: read their stacks. If memory grows, check how much is queued for RCU.',
    deeper: 'kdump-mem stacks',
  },
  'hung-task': {
    means:
      'A task was in uninterruptible sleep (state D) for longer than hung_task_timeout_secs (120 s). It waits for a disk, an NFS server, or a lock that another task holds.',
    known: 'khungtaskd’s line (kernel/hung_task.c; Documentation/admin-guide/sysctl/kernel.rst).',
    next: 'Find the function that it waits in, and other tasks that wait there. The one task with a different stack often holds the lock.',
    deeper: 'kdump-mem stacks --state D',
  },
  'blocked-tasks': {
    means:
      'Tasks in uninterruptible sleep (state D) in one function. One or two that wait for a disk are normal. Many in one function wait for each other, or for something that does not respond.',
    known:
      'States and stacks of all tasks (task_struct.__state, ORC or frame records). Tasks that are frozen (__refrigerator) are left out.',
    next: 'Read the stack: the caller of schedule() and of the lock functions shows what the task waits for. Then find the lock holder.',
    deeper: 'kdump-mem stacks --state D',
  },
  'oom-kill': {
    means:
      'An allocation or a charge failed, and the kernel called the OOM killer. `reason` is what was out of memory: the whole machine (`global`), a memory cgroup at its limit (`memcg`), the nodes of a cpuset or of a memory policy (`cpuset`, `mempolicy`), or none of them, because SysRq-f requested it (`sysrq`). `outcome` is the result: `killed`, `chosen` (the log does not contain the kill), `exiting`, `no-killable-process`, `panic` (vm.panic_on_oom: no process was killed) or `unknown`. `shortage` is `watermark` if no zone had enough free pages, and `fragmentation` if a zone had, but only in blocks that are too small.',
    known:
      'The report of mm/oom_kill.c, read from its lines (kernels since 2.6.32); counters and zones are from mm/show_mem.c (before 6.4: mm/page_alloc.c), those of a cgroup from mm/memcontrol.c. A figure that the kernel did not print, or that was cut off, is null.',
    next: 'The victim is the process with the highest badness (oom_score_adj counts), not always the one that uses the memory. Compare it with the largest processes, and with the unattributed memory, which is in no counter that the kernel printed.',
    deeper: 'kdump-mem procs',
  },
  'allocation-failure': {
    means:
      'The page allocator had no block of that order for the process, or took too long to find one (`milliseconds`); or vmalloc, the per-CPU allocator, a slab cache or overcommit accounting refused. If much is free but little of it in large blocks, memory is fragmented. If little is free, memory was short.',
    known:
      'warn_alloc’s report (mm/page_alloc.c): order, flags, and the free blocks of each zone then; lines of mm/vmalloc.c, mm/percpu.c, mm/slub.c, mm/util.c and fs/xfs.',
    next: 'Order 0 to 3: memory was short; find where it is. Order 4 and above: the caller should fall back to smaller orders; compaction and min_free_kbytes help.',
    deeper: 'kdump-mem memory --nodes',
  },
  'memory-corruption': {
    means:
      'The kernel detected an invalid write, a double free or a use after free. Later failures may be consequences, and other answers from this dump may be wrong.',
    known:
      'Log lines of the checks in mm/slub.c (slub_debug), lib/list_debug.c, lib/refcount.c, mm/kasan and mm/memory.c.',
    next: 'Start with the first such line, not the last. Reproduce it with slub_debug=FZPU or KASAN. Suspect out-of-tree modules first, then the RAM (is there a hardware-error finding?).',
    deeper: 'kdump-mem log',
  },
  'hardware-error': {
    means:
      'The processor, the memory controller or a PCIe device reported an error. UE: an uncorrected error; data is lost. CE: a corrected error; many of them often precede a failure.',
    known:
      'Lines of arch/x86/kernel/cpu/mce, mm/memory-failure.c, drivers/edac and drivers/pci/pcie/aer.c, and of firmware through APEI.',
    next: 'Read the hardware log (BMC, rasdaemon) and replace the part that it names. Do not rely on other findings of that machine.',
    deeper: 'kdump-mem log --level err+',
  },
  'kernel-warning': {
    means:
      'The condition of a WARN_ON() was true: a state that should not occur. The kernel continued. It can be the first sign of a later failure.',
    known: 'The line that __warn (kernel/panic.c) prints, with file and line.',
    next: 'If it precedes the problem, read the source at that line and the stack trace after it in the log.',
    deeper: 'kdump-mem log --level warn+',
  },
  lockdep: {
    means:
      'Lockdep found a lock order or context that can deadlock; or a lock that is released, freed or held where it must not be; or an RCU access outside a read-side critical section. A deadlock need not have occurred.',
    known:
      'Reports of kernel/locking/lockdep.c (Documentation/locking/lockdep-design.rst) and kernel/rcu. They need CONFIG_PROVE_LOCKING; lockdep turns itself off after the first.',
    next: 'Read the two chains of the report: which lock is taken while which is held. The function in the title takes the lock that closes the cycle.',
    deeper: 'kdump-mem log --level warn+',
  },
  'atomic-sleep': {
    means:
      'The kernel slept, or could have slept, in atomic context: with a spinlock held, in an interrupt, or with preemption disabled. A deadlock is possible.',
    known:
      'Lines of kernel/sched/core.c, lib/smp_processor_id.c and kernel/workqueue.c. Some need CONFIG_DEBUG_ATOMIC_SLEEP or CONFIG_DEBUG_PREEMPT.',
    next: 'Read the stack trace: the function in the title called one that sleeps. Find the lock that its caller holds.',
    deeper: 'kdump-mem log --level warn+',
  },
  'spinlock-bug': {
    means:
      'A spinlock or rwlock was taken twice by one CPU, released by another, used before it was initialized, or not released for a long time.',
    known: 'Reports of kernel/locking/spinlock_debug.c. They need CONFIG_DEBUG_SPINLOCK.',
    next: 'Bad magic: the memory of the lock was freed or overwritten. Recursion or lockup: read the stack traces of the owner and of the waiting CPU.',
    deeper: 'kdump-mem stacks',
  },
  'workqueue-lockup': {
    means:
      'A worker pool made no progress for longer than workqueue.watchdog_thresh (30 s). Its queued work items wait.',
    known: 'The line of the watchdog in kernel/workqueue.c; the state of the pools follows it.',
    next: 'The lines after it list the pools and work items in flight: read the stack traces of those kworkers.',
    deeper: 'kdump-mem stacks',
  },
  'memory-leak': {
    means: 'kmemleak found memory that was allocated and that no pointer references any more.',
    known:
      'Reports of mm/kmemleak.c (Documentation/dev-tools/kmemleak.rst). A few are false positives: pointers stored in another form.',
    next: 'The backtrace of the report is that of the allocation. `kdump-mem leaks` measures allocations that are not freed, by call site.',
    deeper: 'kdump-mem leaks',
  },
  'uninitialized-value': {
    means:
      'KMSAN found that the kernel used uninitialized memory, or copied it to user space (infoleak).',
    known: 'Reports of mm/kmsan (Documentation/dev-tools/kmsan.rst).',
    next: 'The report shows where the value was used, where it was copied, and where it was created.',
    deeper: 'kdump-mem log --level err+',
  },
  'data-race': {
    means:
      'KCSAN found two concurrent accesses to one address, at least one of them a write, without a lock or a marked access (READ_ONCE, WRITE_ONCE).',
    known: 'Reports of kernel/kcsan (Documentation/dev-tools/kcsan.rst).',
    next: 'Both stack traces are in the report. Not every race is harmful.',
    deeper: 'kdump-mem log --level err+',
  },
  'undefined-behavior': {
    means:
      'UBSAN found an operation that is undefined in C: an array index out of bounds, a shift out of bounds, a signed overflow.',
    known: 'Reports of lib/ubsan.c (Documentation/dev-tools/ubsan.rst).',
    next: 'The line names the file and line of the operation. An index out of bounds can have overwritten other data.',
    deeper: 'kdump-mem log --level err+',
  },
  'network-memory': {
    means:
      'The network stack ran out of a resource: tcp_mem was exhausted, the connection (conntrack) or neighbour table was full, or the limit of open files was reached.',
    known:
      'Lines of net/ipv4/tcp.c, net/netfilter/nf_conntrack_core.c, net/core/neighbour.c and fs/file_table.c.',
    next: 'Find the sockets that hold the memory before you raise a limit: unread sockets fill any limit.',
    deeper: 'kdump-mem sockets',
  },
  'file-system-error': {
    means:
      'A file system is damaged, or a disk request failed. Tasks that wait for the disk hang; files may be lost.',
    known:
      'Lines of fs/ext4, fs/jbd2, fs/xfs, fs/btrfs, net/sunrpc, block/blk-core.c, fs/buffer.c, mm/page_io.c and drivers/nvme.',
    next: 'Check the disk and its path (SMART, multipath, the storage log) before you check the file system.',
    deeper: 'kdump-mem log --level err+',
  },
  'queued-data': {
    means:
      'One socket pins at least 5 % of memory: its process does not read the received data, or its peer does not accept the data to send.',
    known:
      'Every skb of its queues and the pages behind them, counted once (docs/memory.md, "pinned"). The share is of all RAM.',
    next: 'Find out what its process waits for. Killing it frees the memory, unless other processes hold the same socket.',
    deeper: 'kdump-mem skb --sock ADDRESS',
  },
  'queued-data-of-process': {
    means:
      'The queues of one process’s sockets pin at least 5 % of memory together, though none of them does alone. Small unread messages pin complete pages of the driver.',
    known:
      'Every skb of their queues and the pages behind them, counted once for all of them (docs/memory.md, "pinned"). The share is of all RAM.',
    next: 'Find out what the process waits for, and why it does not read. Killing it frees at least `freedIfKilledBytes`.',
    deeper: 'kdump-mem skb --pid N',
  },
  'queued-data-of-machine': {
    means:
      'All sockets together pin at least 5 % of memory, though no single socket or process does. Many workers do not read, or no process has these sockets open (unaccepted, orphaned, in a message).',
    known:
      'Every skb of every queue and the pages behind them, counted once. The share is of all RAM; memory reported for single sockets and processes is subtracted first.',
    next: 'List the sockets by process, cgroup or port. Many workers of one program have one cause.',
    deeper: 'kdump-mem sockets --by cgroup',
  },
  'stalled-reader': {
    means:
      'A process does not read the data of a TCP connection. No data arrived for 10 s or longer, and either the receive window is 0 or much memory is pinned. `ageSeconds` is the time since the newest data arrived: all of it is at least that old. `doing` and `symbol` describe the thread that is closest to reading: where it waits, not why.',
    known:
      'icsk_ack.lrcvtime of the connection against jiffies, rcv_wup + rcv_wnd − rcv_nxt (tcp_receive_window, include/net/tcp.h), and the stacks of all threads of the process. The length of a tick: clocksource_jiffies.',
    next: 'Find out what the process waits for: a lock, a disk, another process. A stopped process (T) needs a SIGCONT. A process that waits for events may not have registered this socket.',
    deeper: 'kdump-mem stacks --pid N',
  },
  'unattributed-memory': {
    means:
      'Pages are allocated but not attributed to any owner by a walk, a flag or a counter. Most were allocated by a driver with alloc_pages(), such as one for graphics, storage or a hypervisor.',
    known:
      'Every page frame is in one category. For these the struct page names no owner, and no kernel data structure that is read leads to them (docs/memory.md).',
    next: 'Check their orders and the loaded modules. On a running machine boot with page_owner=on, or read /proc/allocinfo.',
    deeper: 'kdump-mem memory -v',
  },
  'low-memory': {
    means:
      'A zone has less free memory than its min watermark: allocations from it must reclaim memory or wait.',
    known:
      'Free blocks of each zone beside zone._watermark (mm/page_alloc.c; Documentation/admin-guide/sysctl/vm.rst).',
    next: 'Find where the memory is. If only one node is short, check which processes are bound to it.',
    deeper: 'kdump-mem memory --nodes',
  },
  tainted: {
    means:
      'The kernel has out-of-tree or proprietary modules, or a failure occurred before. Taint alone is not a problem.',
    known: 'The bits of tainted_mask (Documentation/admin-guide/tainted-kernels.rst).',
    next: 'If a stack of the failure contains a third-party module, contact its vendor first.',
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
