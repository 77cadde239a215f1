import { grouped } from '../../base/util.js';
import type { Figure, Finding, FindingCode } from '../../triage/finding.js';
import { PLACE } from '../../triage/rules/names.js';
import { taintFlags } from '../../walk/machine-facts.js';
import { anyCategoryWords } from '../memory/words.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import { oomWords } from './oom.js';
import type { Adjusted, RulesOutcome } from './schema.js';

type Figures = Readonly<Record<string, Figure>>;

const text = (figure: Figure | undefined): string => (figure == null ? '?' : escapeText(String(figure)));
const size = (figure: Figure | undefined): string => (typeof figure === 'number' ? formatSize(figure) : '?');
const percent = (figure: Figure | undefined): string => (typeof figure === 'number' ? percentWords(100 * figure) : '?');
/** Something is more than nothing: `< 1 %`. */
export const percentWords = (value: number): string => (value > 0 && value < 0.5 ? '< 1 %' : `${Math.round(value)} %`);
const process = ({ pid, comm }: Figures): string => `pid ${text(pid)} (${text(comm)})`;
const program = (of: Figures): string =>
  Number(of.processes ?? 1) > 1 ? `${text(of.processes)} processes named ${text(of.comm)} have` : `${process(of)} has`;
/** Headline and further sentences. A string is only a headline. */
type Words = string | readonly [headline: string, ...details: string[]];

/** The figures that a line of the log had, whichever of its forms it has. */
const said = (figures: Figures, ...names: readonly string[]): string =>
  names.flatMap((name) => (figures[name] == null ? [] : text(figures[name]))).join(': ');

/** Why the reason of a panic is unknown. */
const unloggedWords = ({ logMessages }: Figures): string =>
  logMessages === null
    ? 'the reason is unknown, because the log is not available'
    : 'the log does not contain the reason';

/** `CPU 1 was running pid 7 (x).`, where the task is known. */
const running = (of: Figures): string[] => (of.pid == null ? [] : [`CPU ${text(of.cpu)} was running ${process(of)}.`]);

const WORDS: Readonly<Record<FindingCode, (figures: Figures, title?: string) => Words>> = {
  panic: (of) => [
    `Kernel panic: ${of.reason == null ? unloggedWords(of) : text(of.reason)}.`,
    ...running(of),
    ...(of.cause == null ? [] : [`Preceded by: ${text(of.cause).replace(/\.$/, '')}.`]),
  ],
  oops: oopsWords,
  'soft-lockup': (of) => [
    `Soft lockup: CPU ${text(of.cpu)} stuck for ${text(of.seconds)} s in ${process(of)}.`,
    ...(/^smp_call_function|^csd_lock/.test(String(of.symbol))
      ? ['It waits for another CPU to answer: that CPU is stuck, or the hypervisor does not run it.']
      : []),
  ],
  'hard-lockup': (of) => `Hard lockup: CPU ${text(of.cpu)} stopped servicing interrupts.`,
  'rcu-stall': (of) =>
    `RCU stall: ${of.cpus == null ? 'a CPU' : `CPU ${text(of.cpus).trim().replaceAll(' ', ', ')}`} reported no quiescent state in time (${text(of.flavour)}).`,
  'hung-task': (of) =>
    `Hung task: ${process(of)} was in uninterruptible sleep (state D) for more than ${text(of.seconds)} s.`,
  deadlock: (of) => [
    `Deadlock: ${process(of)} owns ${text(of.kind)} ${text(of.lock)} and waits for ${of.owners === 2 ? `${process({ pid: of.otherPid ?? null, comm: of.otherComm ?? null })}, which waits for it` : `a lock in a cycle of ${text(of.owners)} owners`}.`,
    `${text(of.tasks)} tasks wait for these locks.`,
  ],
  'blocked-on-lock': (of) => [
    `Blocked tasks: ${of.tasks === 1 ? '1 task waits' : `${text(of.tasks)} tasks wait`} for ${text(of.kind)} ${text(of.lock)}, ${of.pid == null ? (of.readers ? `held by ${text(of.readers)} ${of.readers === 1 ? 'reader' : 'readers'}` : 'whose owner is unknown') : `held by ${process(of)}`}.`,
    ...(of.pid == null ? [] : [`Its owner is in state ${text(of.state)}${place(of)}.`]),
    ...(of.seconds == null ? [] : [`Longest wait: ${text(of.seconds)} s.`]),
  ],
  'blocked-tasks': (of) => [
    of.cause != null
      ? `Blocked tasks: ${waitCause(of)}; ${of.tasks === 1 ? `${process(of)} waits for it` : `${text(of.tasks)} tasks wait for it, including ${process(of)}`} (state D).`
      : of.tasks === 1
        ? `Blocked task: ${process(of)} is in uninterruptible sleep (state D)${place(of)}.`
        : `Blocked tasks: ${text(of.tasks)}, including ${process(of)}, are in uninterruptible sleep (state D)${place(of)}.`,
    ...(of.behind == null ? [] : [`${text(of.behind)} of them wait for a lock or lookup, probably behind the others.`]),
    ...(of.cause === 'frozen' ? ['A snapshot or fsfreeze froze it: fsfreeze -u thaws it.'] : []),
    ...(of.file == null ? [] : [`Its file: ${text(of.file)}.`]),
    ...(of.commands == null ? [] : [`Commands: ${text(of.commands)}.`]),
    ...(of.stack == null ? [] : [`Its stack: ${text(of.stack)}.`]),
  ],
  'oom-kill': oomWords,
  'allocation-failure': allocationWords,
  'memory-corruption': (of) =>
    `Memory corruption detected${place(of)}: ${said(of.what === 'state' || of.what === 'cache' ? { ...of, what: null } : of, 'cache', 'what', 'list', 'kasan', 'slab', 'saturated')}.`,
  'hardware-error': (of) => `Hardware error: ${said(of, 'what', 'error', 'device', 'kind')}.`,
  'kernel-warning': (of, title) =>
    of.place == null
      ? named(of, title)
      : `Kernel warning at ${text(of.place)}${of.symbol == null ? '' : `, in ${text(of.symbol)}`}.`,
  lockdep: named,
  'atomic-sleep': named,
  'spinlock-bug': named,
  'workqueue-lockup': named,
  'memory-leak': (of, title) =>
    of.cache == null
      ? named(of, title)
      : [
          `Objects remaining: slab cache ${text(of.cache)} was destroyed while objects of it were in use.`,
          'They are leaked, not corrupt.',
        ],
  'uninitialized-value': named,
  'data-race': named,
  'undefined-behavior': named,
  'network-memory': (of) =>
    `Network resource exhausted: ${said(of, 'protocol', 'what', 'sockets', 'table', 'neighbours', 'routes', 'files')}.`,
  'page-pool-stalled': (of) => [
    `Stalled page pools: ${of.pools == null ? 'at least 1 page pool of a network driver was' : of.pools === 1 ? '1 page pool of a network driver was' : `${text(of.pools)} page pools of network drivers were`} shut down up to ${text(of.seconds)} s ago${of.pages == null ? '' : `, but ${text(of.pages)} pages (at least ${size(of.leastBytes)}) are still in use`}.`,
    ...(Number(of.firstPages ?? 0) > Number(of.pages) ? [`Their number falls: it was ${text(of.firstPages)}.`] : []),
    'A process that does not read its sockets holds such pages; with empty receive queues, suspect the driver.',
  ],
  'resource-exhausted': exhaustedWords,
  'user-space-kill': killWords,
  'file-system-error': (of) =>
    of.server != null
      ? `NFS server ${text(of.server)} is not responding.`
      : `File system or disk error: ${said(of, 'system', 'io', 'device', 'journal', 'journalErrors', 'shutdown', 'swap', 'controller')}${of.readOnly == null ? '' : `${text(of.readOnly)} is now read-only`}.`,
  'queued-data': (of) => [
    `Memory pinned by a socket: fd ${text(of.fd)} of ${process(of)} pins ${pinned(of)}.`,
    `${skbsWords(of)}, most in its ${text(of.queue)} queue.`,
  ],
  'queued-data-of-process': (of) => [
    isMostlyRings(of)
      ? `Memory pinned by sockets: packet rings of ${process(of)} occupy ${size(of.ringBytes)} (${percent(of.share)} of memory).`
      : `Memory pinned by sockets: ${socketsWords(of)} of ${process(of)} ${of.sockets === 1 ? 'pins' : 'pin'} ${pinned(of)}.`,
    ...queued(of),
    ...(of.ringBytes && !isMostlyRings(of) ? [`Packet rings are ${size(of.ringBytes)} of it.`] : []),
    ...(of.leastBytes !== undefined
      ? []
      : [
          of.freedIfKilledBytes === null
            ? 'What killing the process would have freed is unknown.'
            : `Killing the process would have freed at least ${size(of.freedIfKilledBytes)}, and lost the unread data.`,
        ]),
  ],
  'queued-data-of-machine': (of) =>
    of.leastBytes !== undefined
      ? `Memory pinned by sockets: ${text(of.sockets)} sockets without a known process pin ${pinned(of)}.`
      : [
          `Memory pinned by sockets: the ${text(of.sockets)} sockets of the machine pin ${pinned(of)}.`,
          ...queued(of),
          `The largest part, ${size(of.mostBytes)}, is ${of.pid === null ? 'in sockets without a process' : `held by ${process(of)}`}.`,
        ],
  'orphaned-sockets': (of) => [
    `Orphaned TCP sockets: ${socketsWords(of)} without a process ${of.sockets === 1 ? 'pins' : 'pin'} ${pinned(of)}.`,
    `${of.sockets === 1 ? 'It was' : 'They were'} closed here with data that ${text(of.peer)} has not acknowledged.`,
    `The kernel frees an orphan after ${of.retries == null ? 'tcp_orphan_retries retransmissions' : `${text(of.retries)} retransmissions (tcp_orphan_retries)`} without an answer${of.maxOrphans == null ? '' : `, and allows ${text(of.maxOrphans)} (tcp_max_orphans)`}; ss -K frees it now.`,
  ],
  'sockets-in-flight': (of) => [
    `Sockets in flight: ${socketsWords(of)} that no process has open ${of.sockets === 1 ? 'pins' : 'pin'} ${pinned(of)}.`,
    `${process(of)} has not received ${text(of.descriptors)} passed descriptors (SCM_RIGHTS) from its unix socket fd ${text(of.fd)}.`,
    ...queued(of),
  ],
  'stalled-reader': stalledWords,
  'unread-sockets': (of) => [
    `Unread sockets: ${of.pid == null ? 'an unknown process' : process(of)} is not reading ${socketsWords(of)}. ${of.sockets === 1 ? 'It pins' : 'They pin'} ${of.peersBytes == null ? '' : 'about '}${size(of.pinnedBytes)}${of.mostBytes == null ? '' : ` by the kernel’s accounting, at most ${size(of.mostBytes)}`}.`,
    ...(of.unaccepted
      ? [
          `${of.unaccepted === of.sockets ? 'The process has accepted none of them' : `${text(of.unaccepted)} of them ${of.unaccepted === 1 ? 'is' : 'are'} not accepted`}.`,
        ]
      : []),
    `${size(of.unreadBytes)} of unread data is queued.`,
    ...(of.peersBytes
      ? [
          `The send ${of.sockets === 1 ? 'queue of its local peer pins' : 'queues of their local peers pin'} another ${size(of.peersBytes)} or so.`,
        ]
      : []),
    `The newest data${of.sockets === 1 ? '' : ' of each'} has been queued for at least ${text(of.ageSeconds)} s.`,
  ],
  'unattributed-memory': (of) =>
    of.mostBytes == null
      ? `Unattributed memory: ${size(of.bytes)} (${percent(of.share)} of memory) is allocated but not attributed to any owner${of.mostOrder == null ? '' : `, mostly in order-${text(of.mostOrder)} blocks`}.`
      : [
          `Unattributed memory: ${of.bytes === 0 ? `up to ${size(of.mostBytes)}` : `at least ${size(of.bytes)} (${percent(of.share)} of memory)`} has no counter${of.balloon == null ? '' : `; ${text(of.balloon)} may have returned it to the hypervisor`}.`,
          ...(of.balloon == null ? [] : ['Compare the memory that the hypervisor gives to this guest with MemTotal.']),
        ],
  'low-memory': (of) => [
    // Only a host's counters come with its low watermark.
    `Low memory: zone ${text(of.zone)} of node ${text(of.node)} ${of.lowBytes == null ? `had ${size(of.freeBytes)} in free blocks when the dump was taken` : `has ${size(of.freeBytes)} in free blocks`}, below its ${lowWords(of)}.`,
  ],
  'low-available': (of) => [
    `Little memory available: ${size(of.availableBytes)} of ${size(of.totalBytes)} (${percent(of.share)}).`,
    `Largest use: ${USE_WORDS[text(of.use)] ?? text(of.use)}, ${size(of.useBytes)}.`,
    ...largestWords(of),
  ],
  'shared-memory': (of) => [
    `Shared memory: ${sharedWords(of)} ${size(of.bytes)} (${percent(of.share)} of memory)${sharedOwnerWords(of)}.`,
    ...(of.limitBytes == null ? [] : [`The size limit of the tmpfs is ${size(of.limitBytes)}.`]),
    ...(of.mapped === 0 ? ['No process maps that much shared memory, so that no RSS shows it.'] : []),
    ...(of.attachTime == null
      ? []
      : [
          `Last attach: ${text(of.attachTime).slice(0, 19).replace('T', ' ')} UTC${of.attachPid == null ? '' : `, by ${process({ pid: of.attachPid, comm: of.attachComm ?? null })}`}.`,
        ]),
  ],
  pipes: (of) =>
    of.bytes == null
      ? [
          `Pipes: ${program(of)} ${text(of.pipes)} pipes open, which can hold up to ${size(of.mostBytes)}.`,
          `The kernel does not report how much they hold, and no counter includes it. At least ${size(of.unattributedBytes)} of memory is in no counter.`,
        ]
      : `Pipes: ${size(of.bytes)} (${percent(of.share)} of memory) is in pipes${of.pid == null ? '' : `, ${size(of.mostBytes)} of it in those that ${process(of)} reads or has open`}.`,
  vmalloc: (of) => [
    `vmalloc: ${size(of.bytes)} (${percent(of.share)} of memory)${of.pid == null ? '' : `; ${process(of)} has BPF maps of ${size(of.mapBytes)} open`}.`,
    of.caller == null
      ? 'The largest caller is unknown.'
      : `Largest caller: ${text(of.caller)}, ${size(of.callerBytes)}.`,
  ],
  fragmentation: (of) => [
    `Fragmented memory: zone ${text(of.zone)} of node ${text(of.node)} has ${size(of.freeBytes)} free, but no free block of order ${text(of.order)} or larger.`,
    `Since boot, allocations waited for compaction ${text(of.compactStalls)} times, and it failed ${text(of.compactFails)} times.`,
    ...blocksWords(of),
  ],
  'memory-pressure': (of) => [
    `Memory pressure${of.cgroup == null ? '' : ` in cgroup ${text(of.cgroup)}`}: all tasks stalled for memory in ${text(of.fullAvg10)} % of the last 10 s (some tasks: ${text(of.someAvg10)} %).`,
    `In the last 60 s: ${text(of.fullAvg60)} % (some tasks: ${text(of.someAvg60)} %).`,
    ...(of.usedBytes == null ? [] : [`The cgroup uses ${size(of.usedBytes)}.`]),
    ...largestWords(of),
    ...(of.swapUsedBytes ? [`${size(of.swapUsedBytes)} of swap is in use.`] : []),
  ],
  'cgroup-near-limit': (of) => [
    `Cgroup ${of.reclaimableBytes == null ? 'throttled' : 'near its limit'}: ${text(of.cgroup)} uses ${size(of.usedBytes)} of ${size(of.limitBytes)} (${text(of.limit)}).`,
    ...(of.reclaimableBytes == null
      ? []
      : [
          `${of.reclaimableBytes === 0 ? 'None' : `Only ${size(of.reclaimableBytes)}`} of that is page cache, which the kernel can reclaim.`,
        ]),
    ...(of.fullAvg60 ? [`All its tasks stalled for memory in ${text(of.fullAvg60)} % of the last 60 s.`] : []),
    ...largestWords(of),
  ],
  'oom-kills': (of) =>
    `OOM kills since boot: ${text(of.kills)}${of.cgroup == null ? ' on this machine' : ` in cgroup ${text(of.cgroup)}`}.`,
  'writeback-stuck': (of) => [
    `Writeback stuck: ${percent(of.share)} of memory is dirty (${size(of.dirtyBytes)}) or under writeback (${size(of.writebackBytes)}).`,
    `All tasks stalled for I/O in ${text(of.ioFullAvg60)} % of the last 60 s.`,
  ],
  'unreclaimable-slab': (of) => [
    of.share == null
      ? `Slab: ${size(of.bytes)}. Total memory is unknown.`
      : `Unreclaimable slab: ${size(of.bytes)} (${percent(of.share)} of memory).`,
    of.caches == null
      ? 'The largest caches are unknown.'
      : `Largest caches: ${text(of.caches)} (the first has ${size(of.mostBytes)}).`,
  ],
  'per-cpu-memory': (of) => [
    `Per-CPU memory: ${size(of.bytes)} (${percent(of.share)} of memory).`,
    'Memory cgroups (also removed ones that are still charged), BPF maps and network devices have a part per CPU.',
  ],
  'kernel-stacks': (of) =>
    `Kernel stacks: ${size(of.bytes)} (${percent(of.share)} of memory). ${program(of)} the most threads (${text(of.threads)}).`,
  'page-tables': (of) =>
    `Page tables: ${size(of.bytes)} (${percent(of.share)} of memory). ${program(of)} the most (${size(of.mostBytes)}).`,
  'pinned-pages': (of) => [
    `Pinned pages: the kernel pinned ${size(of.pinnedBytes)} (${percent(of.share)} of memory) for ${process(of)} (VmPin).`,
    'It can neither reclaim nor move them until the process or its device frees them (io_uring, RDMA, vdpa).',
  ],
  'limit-near': (of) =>
    `Limit nearly reached: ${of.pid == null ? '' : `${process(of)} uses `}${text(of.used)} of ${text(of.most)} ${of.limit === 'RLIMIT_NOFILE' ? 'file descriptors ' : ''}(${text(of.limit)})${of.mostPid == null ? '' : `; pid ${text(of.mostPid)} (${text(of.mostComm)}) has the most`}.`,
  'hugetlb-unused': (of) => [
    `Unused huge pages: ${size(of.bytes)} (${percent(of.share)} of memory) is reserved in ${size(of.pageBytes)} pages that no process uses.`,
    ...(of.inFilesBytes == null
      ? []
      : [`${size(of.inFilesBytes)} of it is in files of hugetlbfs or segments that no process maps.`]),
  ],
  zombies: (of) => `Zombies: ${text(of.zombies)} exited children of ${process(of)} are not reaped.`,
  'hypervisor-overcommitted': hypervisorWords,
  'clock-unstable': (of) => [
    `Unstable clock: the kernel stopped using clocksource ${text(of.clocksource ?? of.old)}.`,
    'Times before and after may be wrong. In a guest, the hypervisor may have paused it.',
  ],
  'clock-step': (of) =>
    `Clock step: the wall clock was set ${text(Math.abs(Number(of.stepSeconds)))} s ${Number(of.stepSeconds) < 0 ? 'back' : 'forward'} within ${text(of.seconds)} s since the baseline.`,
  'memory-growth': (of) => [
    `Memory growth: ${anyCategoryWords(String(of.category))} grew by ${size(of.grownBytes)} (${percent(of.share)} of memory) in ${text(of.seconds)} s, from ${size(of.beforeBytes)} to ${size(of.bytes)}.`,
    ...(of.ownerBytes == null
      ? []
      : [`Largest growth: ${of.cache == null ? process(of) : text(of.cache)}, ${size(of.ownerBytes)}.`]),
    ...(of.file == null
      ? []
      : [
          `Largest now, mapped by no process: ${text(of.file)}${of.pid == null ? '' : ` of ${process(of)}`}, ${size(of.fileBytes)}.`,
        ]),
    ...(of.pipes == null
      ? []
      : [`${program(of)} ${text(of.pipes)} pipes open, which can hold up to ${size(of.mostBytes)}.`]),
  ],
  rebooted: (of) =>
    `Reboot since the baseline: this boot began ${of.uptimeSeconds == null ? 'at an unknown time' : `${text(Math.round(Number(of.uptimeSeconds)))} s ago`}. Growth since the baseline is unknown.`,
  tainted: (of) =>
    `Tainted kernel: ${taintFlags(BigInt(of.mask ?? 0))
      .map(({ words }) => words)
      .join(', ')}.`,
};

const sharedWords = ({ kind, name, files }: Figures): string => {
  if (kind === 'tmpfs') return `${text(name)} holds`;
  return files == null ? `${text(name)} holds` : `${text(files)} files, the largest ${text(name)}, hold`;
};

const sharedOwnerWords = (of: Figures): string => {
  if (of.pid == null) return '';
  if (of.inside === of.pid)
    return `, in the mount namespace of ${process(of)}${of.cgroup == null ? '' : `, cgroup ${text(of.cgroup)}`}`;
  if (of.processes != null) return `, open in ${text(of.processes)} processes named ${text(of.comm)}`;
  return of.kind === 'segment' ? `, created by ${process(of)}` : `, open in ${process(of)}`;
};

export const USE_WORDS: Readonly<Record<string, string>> = {
  anonymous: 'anonymous memory',
  'page-cache': 'page cache',
  shared: 'shared memory and tmpfs',
  slab: 'slab',
  'kernel-stacks': 'kernel stacks',
  'page-tables': 'page tables',
  'huge-pages': 'huge pages',
  uncounted: 'memory in no counter of /proc/meminfo',
};

const largestWords = (of: Figures): string[] =>
  of.pid == null ? [] : [`Largest process: ${process(of)}, ${size(of.anonBytes)} of anonymous memory.`];

/** What tasks in state D wait for. */
function waitCause(of: Figures): string {
  const where = of.path == null ? '' : ` at ${text(of.path)}`;
  const server =
    of.serverPid == null
      ? 'the FUSE server'
      : `the FUSE server ${process({ pid: of.serverPid, comm: of.serverComm ?? null })}`;
  if (of.cause === 'frozen') return of.path == null ? 'a file system is frozen' : `the file system${where} is frozen`;
  if (of.cause === 'fuse') return `${server}${of.path == null ? '' : ` of ${text(of.path)}`} does not answer`;
  const name = of.source == null ? '' : ` ${text(String(of.source).replace(/:[^:]*$/, ''))}`;
  return `the NFS server${name}${of.path == null ? '' : ` of ${text(of.path)}`} does not answer`;
}

const place = ({ symbol }: Figures): string => (symbol == null ? '' : ` in ${text(symbol)}`);

const lowWords = ({ freeBytes, minBytes, lowBytes }: Figures): string =>
  lowBytes != null && Number(freeBytes) >= Number(minBytes)
    ? `low watermark (${size(lowBytes)})`
    : `min watermark (${size(minBytes)})`;

const socketsWords = ({ sockets }: Figures): string => `${text(sockets)} ${sockets === 1 ? 'socket' : 'sockets'}`;

/** On a host the amount is an estimate with bounds. */
const pinned = (of: Figures): string =>
  of.leastBytes === undefined
    ? `${size(of.pinnedBytes)} (${percent(of.share)} of memory)`
    : `about ${size(of.pinnedBytes)} (${percent(of.share)} of memory${boundsWords(of)})`;
const boundsWords = ({ leastBytes, mostBytes }: Figures): string =>
  leastBytes == null || leastBytes === mostBytes
    ? ''
    : `; at least ${size(leastBytes)}${mostBytes == null ? '' : `, at most ${size(mostBytes)}`}`;

/** Bounds that differ by more say little: only -v shows them. */
const WIDE = 4;

/** Figures without an upper bound that is far above the lower one, and without a lower one that is far below the estimate. */
function withoutWideBounds(of: Figures): Figures {
  const { leastBytes, mostBytes, pinnedBytes } = of;
  if (leastBytes == null) return of;
  const isWide = Number(mostBytes ?? pinnedBytes) > WIDE * Number(leastBytes);
  return isWide ? { ...of, leastBytes: null, mostBytes: null } : of;
}
/** For protocols whose payload the kernel does not report, what it charges. */
function queued(of: Figures): string[] {
  if (of.leastBytes === undefined) return [`${skbsWords(of)}.`];
  return [
    ...(of.payloadBytes ? [`Their queues contain ${size(of.payloadBytes)} of data.`] : []),
    ...(of.chargedBytes
      ? [
          `${of.payloadBytes ? 'Other queues' : 'Their queues'} are charged ${size(of.chargedBytes)}, data and overhead.`,
        ]
      : []),
  ];
}
/** Whether rings, not queues, are most of what a process pins. */
const isMostlyRings = ({ ringBytes, pinnedBytes }: Figures): boolean =>
  Number(ringBytes ?? 0) > Number(pinnedBytes) / 2;
const skbsWords = (of: Figures): string =>
  `${of.sockets === undefined ? 'Its' : 'Their'} queues contain ${text(of.skbs)} skbs with ${size(of.payloadBytes)} of data${timesWords(of)}`;

/** Small packets keep whole blocks allocated. */
function timesWords({ pinnedBytes, payloadBytes }: Figures): string {
  const times = Math.round(Number(pinnedBytes) / Number(payloadBytes));
  return Number.isFinite(times) && times >= 4 ? `; the pages that hold it are ${times} times as large` : '';
}

/** A pool or limit that was used up, by the subsystem that reports it. */
function exhaustedWords(of: Figures): Words {
  switch (String(of.resource ?? '').toLowerCase()) {
    case 'pids':
      return `Task limit reached: the pids controller rejected a fork in cgroup ${text(of.cgroup)} (pids.max).`;
    case 'audit':
      return [
        'Audit backlog full: the kernel discards audit records.',
        ...(of.lost == null ? [] : [`${text(of.lost)} records were lost since boot.`]),
        'Its reader (auditd, or another program with the audit socket) is too slow, or audit_backlog_limit is too small.',
      ];
    case 'swiotlb':
      return [
        `Bounce buffer full (swiotlb): no room${of.requestedBytes == null ? '' : ` for ${text(of.requestedBytes)} bytes`} of ${text(of.device)}${of.used == null ? '' : `; ${text(of.used)} of ${text(of.slots)} slots are in use`}.`,
        'Its driver does not unmap its buffers, or the buffer (swiotlb=) is too small.',
      ];
    case 'hugepage':
      return `Huge page pool empty: pid ${text(of.pid)} was killed (SIGBUS), because no huge page was free.`;
    case 'hugetlb':
      return `Huge pages not allocated: the kernel found ${text(of.got)} of ${text(of.wanted)} requested huge pages.`;
    case 'balloon':
      return [
        `Memory balloon failed: ${text(of.what)}.`,
        'The hypervisor takes or returns memory of this guest, and the guest could not follow.',
      ];
    case 'ttm':
    case '':
      return of.error == null
        ? `GPU memory exhausted: ${text(of.what)}${of.device == null ? '' : ` (${text(of.device)})`}.`
        : cmaWords(of);
    default:
      return cmaWords(of);
  }
}

const EBUSY = -16;

function cmaWords(of: Figures): Words {
  const pages = of.pages == null ? '' : ` of ${text(of.pages)} pages`;
  const why = of.error === EBUSY ? 'its pages are busy' : 'the area is too small, or in use';
  return `CMA allocation${pages} failed${of.device == null ? '' : ` for ${text(of.device)}`}: ${why}.`;
}

/** A kill that the kernel's OOM killer did not make. */
function killWords(of: Figures): Words {
  const killer = text(of.killer);
  const target = of.pod != null ? `pod ${text(of.pod)}` : of.cgroup != null ? `cgroup ${text(of.cgroup)}` : process(of);
  const held = of.rssBytes == null ? '' : `, RSS ${size(of.rssBytes)}`;
  return [
    of.pod != null || of.cgroup != null || of.pid != null
      ? `Killed for lack of memory by ${killer}: ${target}${held}.`
      : `Killed for lack of memory by ${killer}; the line does not name the process.`,
    ...(of.pressure == null
      ? []
      : [
          `Memory pressure of ${text(of.pressureOf)} was ${text(of.pressure)} % (limit ${text(of.pressureLimit)} %) for ${text(of.duration)}.`,
        ]),
    ...(of.usedBytes == null ? [] : [`Memory in use: ${size(of.usedBytes)} of ${size(of.totalBytes)}.`]),
    ...(of.swapUsedBytes == null ? [] : [`Swap in use: ${size(of.swapUsedBytes)} of ${size(of.swapTotalBytes)}.`]),
    ...(of.reason == null ? [] : [`Reason: ${text(of.reason)}.`]),
    'The OOM killer of the kernel did not choose it.',
  ];
}

function hypervisorWords({ stealShare, recentShare, idleLockups, balloonBytes }: Figures): Words {
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

function allocationWords(of: Figures, title?: string): Words {
  if (of.order === undefined) {
    const task = of.spl == null || of.pid == null ? '' : ` in ${process(of)}${place(of)}`;
    const cache = title?.startsWith('SLUB: no memory') ? ` (${title.replace(/^.* for /, '')})` : '';
    return `Allocation failure: ${said(of, 'what', 'percpu', 'slab', 'spl', 'xfs', 'zram', 'overcommit')}${escapeText(cache)}${task}.`;
  }
  const what = of.milliseconds == null ? 'failure' : 'stall';
  const name =
    of.order == null
      ? `vmalloc allocation ${what} (${text(of.vmalloc)})`
      : `Page allocation ${what}: order ${text(of.order)}`;
  const time = of.milliseconds == null ? '' : `, ${text(of.milliseconds)} ms`;
  return [
    `${name} (${text(of.gfp)}) in ${text(of.comm)}${of.symbol == null ? '' : `, requested by ${text(of.symbol)}${of.module == null ? '' : ` [${text(of.module)}]`}`}${time}.`,
    of.freeBytes == null
      ? 'The log does not show how much memory was free.'
      : `${size(of.freeBytes)} was free, ${size(of.freeInLargeBlocksBytes)} of it in large enough blocks.`,
    ...(of.zone == null ? [] : refusedWords(of)),
    ...blocksWords(of),
  ];
}

/** Pageblocks of the zone, which compaction cannot empty. */
function blocksWords(of: Figures): string[] {
  if (of.pageblocks == null) return [];
  return [
    `Now ${text(of.unmovableBlocks)} of the ${text(of.pageblocks)} pageblocks of that zone are unmovable, and ${text(of.reclaimableBlocks)} are reclaimable.`,
  ];
}

/** Which zone refused, and why. */
function refusedWords(of: Figures): string[] {
  const zone = `Zone ${text(of.zone)} of node ${text(of.node)} had ${size(of.zoneFreeBytes)} free; its min watermark is ${size(of.zoneMinBytes)}.`;
  const largest = of.largestFreeOrder == null ? '' : ` (largest free block: order ${text(of.largestFreeOrder)})`;
  if (of.shortage === 'watermark') return [zone, 'Every zone that the request could use was below its watermark.'];
  if (of.shortage === 'fragmentation')
    return [zone, `Memory was fragmented: no usable block of that order was free${largest}.`];
  return [zone];
}

/** Further unread sockets of one process, without a sum: they may share pinned memory. */
export function othersWords(others: readonly Finding[]): string {
  const fds = others.slice(0, 3).map(({ figures }) => text(figures.fd));
  const more = others.length > fds.length ? ', …' : '';
  const sockets = others.length === 1 ? 'socket' : 'sockets';
  return `It is not reading ${others.length} more ${sockets} (fd ${fds.join(', ')}${more}), which may pin some of the same pages.`;
}

/** The name that people search for, and where it was. */
function named(of: Figures, title?: string): string {
  const name = title === undefined ? said(of, 'what', 'kind', 'symbol') : text(title);
  const cpu = of.cpu == null ? '' : ` on CPU ${text(of.cpu)}`;
  const task = of.pid == null ? '' : ` in ${process(of)}`;
  return `${name.replace(/[.!]$/, '')}${cpu}${task}.`;
}

/** State of the thread that is nearest to reading. */
const DOING: Readonly<Record<string, (of: Figures) => string>> = {
  stopped: () => 'All its threads are stopped.',
  running: () => 'One of its threads is running.',
  receiving: () =>
    'According to its stack trace, one of its threads waits in a receive call, for this socket or another.',
  polling: () =>
    'According to its stack trace, one of its threads waits for events: it is not stuck in the kernel, but does not read this socket.',
  elsewhere: (of) => `According to its stack trace, it waits in ${text(of.symbol)}.`,
};

function stalledWords(of: Figures): Words {
  return [
    `Stalled reader: ${process(of)} is not reading fd ${text(of.fd)}.`,
    `${size(of.unreadBytes)} is queued and pins ${of.leastBytes === undefined ? '' : 'about '}${size(of.pinnedBytes)}.`,
    `The newest data has been queued for ${text(of.ageSeconds)} s.`,
    ...(of.windowBytes === 0 ? ['The receive window is 0: the peer cannot send more.'] : []),
    DOING[String(of.doing)]?.(of) ?? 'The state of its threads is unknown.',
  ];
}

function oopsWords(of: Figures, title?: string): Words {
  if (/\.rs:\d+:\d+$/.test(String(of.place)))
    return [`Rust panic at ${text(of.place)}: ${text(title?.replace(/ in \w+$/, ''))}.`, ...running(of)];
  const module = of.module == null ? '' : ` [${text(of.module)}]`;
  const where = of.symbol == null ? '' : ` in ${text(of.symbol)}${module}`;
  const what =
    of.address == null
      ? `Kernel oops${where}: ${said(of, 'trap', 'place', 'kind', 'error')}.`
      : `Kernel oops: invalid memory access at 0x${text(of.address)}${where}.`;
  return [what, ...running(of)];
}

/** The sentence of a rule, with figures formatted by their names. */
function filled(sentence: string, figures: Figures): string {
  return sentence
    .split(PLACE)
    .map((part, index) => (index % 2 === 0 ? escapeText(part) : figureWords(part, figures[part])))
    .join('');
}

function figureWords(name: string, figure: Figure | undefined): string {
  if (typeof figure === 'number' && /[bB]ytes$/.test(name)) return size(figure);
  if (typeof figure === 'number' && /[sS]hare$/.test(name)) return percent(figure);
  return text(figure);
}

const ageWords = (seconds: number): string => {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
};

/** A finding: its headline, which begins with its name, and further sentences. */
export function findingSentences(
  { code, figures, rule, title, past }: Pick<Finding, 'code' | 'figures' | 'rule' | 'title' | 'past'>,
  verbose = false,
): readonly [string, ...string[]] {
  const { times, others, boot, boots, bootId, log, secondsAgo, secondsBeforeEnd, subject } = figures;
  const words = rule
    ? filled(rule.message, figures)
    : WORDS[code as FindingCode](verbose ? figures : withoutWideBounds(figures), title);
  const [headline, ...details] = typeof words === 'string' ? ([words] as const) : words;
  if (typeof times === 'number' && times > 1) details.push(`Seen ${times} times.`);
  if (typeof secondsAgo === 'number')
    details.push(
      past || secondsAgo >= 3600
        ? `That was about ${ageWords(secondsAgo)} ago; the machine ran on.`
        : `The log reported it ${ageWords(secondsAgo)} ago.`,
    );
  if (typeof secondsBeforeEnd === 'number' && secondsAgo === undefined)
    details.push(`That was about ${ageWords(secondsBeforeEnd)} before the end of the log; the machine ran on.`);
  if (subject === 'gone') details.push(code === 'oom-kill' ? 'The cgroup is gone.' : 'The process is gone.');
  if (subject === 'running') details.push('The process is no longer in state D.');
  if (typeof others === 'number') details.push(`${others} more findings of this kind are not listed.`);
  if (boot != null)
    details.push(`Boot ${text(boot)}${bootId == null ? '' : ` (${text(bootId)})`} of ${text(boots)} in the log.`);
  if (log != null) details.push(`Log: ${text(log)}.`);
  return [headline, ...details];
}

/** The name by which bug trackers know it, where the headline does not contain it. */
export function titleWords(finding: Finding): string | undefined {
  if (finding.title === undefined) return undefined;
  const title = escapeText(finding.title);
  const known = findingSentences(finding)[0].toLowerCase();
  return known.includes(title.toLowerCase()) ? undefined : title;
}

/** The same in one text. */
export function findingWords(finding: Parameters<typeof findingSentences>[0]): string {
  return findingSentences(finding).join(' ');
}

/** The advice of a rule; undefined: none. */
export function adviceWords({ figures, rule }: Pick<Finding, 'figures' | 'rule'>): string | undefined {
  return rule?.advice === undefined ? undefined : filled(rule.advice, figures);
}

/**
 * Effects of rules beside their findings: silenced and changed ones, and rules that could not be evaluated.
 */
export function rulesLines({ rules, matched, unknown, silenced, changed }: RulesOutcome): string[] {
  return [
    `Rules: ${matched} of ${rules} matched.`,
    ...silenced.map(silencedWords),
    ...changed.map(changedWords),
    ...[...grouped(unknown, ({ why }) => why)].map(([why, all]) => {
      const codes = [...new Set(all.map(({ code }) => code))].join(', ');
      return `Not evaluated: ${escapeText(codes)} (${escapeText(why)}).`;
    }),
  ];
}

function silencedWords({ code, from, findings, because }: Adjusted): string {
  return `Silenced: ${counted(findings, code)} (${from}). ${escapeText(because)}`;
}

function changedWords({ code, from, to, findings, because }: Adjusted): string {
  return `Severity changed: ${counted(findings, code)}, ${from} to ${to}. ${escapeText(because)}`;
}

function counted(findings: number, code: string): string {
  return `${findings} ${code} ${findings === 1 ? 'finding' : 'findings'}`;
}
