import { type Declarations, type Figure, figuresOf, type Of, place, process, type Reported, text } from './declared.js';

/** A report that is named by its title. */
type Report = Reported &
  Partial<Of<'what' | 'kind' | 'place' | 'lock' | 'address' | 'pool', string> & Of<'seconds' | 'bytes' | 'count'>>;
type FileSystem = Reported &
  Partial<
    Of<'system' | 'io' | 'device' | 'journal' | 'journalErrors' | 'shutdown' | 'swap' | 'controller', string> &
      Of<'readOnly' | 'server', string>
  >;

const CORRUPTED =
  'Start with the first such line, not the last. In a dump, kdump-mem whatis identifies its addresses, and kdump-mem refs finds what refers to them. On a test machine, slub_debug=FZPU or KASAN finds the code that wrote there. Suspect out-of-tree modules first, then the RAM (is there a hardware-error finding?).';
const STILL_RUNS =
  'If the machine still runs, it may damage data: save its whole log, then move its load away and restart it. ';
const DISK = 'Check the disk and its path (SMART, multipath, the storage log) before you check the file system.';
const SOCKETS_FIRST = 'Find the sockets that hold the memory before you raise a limit: unread sockets fill any limit.';
const REPORT_IT = 'It can wait: report it to the vendor of the kernel, with all its lines.';
const isTest = (symbol: Figure | undefined): boolean => /^kunit_/.test(String(symbol));

export const REPORTS = {
  'memory-corruption': {
    words: (
      of: Reported & Partial<Of<'cache' | 'what' | 'list' | 'kasan' | 'slab' | 'saturated' | 'process', string>>,
    ) => [
      // The message of a bad page has the word.
      `Memory corruption detected${place(of)}: ${figuresOf(of.kasan == null ? of : { ...of, what: null }, 'cache', 'what', 'list', 'kasan', 'slab', 'saturated')}.`,
      ...(isTest(of.symbol) ? ['A test of the kernel (KUnit) was running: it may do this on purpose.'] : []),
    ],
    means:
      'The kernel detected an invalid write, a double free or a use after free. Later failures may be consequences, and other answers from this dump may be wrong.',
    known:
      'Log lines of the checks in mm/slub.c (slub_debug), lib/list_debug.c, lib/refcount.c, mm/kasan and mm/memory.c.',
    next: CORRUPTED,
    act: ({ symbol }: Reported, panicked: boolean) =>
      isTest(symbol)
        ? 'First find out whether tests of the kernel ran on purpose: then there is nothing to do.'
        : `${panicked ? '' : STILL_RUNS}${CORRUPTED}`,
    deeper: 'kdump-mem log',
  },
  'hardware-error': {
    words: (
      of: Reported &
        Partial<Of<'driver' | 'what' | 'error' | 'device' | 'kind' | 'frame', string> & Of<'count' | 'on'>>,
    ) => `Hardware error: ${figuresOf(of, 'driver', 'what', 'error', 'device', 'kind')}.`,
    means:
      'The processor, the memory controller or a PCIe device reported an error. UE: an uncorrected error; data is lost. CE: a corrected error; many of them often precede a failure.',
    known:
      'Lines of arch/x86/kernel/cpu/mce, mm/memory-failure.c, drivers/edac and drivers/pci/pcie/aer.c, and of firmware through APEI.',
    next: 'Read the hardware log (BMC, rasdaemon) and replace the part that it names. Do not rely on other findings of that machine.',
    deeper: 'kdump-mem log --level err+',
  },
  'kernel-warning': {
    words: (of: Report & Partial<Of<'device', string>>, title?: string) =>
      of.place == null
        ? named(of, title)
        : `Kernel warning at ${text(of.place)}${of.symbol == null ? '' : `, in ${text(of.symbol)}`}.`,
    means:
      'The condition of a WARN_ON() was true: a state that should not occur. The kernel continued. It can be the first sign of a later failure.',
    known: 'The line that __warn (kernel/panic.c) prints, with file and line.',
    next: 'If this warning precedes your problem, read the source at that line and the stack trace after it in the log. Otherwise it can wait: report it to the vendor of the kernel or of the module.',
    deeper: 'kdump-mem log --level warn+',
  },
  lockdep: {
    words: (of, title) => [
      named(of, title),
      'The lock checker of the kernel (lockdep) warns that this code could deadlock. Nothing hangs because of the report.',
    ],
    means:
      'Lockdep found a lock order or context that can deadlock; or a lock that is released, freed or held where it must not be; or an RCU access outside a read-side critical section. A deadlock need not have occurred.',
    known:
      'Reports of kernel/locking/lockdep.c (Documentation/locking/lockdep-design.rst) and kernel/rcu. They need CONFIG_PROVE_LOCKING; lockdep turns itself off after the first.',
    next: `${REPORT_IT} Where it has chains, they show which lock was taken while another was held.`,
    deeper: 'kdump-mem log --level warn+',
  },
  'atomic-sleep': {
    words: named,
    means:
      'The kernel slept, or could have slept, in atomic context: with a spinlock held, in an interrupt, or with preemption disabled. A deadlock is possible.',
    known:
      'Lines of kernel/sched/core.c, lib/smp_processor_id.c and kernel/workqueue.c. Some need CONFIG_DEBUG_ATOMIC_SLEEP or CONFIG_DEBUG_PREEMPT.',
    next: 'Report it to the vendor of the kernel or of the module: the fault is in its code, and the process only ran into it. Such code can hang the machine later. In the stack trace the function in the title called one that sleeps; find the lock that its caller holds.',
    deeper: 'kdump-mem log --level warn+',
  },
  'spinlock-bug': {
    words: named,
    means:
      'A spinlock or rwlock was taken twice by one CPU, released by another, used before it was initialized, or not released for a long time.',
    known: 'Reports of kernel/locking/spinlock_debug.c. They need CONFIG_DEBUG_SPINLOCK.',
    next: 'Bad magic: the memory of the lock was freed or overwritten. Recursion or lockup: read the stack traces of the owner and of the waiting CPU.',
    deeper: 'kdump-mem stacks',
  },
  'workqueue-lockup': {
    words: named,
    means:
      'A worker pool made no progress for longer than workqueue.watchdog_thresh (30 s). Its queued work items wait.',
    known: 'The line of the watchdog in kernel/workqueue.c; the state of the pools follows it.',
    next: 'The lines after it list the pools and work items in flight: read the stack traces of those kworkers.',
    deeper: 'kdump-mem stacks',
  },
  'memory-leak': {
    words: (of: Report & Partial<Of<'cache', string>>, title?: string) =>
      of.cache == null
        ? named(of, title)
        : [
            `Objects remaining: slab cache ${text(of.cache)} was destroyed while objects of it were in use.`,
            'They are leaked, not corrupt.',
          ],
    means:
      'kmemleak found memory that was allocated and that no pointer references any more, or a slab cache was destroyed while objects of it were in use.',
    known:
      'Reports of mm/kmemleak.c (Documentation/dev-tools/kmemleak.rst). A few are false positives: pointers stored in another form.',
    next: 'The backtrace of the report is that of the allocation. `kdump-mem leaks` measures allocations that are not freed, by call site; `kdump-mem memory --unreachable` lists them in a dump.',
    act: ({ cache }: Partial<Of<'cache', string>>) =>
      cache != null
        ? 'Report it to the vendor of the code that destroyed the cache. Only a reboot frees the leaked objects.'
        : 'Report it to the vendor of the code in its backtrace, which allocated the memory. One report is small: on that machine kdump-mem leaks shows whether it grows.',
    deeper: 'kdump-mem leaks',
  },
  'uninitialized-value': {
    words: named,
    means: 'KMSAN found that the kernel used uninitialized memory, or copied it to user space (infoleak).',
    known: 'Reports of mm/kmsan (Documentation/dev-tools/kmsan.rst).',
    next: 'The report shows where the value was used, where it was copied, and where it was created.',
    act: () => 'Report it to the vendor of the kernel, with all its lines.',
    deeper: 'kdump-mem log --level err+',
  },
  'data-race': {
    words: named,
    means:
      'KCSAN found two concurrent accesses to one address, at least one of them a write, without a lock or a marked access (READ_ONCE, WRITE_ONCE).',
    known: 'Reports of kernel/kcsan (Documentation/dev-tools/kcsan.rst).',
    next: `Both stack traces are in the report. Not every race is harmful. ${REPORT_IT}`,
    act: () => REPORT_IT,
    deeper: 'kdump-mem log --level err+',
  },
  'undefined-behavior': {
    words: named,
    means:
      'UBSAN found an operation that is undefined in C: an array index out of bounds, a shift out of bounds, a signed overflow.',
    known: 'Reports of lib/ubsan.c (Documentation/dev-tools/ubsan.rst).',
    next: 'The line names the file and line of the operation. An index out of bounds can have overwritten other data.',
    act: () =>
      'Report it to the vendor of the kernel, with all its lines. An index out of bounds can have overwritten other data: if more faults follow, restart the machine.',
    deeper: 'kdump-mem log --level err+',
  },
  'network-memory': {
    words: (
      of: Reported & Partial<Of<'protocol' | 'what' | 'sockets' | 'table' | 'neighbours' | 'routes' | 'files', string>>,
    ) =>
      `Network resource exhausted: ${figuresOf(of, 'protocol', 'what', 'sockets', 'table', 'neighbours', 'routes', 'files')}.`,
    traits: ['passing'],
    means:
      'The network stack ran out of a resource: tcp_mem was exhausted, the connection (conntrack) or neighbour table was full, or the limit of open files was reached.',
    known: 'Lines of net/ipv4/tcp.c, net/netfilter/nf_conntrack_core.c, net/core/neighbour.c and fs/file_table.c.',
    next: SOCKETS_FIRST,
    act: ({
      protocol,
      sockets,
      table,
      neighbours,
      files,
    }: Partial<Of<'protocol' | 'sockets' | 'table' | 'neighbours' | 'files', string>>) => {
      if (table != null)
        return 'Find which connections fill the table (conntrack -S, conntrack -L) before you raise its limit.';
      if (neighbours != null)
        return 'Compare the number of neighbours (ip neigh) with gc_thresh3, and find what adds them.';
      if (files != null) return 'Find the process with the most open descriptors before you raise fs.file-max.';
      return protocol == null && sockets == null ? undefined : SOCKETS_FIRST;
    },
    deeper: 'kdump-mem sockets',
  },
  'file-system-error': {
    words: (of: FileSystem) =>
      of.server != null
        ? `NFS server ${text(of.server)} is not responding.`
        : `File system or disk error: ${figuresOf(of, 'system', 'io', 'device', 'journal', 'journalErrors', 'shutdown', 'swap', 'controller')}${of.readOnly == null ? '' : `${text(of.readOnly)} is now read-only`}.`,
    means: 'A file system is damaged, or a disk request failed. Tasks that wait for the disk hang; files may be lost.',
    known:
      'Lines of fs/ext4, fs/jbd2, fs/xfs, fs/btrfs, net/sunrpc, block/blk-core.c, fs/buffer.c, mm/page_io.c and drivers/nvme.',
    next: DISK,
    act: ({ server }: FileSystem) => (server == null ? DISK : 'Check the server, and the network to it.'),
    deeper: 'kdump-mem log --level err+',
  },
} satisfies Declarations;

/** The name that people search for, and where it was. */
function named(of: Report, title?: string): string {
  const name = title === undefined ? figuresOf(of, 'what', 'kind', 'symbol') : text(title);
  const cpu = of.cpu == null ? '' : ` on CPU ${text(of.cpu)}`;
  const task = of.pid == null ? '' : ` in ${process(of)}`;
  return `${name.replace(/[.!]$/, '')}${cpu}${task}.`;
}
