import type { WorkerFailureCode } from '../../triage/batch/worker.js';
import type { CauseRelation, Confidence } from '../../triage/causes.js';
import type { FindingCode, Severity } from '../../triage/finding.js';
import type { RuleDoubt } from '../../triage/rules/match.js';
import type { Corruption } from '../triage/report-schema.js';
import type { Explanation, Explanations } from './schema.js';

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
    known: 'The watchdog’s line (kernel/watchdog.c; Documentation/admin-guide/lockup-watchdogs.rst).',
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
    next: 'kdump-mem blocked names the lock and its owner. If the lock has no recorded owner, the one task with a different stack often holds it.',
    deeper: 'kdump-mem blocked -v',
  },
  deadlock: {
    means:
      'Tasks wait for each other: each owns a lock that the next one waits for. They never continue, and neither do tasks that wait for these locks. Only a restart ends it.',
    known:
      'Owner words of the locks, waiters on the stacks of tasks (mutex_waiter, rwsem_waiter), and the lists of the locks.',
    next: 'Read the stacks of the owners: their callers took two locks in different orders. Report it to the owner of that code.',
    deeper: 'kdump-mem blocked -v',
  },
  'blocked-on-lock': {
    means:
      'Tasks in uninterruptible sleep (state D) wait for one lock, or for a lock whose owner waits for it. The figure tasks counts them, with interruptible tasks on the list of the lock.',
    known:
      'Owner words of the locks, waiters on the stacks of tasks (mutex_waiter, rwsem_waiter, semaphore_waiter), and the lists of the locks.',
    next: 'Find out why the owner does not release the lock: its stack is the evidence. Readers of a lock are counted, but not recorded.',
    deeper: 'kdump-mem blocked -v',
  },
  'blocked-tasks': {
    means:
      'Tasks in uninterruptible sleep (state D) in one function. One or two that wait for a disk are normal. Many in one function wait for each other, or for something that does not respond.',
    known:
      'States and stacks of all tasks (task_struct.__state, ORC or frame records). Tasks that are frozen (__refrigerator) are left out.',
    next: 'kdump-mem blocked names the lock and its owner. Otherwise read the stack: the caller of schedule() and of the lock functions shows what the task waits for.',
    deeper: 'kdump-mem stacks --state D',
  },
  'oom-kill': {
    means:
      'A page allocation or a cgroup charge failed, and the kernel invoked the OOM killer. The JSON field `reason` names what ran out of memory: the machine (`global`), a memory cgroup at its limit (`memcg`), or the nodes that a cpuset or memory policy allows (`cpuset`, `mempolicy`). It is `sysrq` if SysRq-f invoked the OOM killer. The field `outcome` is the result: `killed`, `chosen` (the log does not contain the kill), `exiting`, `no-killable-process`, `panic` (vm.panic_on_oom: no process was killed) or `unknown`. The field `shortage` is `watermark` if no zone had enough free pages. It is `fragmentation` if a zone had enough free pages, but no free block as large as the allocation.',
    known:
      'The report of mm/oom_kill.c, read from its lines (kernels since 2.6.32); counters and zones are from mm/show_mem.c (before 6.4: mm/page_alloc.c), those of a cgroup from mm/memcontrol.c. A figure that the kernel did not print, or that was cut off, is null.',
    next: 'Compare the largest processes, and the victim if there is one, with the memory that no printed counter includes (figure unattributedBytes). The kernel kills the process with the highest badness, which includes oom_score_adj. That is not always the largest process.',
    deeper: 'kdump-mem procs',
  },
  'allocation-failure': {
    means:
      'The page allocator had no free block of the order in the title, or needed too long to find one (JSON: `milliseconds`). It can also be vmalloc, the per-CPU allocator, a slab cache or overcommit accounting. If much memory was free, but not in large blocks, memory was fragmented. If little was free, memory was short.',
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
    next: 'Start with the first such line, not the last. In a dump, kdump-mem whatis identifies its addresses, and kdump-mem refs finds what refers to them. Reproduce it with slub_debug=FZPU or KASAN. Suspect out-of-tree modules first, then the RAM (is there a hardware-error finding?).',
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
    next: 'Read the two chains of the report: they show which lock was taken while another was held. The function in the title takes the lock that closes the cycle.',
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
    next: 'The backtrace of the report is that of the allocation. `kdump-mem leaks` measures allocations that are not freed, by call site; `kdump-mem memory --unreachable` lists them in a dump.',
    deeper: 'kdump-mem leaks',
  },
  'uninitialized-value': {
    means: 'KMSAN found that the kernel used uninitialized memory, or copied it to user space (infoleak).',
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
    known: 'Lines of net/ipv4/tcp.c, net/netfilter/nf_conntrack_core.c, net/core/neighbour.c and fs/file_table.c.',
    next: 'Find the sockets that hold the memory before you raise a limit: unread sockets fill any limit.',
    deeper: 'kdump-mem sockets',
  },
  'page-pool-stalled': {
    means:
      'A network driver shut down its page pool, such as after a change of the MTU, an XDP program or a namespace, while pages of it were in use. Each pool repeats the message every minute until all its pages are back.',
    known: 'Lines of page_pool_release_retry (net/core/page_pool.c); the newest line of each pool counts.',
    next: 'A socket whose process does not read it holds such pages. With empty receive queues, report it to the driver.',
    deeper: 'skcheck --stale',
  },
  'resource-exhausted': {
    means:
      'A pool or a limit of the kernel was used up: tasks of a cgroup, the audit backlog, CMA, the bounce buffer of DMA, huge pages, memory of a GPU, or the balloon of a guest.',
    known:
      'Lines of kernel/cgroup/pids.c, kernel/audit.c, mm/cma.c, kernel/dma/swiotlb.c, mm/hugetlb.c, drivers/gpu/drm and the balloon drivers.',
    next: 'Find what holds the resource before you raise the limit: a leak fills any limit.',
    deeper: 'kdump-mem log --level warn+',
  },
  'user-space-kill': {
    means:
      'A program killed a process, a cgroup or a pod for lack of memory: systemd-oomd, earlyoom, nohang, kubelet, or the low memory killer of Android. The OOM killer of the kernel did not run.',
    known:
      'The line of the program in the journal or syslog, with its limit and the size of the victim as it printed them.',
    next: 'The victim is not always the cause: look for the largest process and for growth before the kill.',
    deeper: 'kdump-mem procs --live',
  },
  'file-system-error': {
    means: 'A file system is damaged, or a disk request failed. Tasks that wait for the disk hang; files may be lost.',
    known:
      'Lines of fs/ext4, fs/jbd2, fs/xfs, fs/btrfs, net/sunrpc, block/blk-core.c, fs/buffer.c, mm/page_io.c and drivers/nvme.',
    next: 'Check the disk and its path (SMART, multipath, the storage log) before you check the file system.',
    deeper: 'kdump-mem log --level err+',
  },
  'queued-data': {
    means:
      'One socket pins at least 5 % of memory: its process does not read the received data, or its peer does not accept the data to send.',
    known:
      'Every skb of its queues and the pages behind them, counted once (docs/glossary.md, "pinned"). The share is of all RAM.',
    next: 'Find out what its process waits for. Killing it frees the memory, unless other processes hold the same socket.',
    deeper: 'kdump-mem skb --sock ADDRESS',
  },
  'queued-data-of-process': {
    means:
      'The queues of one process’s sockets pin at least 5 % of memory together, though none of them does alone. Small unread messages pin complete pages of the driver.',
    known:
      'Every skb of their queues and the pages behind them, counted once for all of them (docs/glossary.md, "pinned"). The share is of all RAM.',
    next: 'Find out what the process waits for, and why it does not read. Killing it frees at least the size in the finding.',
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
  'orphaned-sockets': {
    means:
      'TCP sockets that their process closed, or that outlived it, keep data that the peer has not acknowledged. The kernel sends it on without any process. If the peer is silent, it gives up after `retries` retransmissions (tcp_orphan_retries, where 0 means 8), which takes minutes.',
    known:
      'Rows of ss without an inode whose state is closed on this side (FIN-WAIT-1, LAST-ACK, CLOSING), and their skmem. `peer` is that of the socket that pins most. `maxOrphans` is tcp_max_orphans: null where it is not readable.',
    next: 'ss -K dst ADDRESS frees them now (as root, with CONFIG_INET_DIAG_DESTROY). Lower tcp_orphan_retries if silent peers are common; find out why the program closes connections that its peers do not read.',
    deeper: 'skcheck',
  },
  'sockets-in-flight': {
    means:
      'No process has these sockets open, and a process has not received descriptors that were passed to its unix socket (SCM_RIGHTS). The sockets live in that message, with all data that arrives for them, and no tool lists their owner.',
    known:
      'Sockets of ss whose inode is in no /proc/PID/fd, and scm_fds of /proc/PID/fdinfo of unix sockets with unread data (5.6). `descriptors` counts all that wait in that one socket: not each must be a socket.',
    next: 'Find out why the process does not receive from this unix socket. Killing it frees the message and the sockets in it.',
    deeper: 'skcheck',
  },
  'stalled-reader': {
    means:
      'A process does not read the data of a TCP connection. No data arrived for 10 s or longer, and either the receive window is 0 or much memory is pinned. `ageSeconds` is the age of the newest unread data; the rest is older. The fields `doing` and `symbol` describe the thread that is closest to reading: where it waits, not why.',
    known:
      'icsk_ack.lrcvtime of the connection against jiffies, rcv_wup + rcv_wnd − rcv_nxt (tcp_receive_window, include/net/tcp.h), and the stacks of all threads of the process. The length of a tick: clocksource_jiffies.',
    next: 'Find out what the process waits for: a lock, a disk, another process. If it is stopped (state T), find out who stopped it; kill -CONT PID resumes it. If it waits for events, it may have failed to add this socket to its poll set.',
    deeper: 'kdump-mem stacks --pid N',
  },
  'unread-sockets': {
    means:
      'A process does not read several sockets, or one that holds little. Together with the send queues of peers on the same machine they pin at least 1 MiB. A warning from 5 % of memory on.',
    known:
      'One sample of ss: the age of the newest data of each TCP connection, and skmem of both ends. `sockets` counts those that are not read, `peersBytes` the send queues of their local peers. `mostBytes` is the upper bound of what the sockets themselves pin; null: unknown.',
    next: 'List them, and find out what the process waits for. Small queues add up when a program opens many connections.',
    deeper: 'skcheck --stale -v',
  },
  'unattributed-memory': {
    means:
      'Pages are allocated but not attributed to any owner by a walk, a flag or a counter. Most were allocated by a driver with alloc_pages(), such as one for graphics, storage or a hypervisor.',
    known:
      'Every page frame is in one category. For these the struct page names no owner, and no kernel data structure that kdump-mem reads references them (docs/memory.md). By counters of /proc: MemTotal less all counters; `bytes` is the lower bound, `mostBytes` the upper one. `balloon` is a balloon driver that is loaded: most of them have no counter.',
    next: 'In a dump, list what refers to the pages, and what is in them: kdump-mem memory --unattributed. On a running machine boot with page_owner=on: kdump-mem memory --by site then lists the allocation sites.',
    deeper: 'kdump-mem memory --unattributed',
  },
  'low-memory': {
    means: 'A zone has less free memory than its min watermark: allocations from it must reclaim memory or wait.',
    known:
      'Free blocks of each zone beside zone._watermark (mm/page_alloc.c; Documentation/admin-guide/sysctl/vm.rst).',
    next: 'Find where the memory is. If only one node is short, check which processes are bound to it.',
    deeper: 'kdump-mem memory --nodes',
  },
  'low-available': {
    means:
      'Less than 10 % of memory is available to applications: MemAvailable is free memory and what the kernel can reclaim without swapping. A warning below 5 %.',
    known:
      'MemAvailable of /proc/meminfo (si_mem_available, mm/show_mem.c). The largest use is the largest of its counters, or what none of them contains. The largest process is by RssAnon and VmSwap of /proc/PID/status.',
    next: 'Check whether the largest use is normal. Page cache is reclaimed when needed; anonymous memory, slab and uncounted memory are not.',
    deeper: 'kdump-mem memory --live',
  },
  'shared-memory': {
    means:
      'Memfds, files in tmpfs or a System V segment hold at least 5 % of memory, and no process maps them: only a descriptor, a name or an id keeps them. On a host all files of one owner count together: of a process or program that has them open, or of one tmpfs. It is a warning from 10 % on for memfds, deleted files and segments, which have no path, and for a tmpfs that is nearly full.',
    known:
      'Descriptors in /proc/PID/fd, the tmpfs mounts of every mount namespace (statfs, once for each device), /proc/sysvipc/shm, and what the largest processes map (/proc/PID/maps). Bytes are allocated blocks, also in swap. Where no mappings can be read, RssShmem of /proc/PID/status decides. The kernel has the process of the last attach or detach of a segment: it is named only if the attach is later. From kernel memory: the pages of each file, its tree of mappings, and the open files of processes.',
    next: 'A memfd or deleted file is freed when all processes close it, any other file when it is deleted, a segment by ipcrm.',
    deeper: 'kdump-mem memory --live',
  },
  pipes: {
    means:
      'Data in pipes uses at least 5 % of memory. Or, without kernel memory: at least 2 % of memory is in no counter, and the pipes of a program can hold at least half of that. No counter includes data that is written to a pipe and not read.',
    known:
      'Links in /proc/PID/fd, each pipe counted once, multiplied by /proc/sys/fs/pipe-max-size (pipe_resize_ring, fs/pipe.c): the contents of a pipe are not visible from outside. In a dump and with /proc/kcore: the pages of each pipe_inode_info, once, and a process that has its read end open.',
    next: 'Find out who reads these pipes. Their memory is freed when both ends are closed, or when the data is read.',
    deeper: 'kdump-mem procs --pid N',
  },
  vmalloc: {
    means:
      'Areas of vmalloc use at least 5 % of memory. Typical users are BPF maps, modules, file systems and hash tables.',
    known:
      'VmallocUsed without KernelStack of /proc/meminfo (5.3 and later), pages by caller in /proc/vmallocinfo, and `memlock` in the fdinfo of BPF maps. A map that is pinned in bpffs and open in no process has no owner here. In a dump: each of the categories vmalloc, bpf and modules, by caller.',
    next: 'Check the caller. If it allocates BPF maps, the named process holds the largest: `bpftool map` shows their sizes.',
    deeper: 'kdump-mem memory -v',
  },
  tainted: {
    means:
      'The kernel has out-of-tree or proprietary modules, or a failure occurred before. Taint alone is not a problem.',
    known: 'The bits of tainted_mask (Documentation/admin-guide/tainted-kernels.rst).',
    next: 'If a stack of the failure contains a third-party module, contact its vendor first.',
    deeper: 'kdump-mem info',
  },
  fragmentation: {
    means:
      'A zone has free memory, but no free block of order 3 or larger. Network buffers and many drivers need such blocks. Allocations then wait for compaction, or fail.',
    known:
      '/proc/buddyinfo, the zone in /proc/zoneinfo, and compact_stall and compact_fail of /proc/vmstat (mm/vmstat.c).',
    next: 'Check for page allocation failures in the log. Unmovable memory (slab, queued packets) prevents compaction: find its owner.',
    deeper: 'kdump-mem memory --nodes',
  },
  'memory-pressure': {
    means:
      'Tasks of the machine or of a cgroup wait for memory: for reclaim, compaction, or pages that were evicted and are read again. `full` is the time in which no task could run. A cgroup at its limit stalls also if all of its page cache could be reclaimed: it needs these pages.',
    known:
      '/proc/pressure/memory and memory.pressure of each cgroup of version 2 (Documentation/accounting/psi.rst), and SwapFree of /proc/meminfo.',
    next: 'Find the processes and cgroups that use the most memory, and those that grow.',
    deeper: 'kdump-mem procs --live --watch 5s',
  },
  'cgroup-near-limit': {
    means:
      'A cgroup uses at least 90 % of its memory limit, page cache that can be reclaimed not counted. Or its tasks are throttled because it exceeds memory.high. At memory.max the OOM killer kills one of its processes.',
    known:
      'memory.current, memory.max, memory.high, memory.stat, memory.events and memory.pressure (Documentation/admin-guide/cgroup-v2.rst); of version 1 memory.usage_in_bytes, memory.limit_in_bytes and memory.stat.',
    next: 'Find the process of the cgroup that grows. If its need is normal, raise the limit.',
    deeper: 'kdump-mem procs --live --by cgroup',
  },
  'oom-kills': {
    means:
      'The OOM killer has killed processes since boot. The counters do not show when: an `oom-kill` finding of the log does.',
    known:
      'oom_kill of /proc/vmstat (since 4.13), and of memory.events or memory.oom_control by cgroup. Kills in a cgroup count for the machine too.',
    next: 'Read the kernel log, or the journal, for the reports.',
    deeper: 'kdump-mem triage',
  },
  'writeback-stuck': {
    means:
      'Much memory is dirty or under writeback, and all tasks wait for I/O. Writers are throttled until the disk or the server responds.',
    known: 'Dirty and Writeback of /proc/meminfo, and /proc/pressure/io.',
    next: 'Check the disks and network file systems, and errors in the log.',
    deeper: 'kdump-mem triage',
  },
  'unreclaimable-slab': {
    means:
      'Slab caches that cannot be reclaimed use a large share of memory. Often one cache leaks, or a program makes the kernel hold many objects.',
    known:
      'SUnreclaim of /proc/meminfo, and /proc/slabinfo for the largest caches; in a dump the category slab-unreclaimable.',
    next: 'Check whether the largest cache grows, and record its call sites. In a dump, kdump-mem refs --cache NAME finds what refers to its objects.',
    deeper: 'kdump-mem leaks',
  },
  'per-cpu-memory': {
    means:
      'Per-CPU memory has at least 10 % of memory. Each object in it takes a part for each possible CPU: many memory cgroups, also removed ones that memory is still charged to, per-CPU BPF maps, or network devices.',
    known: 'Percpu of /proc/meminfo (since 4.19); in a dump the category percpu.',
    next: 'Compare nr_dying_descendants of /sys/fs/cgroup/cgroup.stat and num_cgroups of /proc/cgroups with the number of cgroups in use. bpftool map lists BPF maps.',
    deeper: 'kdump-mem memory --cgroups',
  },
  'kernel-stacks': {
    means: 'The stacks of threads use at least 5 % of memory (16 KiB for each thread).',
    known:
      'KernelStack of /proc/meminfo, and Threads of /proc/PID/status; in a dump the category kernel-stacks, and signal_struct.nr_threads.',
    next: 'Check why the named process has so many threads.',
    deeper: 'kdump-mem procs --live --sort threads',
  },
  'page-tables': {
    means:
      'Page tables use at least 5 % of memory. Many processes that map one large shared area without huge pages are the usual cause.',
    known:
      'PageTables of /proc/meminfo, and VmPTE of /proc/PID/status; in a dump the category page-tables, and mm_struct.pgtables_bytes.',
    next: 'Use huge pages for large shared memory, or fewer processes.',
    deeper: 'kdump-mem procs --live --sort page-tables',
  },
  'pinned-pages': {
    means:
      'The kernel holds pages of a process in place for a device or for io_uring. It can neither swap, reclaim nor move them, so that they also fragment memory. A warning from 25 % of memory on.',
    known:
      'VmPin of /proc/PID/status (mm->pinned_vm): registered buffers of io_uring, RDMA, vdpa. VFIO counts its pages in VmLck, iommufd in either, and AF_XDP in neither.',
    next: 'Check whether the program normally registers that much. kdump-mem procs --sort pinned also adds VmLck where smaps shows no mlocked page (VFIO).',
    deeper: 'kdump-mem procs --sort pinned',
  },
  'limit-near': {
    means:
      'A limit of the machine or of a process is used to at least 90 %. Above it, calls fail: new processes, files, connections, keys, or socket memory.',
    known:
      '/proc/loadavg, threads-max, pid_max, file-nr, nf_conntrack_count, sockstat with tcp_mem and udp_mem, key-users, inotify descriptors by user (one inherited by fork counts for each process), /proc/PID/limits, and pids.max of cgroups (version 2).',
    next: 'Find what uses it, then decide whether to raise the limit.',
    deeper: 'kdump-mem procs --live',
  },
  'hugetlb-unused': {
    means:
      'Huge pages are reserved, but no process uses or has reserved them, or they are in files that no process maps. No other allocation can use that memory.',
    known:
      'nr_hugepages, free_hugepages and resv_hugepages of each size in /sys/kernel/mm/hugepages; HugetlbPages of /proc/PID/status for those in use.',
    next: 'Reduce vm.nr_hugepages, or start the program that they are for.',
    deeper: 'kdump-mem memory --live',
  },
  zombies: {
    means: 'A process does not wait for its children that exited. Each zombie keeps its pid.',
    known: 'State and PPid of /proc/PID/status.',
    next: 'Restart or repair the parent. When the parent exits, the zombies are reaped.',
    deeper: 'kdump-mem procs --live',
  },
  'hypervisor-overcommitted': {
    means:
      'The host did not run this guest while it had work to do: the host has more guests than CPUs, or this guest was paused (live migration, snapshot). Timeouts, soft lockups, RCU stalls and slow I/O then have their cause outside of the guest.',
    known:
      'Steal time, as a share of the CPU time that the guest needed (busy and steal): since boot, and live also during the check. From 10 % on it is a note, from 25 % on a warning. In /proc/stat, or in a dump kernel_cpustat, which must agree with rq.prev_steal_time. Soft lockups of idle CPUs (swapper) in the log whose stack begins in a halt: such a CPU runs nothing that could be stuck. If the log has no stack, it is a note, because interrupts can loop on an idle CPU. Memory that the balloon holds is shown beside it. A hypervisor that reports no steal time can hide this.',
    next: 'Confirm it on the host: CPU contention of this guest (ready or steal time), overcommitted memory, and whether it was migrated at that time.',
    deeper: 'kdump-mem triage',
  },
  'clock-unstable': {
    means:
      'The kernel compared its clock with another one, and stopped using it because they differed. Until then times in the log, timeouts and measured durations may be wrong.',
    known:
      'The message of the clocksource watchdog (kernel/time/clocksource.c). The other clock may be the wrong one, for example after a hypervisor paused the guest.',
    next: 'Check whether the guest was paused or migrated, and whether time synchronization reports a step.',
    deeper: 'kdump-mem log',
  },
  'clock-step': {
    means:
      'The wall clock was set, by more than 10 s, since the baseline of --baseline. Times in logs before and after cannot be compared.',
    known: 'The wall clock and the uptime, which cannot be set, of the baseline and now. A positive step is forward.',
    next: 'Check time synchronization, and whether the guest was restored from a snapshot.',
    deeper: 'kdump-mem log',
  },
  'memory-growth': {
    means:
      'A category of kernel memory other than reclaimable slab grew since the baseline of --baseline by at least 64 MiB and 1 % of memory; from 5 % on it is a warning. The kernel cannot reclaim it: it may be a leak. Growth of anonymous and shared memory and of page tables is a note.',
    known:
      'The memory breakdowns of the baseline and now, of the same boot and from the same source. The owner is the process or slab cache that grew most; it has at least a quarter of the growth, or half if the baseline lacks some owners.',
    next: 'Find out whether it continues to grow, and where it is allocated: kdump-mem watch, kdump-mem leaks.',
    deeper: 'kdump-mem memory -v',
  },
  rebooted: {
    means: 'The machine booted since the baseline of --baseline. Memory of the earlier boot is gone.',
    known: '/proc/sys/kernel/random/boot_id, which each boot chooses anew; otherwise the time of boot.',
    next: 'Find out why: read the log of the earlier boot, and a dump if there is one.',
    deeper: 'kdump-mem log',
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

/** Why one finding is considered the cause of another. */
export const CAUSE_RELATIONS_EXPLAINED: Explanations<CauseRelation> = {
  'panic-message': {
    means: 'The message of the panic names this kind of problem, and this is the last one before it.',
    known: 'The panic message (kernel/panic.c and its callers).',
    next: 'Investigate the cause: the panic only follows from it.',
  },
  'share-of-shortfall': {
    means:
      'Memory ran out, and a large part was in no kernel counter. The owner of most of that part is known now, and it had the memory at that time: the dump is of the same moment, or the queued data is older than the report.',
    known:
      'MemTotal without all counters of the OOM report, and the owner’s bytes in the dump. At least 10 % of MemTotal must be in no counter, and the owner must have 50 % to 150 % of it.',
    next: 'Free the owner’s memory, or keep it from growing.',
  },
  'same-process': {
    means: 'The process that pins the memory does not read the sockets.',
    known: 'The age of the data in the receive queues, and the owners of the sockets.',
    next: 'Find out what the process waits for: stacks.',
  },
  'same-zone': {
    means: 'The zone that was short when memory ran out is still short.',
    known: 'The zone of the OOM report, and the watermarks of the dump.',
    next: 'Investigate the cause of the shortage.',
  },
  'waits-for-cpu': {
    means: 'The CPU waits until another one answers an interrupt, or the stall names that one, and it is locked up.',
    known: 'The function of the soft lockup (smp_call_function_*), or the CPU in the lines of the RCU stall.',
    next: 'Look at the stack trace of the CPU that is locked up: the waiting ones are its victims.',
    deeper: 'kdump-mem stacks',
  },
  'idle-cpu': {
    means:
      'The CPU of a soft lockup was halted, with nothing to run. It could not be stuck by itself: the hypervisor did not run it, or the guest was paused.',
    known: 'The task of the soft lockup is swapper (pid 0), and its stack begins in a halt.',
    next: 'Confirm it on the host. The lockup itself needs no search in the guest.',
    deeper: 'kdump-mem triage',
  },
  'same-cgroup': {
    means: 'The same cgroup is near its limit, or the log has a report of the OOM killer for it.',
    known: 'The path of the cgroup in the log, and in /sys/fs/cgroup.',
    next: 'Investigate the cause: its limit, or the report with its processes and counters.',
  },
  'local-peer': {
    means: 'The send queues belong to connections that another process of this machine does not read.',
    known: 'Both ends of each TCP connection in ss, their owners, and the charge of the send queues (skmem).',
    next: 'Find out what the reading process waits for: its sockets free the memory of both.',
  },
  'same-moment': {
    means: 'Both were measured at the same time, and one is a symptom of the other.',
    known: 'MemAvailable, watermarks, and PSI of the machine and of its cgroups.',
    next: 'Investigate the cause.',
  },
  'frees-enough': {
    means:
      'Little memory is available, and this is the largest amount that a healthy machine does not have. Without it, at least 10 % of memory would be available.',
    known: 'MemAvailable of /proc/meminfo, and the bytes of the finding.',
    next: 'Free that memory, or keep it from growing.',
  },
  rule: {
    means: 'One of your rules says that this finding follows from its own.',
    known: 'Field `causes` of the rule (--rules).',
    next: 'Follow the rule’s advice.',
  },
};

export const CONFIDENCES_EXPLAINED: Explanations<Confidence> = {
  likely: {
    means: 'Printed as “Probable cause”. Figures of the dump support it, and the answer is complete.',
    known: 'The links between findings.',
    next: 'Check what the conclusion names as an alternative, then act on the cause.',
  },
  possible: {
    means:
      'Printed as “Possible cause”. The counters of the report name the largest part of memory, the answer is incomplete, or the cause is the hypervisor, which a guest cannot see.',
    known: 'The links between findings, or the counters of the OOM report.',
    next: 'Check whether that much is normal for this machine, or check the host.',
  },
  unknown: {
    means: 'Printed as “Cause not found”. No finding and no counter explains why memory ran out.',
    known: 'The counters of the OOM report, and all findings.',
    next: 'Take a dump or a snapshot when it happens again, or read the rest of the log.',
  },
};

export const SEVERITIES_EXPLAINED: Explanations<Severity | 'silent'> = {
  critical: {
    means: 'The machine crashed, hangs, or lost memory that it needs.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Investigate it first. --fail-on critical turns it into an exit status.',
  },
  warning: {
    means: 'A problem that may be the cause, or may become one.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'Investigate it after critical findings.',
  },
  note: {
    means: 'Information: not a problem by itself.',
    known: 'The finding’s own rule, or yours (--rules).',
    next: 'None.',
  },
  silent: {
    means: 'One of your rules silences this finding.',
    known: '--rules; the answer lists silenced findings with the reason.',
    next: 'None, as long as the reason holds.',
  },
};

/** Certainty of a skcheck verdict. */
export const CERTAINTIES: Explanations<'proved' | 'likely'> = {
  proved: { means: 'The samples have no other explanation.', known: 'Counters of two samples.', next: 'Act on it.' },
  likely: {
    means: 'The most frequent cause of these samples; others are possible.',
    known: 'The samples lack a counter that would prove it.',
    next: 'Sample for longer: --interval 10, or --samples 5.',
    deeper: 'skcheck --samples 5 --interval 2',
  },
};

/** Whether the kernel of a dump had panicked. */
export const PANIC_STATES: Explanations<'panicked' | 'running' | 'unknown'> = {
  panicked: {
    means: 'The kernel had panicked; the answer has the reason.',
    known: 'The panic message in the log, panic_cpu, or a dump written by the crash kernel.',
    next: 'See the finding, the log and the stack of the task.',
    deeper: 'kdump-mem triage',
  },
  running: {
    means: 'The kernel had not panicked: the machine was running.',
    known: 'The complete log contains no panic, and panic_cpu names no CPU.',
    next: 'None: the dump was taken on purpose, for example by a hypervisor.',
  },
  unknown: {
    means: 'It is unknown whether the kernel had panicked.',
    known: 'The log and panic_cpu are unreadable or inconclusive.',
    next: 'See the end of the log, if the dump has it.',
    deeper: 'kdump-mem log',
  },
};

const SEE_WARNINGS = 'Read the warnings of the answer. Dump with makedumpfile -d 1 (or less) next time.';

/** Codes of `rules.unknown`: why a rule could not be evaluated. */
export const RULE_DOUBTS_EXPLAINED: Explanations<RuleDoubt> = {
  'panic-unknown': {
    means: 'The rule tests the panic. Whether the kernel panicked, or for which reason, is unknown.',
    known: 'The kernel variable panic_cpu, and the kernel log.',
    next: SEE_WARNINGS,
  },
  'release-unknown': {
    means: 'The rule tests the kernel release. The log contains none, or several.',
    known: 'The first message of the kernel (Linux version), for each boot of a text log.',
    next: 'Use a log that begins at a boot, and choose one boot with --boot.',
  },
  'taint-unreadable': {
    means: 'The rule tests the taint flags. They cannot be read.',
    known: 'tainted_mask in the dump.',
    next: SEE_WARNINGS,
  },
  'modules-unreadable': {
    means: 'The rule tests the loaded modules. Their list cannot be read.',
    known: 'The list `modules` in the dump.',
    next: SEE_WARNINGS,
  },
  'memory-unavailable': {
    means: 'The rule tests the memory breakdown. It is not available.',
    known: 'The failed memory breakdown.',
    next: 'Run kdump-mem memory: it reports the reason.',
    deeper: 'kdump-mem memory',
  },
  'category-incomplete': {
    means: 'The rule tests a memory category that is incomplete.',
    known: '`complete` of that category.',
    next: SEE_WARNINGS,
    deeper: 'kdump-mem memory',
  },
  'owners-unknown': {
    means: 'The rule tests an owner. The part of the category without a known owner is large enough to hide one.',
    known: 'The bytes of the category, minus the sum of its owners.',
    next: 'List all owners: kdump-mem memory --all.',
    deeper: 'kdump-mem memory --all',
  },
  'findings-folded': {
    means: 'The rule tests a finding. More findings of this code exist than the answer lists.',
    known: '`others` of the last of them.',
    next: 'Test its count, or make the rule less specific.',
  },
  'log-incomplete': {
    means: 'The rule tests for a line of the log. The log is incomplete: a missing message may match.',
    known: 'Sequence numbers of the log, and its counts of overwritten messages.',
    next: 'Search for the line in the journal. Boot with a larger log_buf_len.',
  },
  'answer-incomplete': {
    means: 'The rule tests for a finding. There is none, but the answer is incomplete.',
    known: '`complete` of the answer.',
    next: SEE_WARNINGS,
  },
  'stacks-unreadable': {
    means: 'The rule tests stacks or tasks. None can be read.',
    known: 'The error in `why`.',
    next: SEE_WARNINGS,
    deeper: 'kdump-mem stacks',
  },
  'stacks-incomplete': {
    means: 'The rule tests stacks or tasks. Some of them cannot be read completely.',
    known: 'Stacks that end with `stopped`, and warnings about tasks.',
    next: SEE_WARNINGS,
    deeper: 'kdump-mem stacks',
  },
  'frame-guessed': {
    means: 'The rule tests for a function on a stack. The only such stack frame is a guess.',
    known: '`guess` of that frame.',
    next: 'Read the stack, and decide whether the frame is real.',
    deeper: 'kdump-mem stacks',
  },
  'figures-unknown': {
    means:
      'The rule tests figures of a finding. They are unknown, or unknown for some of the findings that it stands for.',
    known: 'Figures that are null, and `others`.',
    next: 'Test a figure that this finding has.',
  },
};

const of = (means: string, known: string, next: string): Explanation => ({
  means,
  known,
  next,
  deeper: 'kdump-mem triage --ndjson --retry --resume FILE',
});

/** Why the worker process of a dump reported nothing: `error.code` of the dump's line. */
export const WORKER_FAILURES: Explanations<WorkerFailureCode> = {
  'timed-out': of(
    'The worker exceeded the time limit for one dump and was killed.',
    'The limit of --timeout.',
    'Raise --timeout. A network drive or a corrupt dump is slow.',
  ),
  killed: of(
    'A signal that kdump-mem did not send killed the worker.',
    'The signal in the exit status.',
    'Check the kernel log: the OOM killer may have killed it.',
  ),
  'out-of-memory': of(
    'The worker exceeded the memory limit for one dump and was killed.',
    'The limit of --worker-memory: resident memory, sampled a few times a second, and the V8 heap.',
    'Raise --worker-memory, and use fewer workers (--jobs).',
  ),
  exhausted: of(
    'The machine ran out of processes, file descriptors or memory. The dump is not the cause.',
    'errno.',
    'Raise the limits (ulimit), or use fewer workers (--jobs).',
  ),
  'worker-failed': of(
    'The worker failed. The line contains its last output.',
    'Its exit status.',
    'Run triage on that dump alone, and report its output.',
  ),
};
