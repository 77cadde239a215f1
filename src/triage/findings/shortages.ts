import { formatSize, inflect } from '../../base/size.js';
import {
  blocksWords,
  cgroupPath,
  cgroupWords,
  type Declarations,
  figuresOf,
  type Of,
  type OfProcess,
  percent,
  place,
  process,
  size,
  text,
  type Words,
} from './declared.js';
import { USE_WORDS } from './memory.js';

/** Which zone refused a request, and why. */
type Refusal = Partial<
  Of<'shortage' | 'zone', string> &
    Of<
      | 'node'
      | 'largestFreeOrder'
      | 'zoneFreeBytes'
      | 'zoneMinBytes'
      | 'zoneLowBytes'
      | 'zoneHighBytes'
      | 'zoneCmaFreeBytes'
      | 'unusableFreeBytes'
    > &
    Of<'unusable', string>
>;
/** Without `comm`: a line without a report. */
type Failure = Refusal &
  Parameters<typeof blocksWords>[0] &
  Partial<
    Of<
      | 'comm'
      | 'symbol'
      | 'module'
      | 'gfp'
      | 'vmalloc'
      | 'what'
      | 'percpu'
      | 'slab'
      | 'spl'
      | 'xfs'
      | 'zram'
      | 'overcommit',
      string
    > &
      Of<'order' | 'pid' | 'milliseconds' | 'freeBytes' | 'freeInLargeBlocksBytes'>
  >;
type Kill = Refusal &
  OfProcess &
  Of<'outcome' | 'scope' | 'reason' | 'cgroup' | 'invokedBy' | 'panicOnOom' | 'memsAllowed' | 'nodemask', string> &
  Of<'chosenComm' | 'victimCgroup' | 'reaper' | 'largestComm', string> &
  Of<'victims' | 'chosenPid' | 'order' | 'largestPid' | 'largestRssBytes'> &
  Of<'victimAnonBytes' | 'victimRssBytes' | 'victimSwapBytes'> &
  Partial<Of<'managedBytes' | 'unattributedBytes' | 'swapTotalBytes' | 'swapFreeBytes'>> &
  Partial<Of<'limitBytes', number | string> & Of<'hardware', string>>;

type Exhausted = Partial<
  Of<'resource' | 'cgroup' | 'device' | 'card' | 'what', string> &
    Of<
      'poolKib' | 'lost' | 'limit' | 'pages' | 'error' | 'requestedBytes' | 'slots' | 'used' | 'pid' | 'wanted' | 'got'
    >
>;
type UserSpaceKill = OfProcess &
  Of<'killer' | 'cgroup' | 'pod' | 'pressureOf' | 'duration' | 'reason', string> &
  Of<'rssBytes' | 'swapBytes' | 'pressure' | 'pressureLimit'> &
  Of<'usedBytes' | 'totalBytes' | 'swapUsedBytes' | 'swapTotalBytes'>;

const COMPARE =
  'Find what used more than it normally does: compare the largest processes and the largest kind of memory with your monitoring before that time.';
const WHAT_GREW = `${COMPARE} The victim need not be the cause: the kernel kills the process with the highest badness, which includes oom_score_adj.`;
const IN_CGROUP =
  'Find what grew in that cgroup: the victim need not be the cause. Raise the limit if that is what it normally needs; if its use only grows, it is a leak, and fills any limit.';
const GONE =
  'That cgroup is gone. Find out what ran in it: where it was restarted, it has a new cgroup, and may be killed again.';
const SMALL_ORDER = 'Below order 4 memory was short: find where it is.';
const LARGE_ORDER =
  'From order 4 on a single failure is harmless if the caller falls back to smaller orders; if it repeats, report it to the vendor of the caller.';

export const SHORTAGES = {
  'oom-kill': {
    words: oomWords,
    traits: ['shortage', 'passing'],
    means:
      'A page allocation or a cgroup charge failed, and the kernel invoked the OOM killer. The JSON field `reason` names what ran out of memory: the machine (`global`), a memory cgroup at its limit (`memcg`), or the nodes that a cpuset or memory policy allows (`cpuset`, `mempolicy`). It is `sysrq` if SysRq-f invoked the OOM killer. The field `outcome` is the result: `killed`, `chosen` (the log does not contain the kill), `exiting`, `no-killable-process`, `panic` (vm.panic_on_oom: no process was killed) or `unknown`. The field `shortage` is `watermark` if no zone had enough free pages. It is `fragmentation` if a zone had enough free pages, but no free block as large as the allocation.',
    known:
      'The report of mm/oom_kill.c, read from its lines (kernels since 2.6.32); counters and zones are from mm/show_mem.c (before 6.4: mm/page_alloc.c), those of a cgroup from mm/memcontrol.c. A figure that the kernel did not print, or that was cut off, is null.',
    next: WHAT_GREW,
    act: ({
      reason,
      shortage,
      outcome,
      subject,
      pid,
      largestPid,
      largestRssBytes,
      tasksRssBytes,
      againPid,
      comm,
    }: Partial<
      Of<'reason' | 'shortage' | 'outcome' | 'subject' | 'comm', string> &
        Of<'pid' | 'largestPid' | 'largestRssBytes' | 'tasksRssBytes' | 'againPid'>
    >) => {
      if (reason === 'sysrq')
        return 'Find out who requested it: a person at the console, or a program that writes f to /proc/sysrq-trigger.';
      if (outcome === 'unknown')
        return 'Get the log after this line: counters, processes and the victim follow there, and are missing here.';
      if (reason === 'memcg') return subject === 'gone' && againPid == null ? GONE : IN_CGROUP;
      if (reason === 'page-fault' || shortage === 'fragmentation') return undefined;
      // It had most of what all processes had.
      const isMost =
        pid != null && pid === largestPid && Number(largestRssBytes) > Number(tasksRssBytes ?? Infinity) / 2;
      const name = comm == null ? 'its name' : `the name ${text(comm)}`;
      return isMost
        ? `${COMPARE} Begin with the victim, pid ${text(pid)}, which had more than half of the memory of all processes, and with others of ${name}.`
        : WHAT_GREW;
    },
    deeper: 'kdump-mem procs',
  },
  'allocation-failure': {
    words: allocationWords,
    traits: ['shortage', 'passing'],
    means:
      'The page allocator had no free block of the order in the title, or needed too long to find one (JSON: `milliseconds`). It can also be vmalloc, the per-CPU allocator, a slab cache or overcommit accounting. If much memory was free, but not in large blocks, memory was fragmented. If little was free, memory was short.',
    known:
      'warn_alloc’s report (mm/page_alloc.c): order, flags, and the free blocks of each zone then; lines of mm/vmalloc.c, mm/percpu.c, mm/slub.c, mm/util.c and fs/xfs.',
    next: `${SMALL_ORDER} ${LARGE_ORDER}`,
    act: ({ order, shortage }: Partial<Of<'order'> & Of<'shortage', string>>) => {
      if (order == null || shortage === 'fragmentation') return undefined;
      return order >= 4 ? LARGE_ORDER : shortage === 'watermark' ? SMALL_ORDER : undefined;
    },
    deeper: 'kdump-mem memory --nodes',
  },
  'page-pool-stalled': {
    words: (of: Of<'pools' | 'pages' | 'leastBytes' | 'firstPages' | 'seconds'>) => [
      `Stalled page pools: ${of.pools == null ? 'at least 1 page pool of a network driver was' : of.pools === 1 ? '1 page pool of a network driver was' : `${text(of.pools)} page pools of network drivers were`} shut down up to ${text(of.seconds)} s ago${of.pages == null ? '' : `, but ${of.pages === 1 ? '1 page' : `${text(of.pages)} pages`} (at least ${size(of.leastBytes)}) ${inflect(of.pages, 'is', 'are')} still in use`}.`,
      ...(Number(of.firstPages ?? 0) > Number(of.pages) ? [`Their number falls: it was ${text(of.firstPages)}.`] : []),
      'Either a process does not read its sockets: skcheck --stale names it. Or, if that names none, the driver does not return the pages.',
    ],
    traits: ['passing'],
    means:
      'A network driver shut down its page pool, such as after a change of the MTU, an XDP program or a namespace, while pages of it were in use. Each pool repeats the message every minute until all its pages are back.',
    known: 'Lines of page_pool_release_retry (net/core/page_pool.c); the newest line of each pool counts.',
    next: 'A socket whose process does not read it holds such pages. With empty receive queues, report it to the driver.',
    act: false,
    deeper: 'skcheck --stale',
  },
  'resource-exhausted': {
    words: exhaustedWords,
    traits: ['passing'],
    means:
      'A pool or a limit of the kernel was used up: tasks of a cgroup, the audit backlog, CMA, the bounce buffer or the atomic pool of DMA, huge pages, memory of a GPU, or the balloon of a guest.',
    known:
      'Lines of kernel/cgroup/pids.c, kernel/audit.c, mm/cma.c, kernel/dma/swiotlb.c, mm/hugetlb.c, drivers/gpu/drm and the balloon drivers.',
    next: 'Find what holds the resource before you raise the limit: a leak fills any limit.',
    act: ({ resource }: Partial<Of<'resource', string>>) =>
      resource === 'pids'
        ? 'Find which program starts so many tasks before you raise pids.max: a leak fills any limit.'
        : undefined,
    deeper: 'kdump-mem log --level warn+',
  },
  'no-dump': {
    words: noDumpWords,
    traits: ['passing'],
    means:
      'The capture kernel of kdump ran, but did not report that it saved the dump. `reason` is why: `memory` (crashkernel= is too small), `space` (the disk is full), `network`, `device` (the disk or its file system did not appear), `timeout`, or `collector` (makedumpfile or the copy failed).',
    known:
      'The log of the capture kernel: kexec-dmesg.log, its console or a pstore record. Its command line has elfcorehdr=, or programs of kdump report. `ramBytes` is all memory that it had, which crashkernel= reserves. More than `moreThanBytes` was needed: that plus the allocation that failed, and the distance of its zone to the min watermark (`shortBytes`). `aboutBytes` adds the RSS of the processes that were killed before (`kills`); the last one is still part of `ramBytes`.',
    next: 'Memory: raise crashkernel= above the bound, then test it with `echo c > /proc/sysrq-trigger`; each further program or driver needs more. Space, network, device: check the dump target in /etc/kdump.conf or /etc/default/kdump-tools. Tests (echo c, kdumpctl test) crash the machine.',
    act: ({ reason, moreThanBytes }: Of<'reason', string> & Partial<Of<'moreThanBytes'>>) =>
      reason === 'memory'
        ? `Raise crashkernel=${moreThanBytes == null ? '' : ' above that amount'}, reboot, and test it in a maintenance window: echo c > /proc/sysrq-trigger crashes the machine.`
        : reason === 'timeout' || reason === 'collector'
          ? undefined
          : 'Check the dump target in /etc/kdump.conf or /etc/default/kdump-tools: free space, mount, network. Test it in a maintenance window only: a test (kdumpctl test) crashes the machine.',
    deeper: 'kdump-mem log',
  },
  'user-space-kill': {
    words: killWords,
    traits: ['passing'],
    means:
      'A program killed a process, a cgroup or a pod for lack of memory: systemd-oomd, earlyoom, nohang, kubelet, or the low memory killer of Android. The OOM killer of the kernel did not run.',
    known:
      'The line of the program in the journal or syslog, with its limit and the size of the victim as it printed them.',
    next: 'The victim is not always the cause: look for the largest process and for growth before the kill.',
    deeper: 'kdump-mem procs --live',
  },
} satisfies Declarations;

type NoDump = Of<'reason', string> &
  Partial<OfProcess> &
  Partial<
    Of<'use' | 'site', string> &
      Of<
        | 'ramBytes'
        | 'reservedBytes'
        | 'freeBytes'
        | 'shortBytes'
        | 'moreThanBytes'
        | 'aboutBytes'
        | 'kills'
        | 'useBytes'
        | 'rssBytes'
        | 'siteBytes'
      >
  >;

const NO_DUMP: Readonly<Record<string, string>> = {
  space: 'Capture kernel: the dump target has no space left.',
  network: 'Capture kernel: no network connection to the dump target.',
  device: 'Capture kernel: the device or file system of the dump target did not appear.',
  timeout: 'Capture kernel: timeout while it waited for the dump target.',
  collector: 'Capture kernel: the program that saves the dump failed.',
};

function noDumpWords(of: NoDump): Words {
  if (of.reason !== 'memory') return NO_DUMP[text(of.reason)] ?? 'Capture kernel: no dump was saved.';
  return [
    `Capture kernel out of memory${of.ramBytes == null ? '' : `: it had ${size(of.ramBytes)}`}, and saved no dump.`,
    ...(of.moreThanBytes == null
      ? ['Its log does not show how much memory was missing: crashkernel= is too small.']
      : [
          `crashkernel= must reserve more than ${size(of.moreThanBytes)}: its memory and the ${size(of.shortBytes)} that the last request lacked.`,
        ]),
    ...(of.aboutBytes == null
      ? []
      : [
          `With the ${of.kills === 1 ? 'process' : `${text(of.kills)} processes`} that the OOM killer killed before, about ${size(of.aboutBytes)} was needed.`,
        ]),
    ...(of.use == null ? [] : [`Largest use: ${USE_WORDS[text(of.use)] ?? text(of.use)}, ${size(of.useBytes)}.`]),
    ...(of.rssBytes == null ? [] : [`Largest process: ${process(of)}, RSS ${size(of.rssBytes)}.`]),
    ...(of.site == null ? [] : [`Largest allocation site: ${text(of.site)}, about ${size(of.siteBytes)}.`]),
  ];
}

/** An order, with its size on most machines. More than MAX_ORDER (include/linux/mmzone.h) is none of a real kernel. */
function orderWords(order: number): string {
  if (order === 0) return 'order 0 (one page)';
  const pages = order > 16 ? `2^${order}` : (2 ** order).toLocaleString('en-US');
  return `order ${order} (${pages} pages in one block${order > 16 ? '' : `, ${size(4096 * 2 ** order)} with pages of 4 KiB`})`;
}

function allocationWords(of: Failure, title?: string): Words {
  if (of.order === undefined) {
    const task = of.spl == null || of.pid == null ? '' : ` in ${process(of)}${place(of)}`;
    const cache = title?.startsWith('SLUB: no memory') ? ` (${text(title.replace(/^.* for /, ''))})` : '';
    return `Allocation failure: ${figuresOf(of, 'what', 'percpu', 'slab', 'spl', 'xfs', 'zram', 'overcommit')}${cache}${task}.`;
  }
  const what = of.milliseconds == null ? 'failure' : 'stall';
  const name =
    of.order == null
      ? `vmalloc allocation ${what} (${text(of.vmalloc)})`
      : `Page allocation ${what}: ${orderWords(Number(of.order))}`;
  const time = of.milliseconds == null ? '' : `, ${text(of.milliseconds)} ms`;
  const gfp = of.gfp == null ? '' : `, ${text(of.gfp)}`;
  const task =
    of.comm == null ? '' : `, in ${of.comm === 'swapper' ? 'an interrupt on an idle CPU (swapper)' : text(of.comm)}`;
  return [
    `${name}${gfp}${task}${of.symbol == null ? '' : `, requested by ${text(of.symbol)}${of.module == null ? '' : ` [${text(of.module)}]`}`}${time}.`,
    of.freeBytes == null
      ? 'The log does not show how much memory was free.'
      : `${size(of.freeBytes)} was free${of.freeInLargeBlocksBytes == null ? '' : `, ${size(of.freeInLargeBlocksBytes)} of it in large enough blocks`}.`,
    ...(of.zone == null ? [] : refusedWords(of)),
    ...blocksWords(of),
    ...(of.milliseconds == null ? ['This is no OOM kill: the kernel reported the failure to its caller.'] : []),
  ];
}

/** Which zone refused, and why. */
function refusedWords(of: Refusal): string[] {
  const zone = `Zone ${text(of.zone)} of node ${text(of.node)} had ${size(of.zoneFreeBytes)} free; its min watermark is ${size(of.zoneMinBytes)}.`;
  const largest = of.largestFreeOrder == null ? '' : ` (largest free block: order ${text(of.largestFreeOrder)})`;
  if (of.shortage === 'watermark') return [zone, 'Every zone that the request could use was below its watermark.'];
  if (of.shortage === 'fragmentation')
    return [zone, `Memory was fragmented: no usable block of that order was free${largest}.`];
  return [zone];
}

/** The sentences of a report of the OOM killer; a figure that an older report lacks has none. */
/** Of MemTotal, as people read it. */
const share = (bytes: number, ram: number): string => percent(bytes / ram);

function oomWords(of: Kill): Words {
  return [verdict(of), ...kill(of), ...cause(of), ...shortage(of), ...rest(of)];
}

/** Drawn from all lines of the report: a kernel that panics first has no victim. */
function verdict(of: Kill): string {
  const killer = of.invokedBy == null ? 'OOM killer' : `OOM killer invoked by ${text(of.invokedBy)}`;
  const victim = `pid ${text(of.pid)} (${text(of.comm)})`;
  switch (of.outcome) {
    case 'panic':
      return `${killer}: the kernel panicked instead of killing a process (${text(of.panicOnOom)} vm.panic_on_oom).`;
    case 'no-killable-process':
      return `${killer} found no process that it may kill.`;
    case 'exiting':
      return `${killer} chose ${victim}, which was already exiting.`;
    case 'chosen':
      return `${killer} chose ${victim}; the log does not contain the kill.`;
    case 'unknown':
      return `${of.invokedBy == null ? 'OOM killer invoked' : killer}; the log does not name the victim.`;
    default:
      return `${of.reason === 'sysrq' ? 'Kill requested by hand (SysRq-f): the OOM killer' : 'OOM killer'} killed ${victim}${of.victimAnonBytes == null ? '' : `, which had ${size(of.victimAnonBytes)} of anonymous memory`}${
        typeof of.victimRssBytes === 'number' && typeof of.managedBytes === 'number'
          ? ` (${formatSize(of.victimRssBytes) === size(of.victimAnonBytes) ? '' : `RSS ${formatSize(of.victimRssBytes)}, `}${share(of.victimRssBytes, of.managedBytes)} of memory)`
          : ''
      }${
        typeof of.victimSwapBytes === 'number' && of.victimSwapBytes > 0
          ? ` and ${size(of.victimSwapBytes)} in swap${typeof of.victimRssBytes === 'number' ? `, ${size(of.victimRssBytes + of.victimSwapBytes)} in all` : ''}`
          : ''
      }.`;
  }
}

function kill(of: Kill): string[] {
  const others = typeof of.victims === 'number' ? of.victims - 1 : 0;
  return [
    ...(of.outcome === 'panic' ? ['The setting only chose a panic instead of a kill.'] : []),
    ...(others > 0 ? [`${others} more ${inflect(others, 'process was', 'processes were')} killed with it.`] : []),
    ...(of.chosenPid != null && of.chosenPid !== of.pid
      ? [`It was killed in place of its parent, pid ${text(of.chosenPid)} (${text(of.chosenComm)}).`]
      : []),
    ...(of.invokedBy == null || of.reason === 'sysrq' || of.reason === 'page-fault'
      ? []
      : [
          `${of.outcome === 'killed' ? `Invoked by ${text(of.invokedBy)}, which` : text(of.invokedBy)} requested memory${of.scope === 'cgroup' ? '' : ' when none was left'}, and need not be the cause.`,
        ]),
    ...(of.scope === 'machine' && of.victimCgroup != null && of.victimCgroup !== '/'
      ? [`The victim was in ${cgroupWords(of.victimCgroup)}.`]
      : []),
    ...(of.reaper === 'failed' ? ['The OOM reaper could not free its memory.'] : []),
  ];
}

function cause(of: Kill): string[] {
  if (of.scope === 'cgroup')
    return of.cgroup == null
      ? ['Its memory cgroup was at its limit.']
      : [
          `Memory ${cgroupWords(of.cgroup).replace(/^the /, '')} was at its limit${of.limitBytes == null ? '' : ` of ${typeof of.limitBytes === 'string' ? text(of.limitBytes) : size(of.limitBytes)}`}.`,
          ...cgroupPath(of.cgroup),
        ];
  const nodes = { cpuset: of.memsAllowed, mempolicy: of.nodemask }[String(of.reason)];
  if (of.reason === 'page-fault')
    return [
      'A page fault was refused by the limit of a cgroup or by a driver (pagefault_out_of_memory): the machine need not have been short of memory.',
    ];
  if (of.reason === 'sysrq')
    return of.outcome === 'killed'
      ? ['Memory need not have been short.']
      : ['A person or a program requested it (SysRq-f): memory need not have been short.'];
  if (nodes !== undefined) return [`The memory nodes of its ${text(of.reason)} (${text(nodes)}) were out of memory.`];
  if (of.scope !== 'machine') return [];
  const isUnusable = Number(of.zoneCmaFreeBytes ?? 0) > Number(of.zoneMinBytes);
  return [isUnusable ? 'No cgroup was at its limit.' : 'The whole machine was out of memory.'];
}

function shortage(of: Kill): string[] {
  const zone = `zone ${text(of.zone)} of node ${text(of.node)}`;
  if (of.shortage === 'fragmentation')
    return [
      `Memory was fragmented: ${zone} had ${size(of.zoneFreeBytes)} free, but no block of order ${text(of.order)} was usable.`,
    ];
  if (of.shortage === 'watermark')
    return [
      `At that time ${zone} had ${size(of.zoneFreeBytes)} free, its min watermark was ${size(of.zoneMinBytes)}.`,
      ...(of.zoneCmaFreeBytes
        ? [`Of that, ${size(of.zoneCmaFreeBytes)} is CMA, which only movable memory may use.`]
        : []),
    ];
  return [];
}

function rest(of: Kill): string[] {
  const { unattributedBytes: hidden, managedBytes: managed, swapTotalBytes: swap } = of;
  return [
    ...(of.largestPid != null && of.largestPid !== of.pid
      ? [`The largest process was pid ${text(of.largestPid)} (${text(of.largestComm)}), ${size(of.largestRssBytes)}.`]
      : []),
    ...(typeof swap === 'number' && swap > 0 ? [`Free swap: ${size(of.swapFreeBytes)} of ${size(swap)}.`] : []),
    ...(typeof hidden === 'number' && typeof managed === 'number' && hidden > managed / 10
      ? [
          `${size(hidden)} is missing from the report, which does not count socket buffers and driver pages.`,
          ...HYPERVISORS.filter(([, name]) => hidden > managed / 4 && name.test(String(of.hardware ?? ''))).map(
            ([hypervisor]) => `The balloon of its hypervisor (${hypervisor}) may have taken that memory.`,
          ),
        ]
      : []),
  ];
}

/** Hypervisors by the name of the machine (DMI) that a report prints. */
const HYPERVISORS: readonly (readonly [hypervisor: string, hardware: RegExp])[] = [
  ['Hyper-V', /^Microsoft Corporation Virtual Machine/],
  ['VMware', /^VMware/],
  ['Xen', /^Xen /],
  ['KVM', /^(?:QEMU|Red Hat KVM|oVirt|RDO OpenStack)/],
];

/** A pool or limit that was used up, by the subsystem that reports it. */
function exhaustedWords(of: Exhausted): Words {
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
    case 'atomic dma coherent pool':
      return [
        `DMA pool exhausted: the atomic DMA coherent pool of ${text(of.poolKib)} KiB is too small.`,
        'A driver could not allocate its buffers; boot with a larger coherent_pool=.',
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
        ? `GPU memory exhausted: ${text(of.what)}${(of.card ?? of.device) == null ? '' : ` (${text(of.card ?? of.device)})`}.`
        : cmaWords(of);
    default:
      return cmaWords(of);
  }
}

const EBUSY = -16;

function cmaWords(of: Exhausted): Words {
  const pages = of.pages == null ? '' : ` of ${text(of.pages)} pages`;
  const why = of.error === EBUSY ? 'its pages are busy' : 'the area is too small, or in use';
  return `CMA allocation${pages} failed${of.device == null ? '' : ` for ${text(of.device)}`}: ${why}.`;
}

/** A kill that the kernel's OOM killer did not make. */
function killWords(of: UserSpaceKill): Words {
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
          `Tasks of ${text(of.pressureOf)} were stalled on memory ${text(of.pressure)} % of the time, above the limit of ${text(of.pressureLimit)} % for more than ${text(of.duration)}.`,
        ]),
    ...(of.usedBytes == null ? [] : [`Memory in use: ${size(of.usedBytes)} of ${size(of.totalBytes)}.`]),
    ...(of.swapUsedBytes == null ? [] : [`Swap in use: ${size(of.swapUsedBytes)} of ${size(of.swapTotalBytes)}.`]),
    ...(of.reason == null ? [] : [`Reason: ${text(of.reason)}.`]),
    // oomd_kill_by_pgscan_rate, src/oom/oomd-util.c
    of.pressure == null
      ? 'The OOM killer of the kernel did not choose it.'
      : 'Of the cgroups below that one, it had the most reclaim activity: another one of them may be larger, and the cause.',
  ];
}
