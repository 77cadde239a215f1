import { inflect } from '../../base/size.js';
import type { Amount, Declarations, Of, OfProcess } from './declared.js';
import { largestWords, percent, process, program, size, text } from './declared.js';

type Zone = Of<'node' | 'freeBytes' | 'minBytes'> & Of<'zone', string> & Partial<Of<'lowBytes'>>;
type Shared = Of<'bytes' | 'share'> &
  OfProcess &
  Of<'kind' | 'name', string> &
  Of<'mapped'> &
  Partial<
    Of<'attachTime' | 'attachComm' | 'mount' | 'cgroup' | 'pod' | 'container' | 'loop' | 'loopFile', string> &
      Of<'attachPid' | 'files' | 'processes' | 'inside' | 'limitBytes' | 'descriptors' | 'loopBytes'>
  >;

const sharedWords = ({ kind, name, files }: Shared): string => {
  if (kind === 'tmpfs') return `${text(name)} holds`;
  return files == null ? `${text(name)} holds` : `${text(files)} files, the largest ${text(name)}, hold`;
};

const placeWords = ({ pod, container, cgroup }: Shared): string => {
  const words = [
    ...(pod == null ? [] : [`, pod ${text(pod)}`]),
    ...(container == null ? [] : [`, container ${text(String(container).slice(0, 12))}`]),
  ];
  return words.length > 0 || cgroup == null ? words.join('') : `, cgroup ${text(cgroup)}`;
};

const sharedOwnerWords = (of: Shared): string => {
  if (of.pid == null) return '';
  if (of.inside === of.pid) return `, in the mount namespace of ${process(of)}${placeWords(of)}`;
  if (of.processes != null) return `, open in ${text(of.processes)} processes named ${text(of.comm)}`;
  return of.kind === 'segment' ? `, created by ${process(of)}` : `, open in ${process(of)}`;
};

export const USE_WORDS: Readonly<Record<string, string>> = {
  anonymous: 'anonymous memory',
  'page-cache': 'page cache',
  shared: 'shared memory and tmpfs',
  unevictable: 'unevictable memory, such as files of an initramfs',
  slab: 'slab',
  'kernel-stacks': 'kernel stacks',
  'page-tables': 'page tables',
  'huge-pages': 'huge pages',
  'zfs-arc': 'the cache of ZFS (ARC)',
  balloon: 'the balloon of the hypervisor',
  uncounted: 'memory in no counter of /proc/meminfo',
  'missing-counters': 'in lines of /proc/meminfo that are missing here, or in no counter',
};

/** Between the low and the min watermark. */
const isAboveMin = ({ freeBytes, minBytes, lowBytes }: Zone): boolean =>
  lowBytes != null && Number(freeBytes) >= Number(minBytes);

const belowWords = (of: Zone): string => {
  const [name, watermark] = isAboveMin(of) ? ['low', of.lowBytes] : ['min', of.minBytes];
  const isEqual = size(of.freeBytes) === size(watermark);
  return isEqual
    ? `${size(Number(watermark) - Number(of.freeBytes))} below its ${name} watermark`
    : `below its ${name} watermark (${size(watermark)})`;
};

/** What may have memory that is in no counter of /proc. */
const UNCOUNTED =
  'First run skcheck on the machine itself: no counter contains the memory of unread sockets. If it finds none, ask the hypervisor about a balloon; kdump-mem leaks shows what the kernel allocates and does not free.';
const LARGEST =
  'Check whether the largest use is normal. The kernel reclaims page cache when needed, but not anonymous memory, unreclaimable slab or uncounted memory.';
const KEPT =
  'A memfd or deleted file is freed when all processes close it, any other file when it is deleted, a segment by ipcrm.';

export const MEMORY = {
  'unattributed-memory': {
    words: (of: Amount & Partial<Of<'mostBytes' | 'mostOrder' | 'mostBlocks'> & Of<'balloon', string>>) =>
      of.mostBytes == null
        ? `Unattributed memory: ${size(of.bytes)} (${percent(of.share)} of memory) is allocated but not attributed to any owner${of.mostOrder == null ? '' : `, mostly in order-${text(of.mostOrder)} blocks`}.`
        : [
            `Unattributed memory: ${of.bytes === 0 ? `up to ${size(of.mostBytes)}` : `at least ${size(of.bytes)} (${percent(of.share)} of memory)`} is in use without a known owner${of.balloon == null ? '' : `; ${text(of.balloon)} may have returned it to the hypervisor`}.`,
            of.balloon == null
              ? 'No process, file or slab cache has it. Possible owners, which /proc does not show: a balloon of the hypervisor (on its host, compare the guest’s memory with its maximum, for example with virsh dommemstat), unread sockets (skcheck), a driver.'
              : 'Compare the memory that the hypervisor gives to this guest with MemTotal: if it gives that much less, it is the balloon, otherwise a leak in the kernel is possible.',
          ],
    traits: ['excessive', 'uncounted', 'shortage'],
    means:
      'Pages are allocated but not attributed to any owner by a walk, a flag or a counter. Most were allocated by a driver with alloc_pages(), such as one for graphics, storage or a hypervisor.',
    known:
      'Every page frame is in one category. For these the struct page names no owner, and no kernel data structure that kdump-mem reads references them (docs/memory.md). By counters of /proc: MemTotal less all counters; `bytes` is the lower bound, `mostBytes` the upper one. `balloon` is a balloon driver that is loaded: most of them have no counter.',
    next: 'On a running machine: skcheck (unread sockets), then kdump-mem leaks (what is allocated while it runs); after a boot with page_owner=on kdump-mem memory --by site lists the allocation sites. In a dump, kdump-mem memory --unattributed lists what refers to the pages, and what is in them.',
    act: ({ mostBytes, balloon }: Partial<Of<'mostBytes'> & Of<'balloon', string>>) =>
      balloon != null || mostBytes == null ? undefined : UNCOUNTED,
    deeper: 'kdump-mem memory --unattributed',
  },
  'low-memory': {
    words: (of: Zone) => [
      // Only a host's counters come with its low watermark.
      `Low memory: zone ${text(of.zone)} of node ${text(of.node)} ${of.lowBytes == null ? `had ${size(of.freeBytes)} in free blocks when the dump was taken` : `has ${size(of.freeBytes)} in free blocks`}, ${belowWords(of)}.`,
      ...(isAboveMin(of) ? ['That alone is normal: the kernel reclaims memory in the background.'] : []),
    ],
    traits: ['shortage'],
    means: 'A zone has less free memory than its min watermark: allocations from it must reclaim memory or wait.',
    known:
      'Free blocks of each zone beside zone._watermark (mm/page_alloc.c; Documentation/admin-guide/sysctl/vm.rst).',
    next: 'Find where the memory is. If only one node is short, check which processes are bound to it.',
    deeper: 'kdump-mem memory --nodes',
  },
  'low-available': {
    words: (
      of: OfProcess &
        Of<'availableBytes' | 'totalBytes' | 'share' | 'useBytes' | 'anonBytes'> &
        Of<'use', string> &
        Partial<Of<'swapFreeBytes' | 'hugeBytes'>>,
    ) => [
      `Little memory available: ${size(of.availableBytes)} of ${size(of.totalBytes)} (${percent(of.share)}).`,
      ...(of.use == null ? [] : [`Largest use: ${USE_WORDS[of.use] ?? text(of.use)}, ${size(of.useBytes)}.`]),
      ...(of.swapFreeBytes == null ? [] : [`Swap is nearly used up: ${size(of.swapFreeBytes)} is free.`]),
      ...largestWords(of),
      ...(of.hugeBytes == null
        ? []
        : [`Transparent huge pages: ${size(of.hugeBytes)}; kdump-mem memory --live --huge counts zeros in them.`]),
    ],
    means:
      'Less than 10 % of memory is available to applications, or less than 20 % while swap is nearly used up: MemAvailable is free memory and what the kernel can reclaim without swapping. A warning below 5 %.',
    known:
      'MemAvailable of /proc/meminfo (si_mem_available, mm/show_mem.c). The largest use is the largest of its counters, or what none of them contains. The largest process is by RssAnon and VmSwap of /proc/PID/status. Transparent huge pages: AnonHugePages, from 5 % of memory, where /proc/kcore is readable.',
    next: LARGEST,
    act: ({ use }: Partial<Of<'use', string>>) => {
      if (use === 'missing-counters')
        return 'Get all lines of /proc/meminfo, and the outputs that are missing: huge pages, a balloon and others can be in them. Until then a leak is not proven.';
      return use === 'uncounted' ? UNCOUNTED : LARGEST;
    },
    deeper: 'kdump-mem memory --live',
  },
  'shared-memory': {
    words: (of: Shared) => [
      of.descriptors == null
        ? `Shared memory: ${sharedWords(of)} ${size(of.bytes)}${of.share == null ? '' : ` (${percent(of.share)} of memory)`}${sharedOwnerWords(of)}.`
        : `Shared memory: ${size(of.bytes)} (${percent(of.share)} of memory) is open in no process, and ${process(of)} has not received ${text(of.descriptors)} passed descriptors, which may hold it.`,
      ...(of.loop == null
        ? []
        : [`${text(of.loop)} has ${text(of.loopFile)} attached, at most ${size(of.loopBytes)}, until losetup -d.`]),
      ...(of.limitBytes == null ? [] : [`The size limit of the tmpfs is ${size(of.limitBytes)}.`]),
      ...(of.mapped === 0 ? ['ps and top do not show it: no process maps that much shared memory.'] : []),
      ...(of.attachTime == null
        ? []
        : [
            `Last attach: ${text(of.attachTime).slice(0, 19).replace('T', ' ')} UTC${of.attachPid == null ? '' : `, by ${process({ pid: of.attachPid, comm: of.attachComm ?? null })}`}.`,
          ]),
    ],
    traits: ['excessive'],
    means:
      'Memfds, files in tmpfs or a System V segment hold at least 5 % of memory, and no process maps them: only a descriptor, a name or an id keeps them. On a host all files of one owner count together: of a process or program that has them open, or of one tmpfs. It is a warning from 10 % on for memfds, deleted files and segments, which have no path, and for a tmpfs that is nearly full.',
    known:
      'Descriptors in /proc/PID/fd, the tmpfs mounts of every mount namespace (statfs, once for each device), /proc/sysvipc/shm, and what the largest processes map (/proc/PID/maps). Bytes are allocated blocks, also in swap. Where no mappings can be read, RssShmem of /proc/PID/status decides. The kernel has the process of the last attach or detach of a segment: it is named only if the attach is later. Loop devices have their files in /sys/block/loopN/loop/backing_file. Where Shmem of /proc/meminfo has no owner, tables of threads (/proc/PID/task/TID/fd) are read too, and `scm_fds` of fdinfo (5.6) shows descriptors that a process was passed and has not received. From kernel memory: the pages of each file, its tree of mappings, and the open files of processes.',
    next: KEPT,
    act: ({ kind, name, descriptors }: Partial<Of<'kind' | 'name', string> & Of<'descriptors'>>, panicked: boolean) => {
      // Nothing is left to free.
      if (panicked) return undefined;
      if (descriptors != null) return 'Find out why the process does not receive these descriptors.';
      if (kind === 'segment')
        return 'Find out whether a program still needs the segment. If none does, ipcrm frees it, and its contents are lost.';
      return /^memfd:|\(deleted\)$/.test(String(name))
        ? 'Find out why the process keeps it open. The memory is freed when all processes close it or exit, and its contents are lost.'
        : KEPT;
    },
    deeper: 'kdump-mem memory --live',
  },
  pipes: {
    words: (
      of: OfProcess &
        Of<'mostBytes'> &
        Partial<Amount & Of<'pipes' | 'processes' | 'unattributedBytes' | 'descriptors'>>,
    ) =>
      of.bytes == null
        ? [
            of.descriptors == null
              ? `Pipes: ${program(of)} ${text(of.pipes)} pipes open, which can hold up to ${size(of.mostBytes)}.`
              : `Pipes in flight: ${process(of)} has not received ${text(of.descriptors)} passed descriptors. If they are pipes, they can hold up to ${size(of.mostBytes)}.`,
            `The kernel does not report how much they hold, and no counter includes it. At least ${size(of.unattributedBytes)} of memory is in no counter.`,
          ]
        : `Pipes: ${size(of.bytes)} (${percent(of.share)} of memory) is in pipes${of.pid == null ? '' : `, ${size(of.mostBytes)} of it in those that ${process(of)} reads or has open`}.`,
    traits: ['excessive', 'uncounted', 'single'],
    means:
      'Data in pipes uses at least 5 % of memory. Or, without kernel memory: at least 2 % of memory is in no counter, and the pipes of a program can hold at least half of that. No counter includes data that is written to a pipe and not read.',
    known:
      'Links in /proc/PID/fd, each pipe counted once, multiplied by /proc/sys/fs/pipe-max-size (pipe_resize_ring, fs/pipe.c): the contents of a pipe are not visible from outside. In a dump and with /proc/kcore: the pages of each pipe_inode_info, once, and a process that has its read end open.',
    next: 'Find out who reads these pipes. Their memory is freed when both ends are closed, or when the data is read.',
    deeper: 'kdump-mem procs --pid N',
  },
  'message-queues': {
    words: (
      of: Amount &
        OfProcess &
        Of<'queues' | 'queueBytes' | 'messages' | 'uid' | 'receiverPid'> &
        Of<'name' | 'receiverComm' | 'receiveTime', string> &
        Partial<Of<'inside'>>,
    ) => [
      `Message queues: ${size(of.bytes)} (${percent(of.share)} of memory) of unread messages in ${text(of.queues)} ${inflect(of.queues, 'queue')}.`,
      `Largest: ${text(of.name)}${of.inside == null ? '' : ` in the namespace of pid ${text(of.inside)}`}, ${size(of.queueBytes)}${of.uid == null ? '' : `, created by uid ${text(of.uid)}`}${of.pid == null ? '' : `, last sent to by ${process(of)}`}.`,
      of.receiveTime == null
        ? of.messages == null
          ? 'The kernel does not report its readers.'
          : 'No process ever received from it.'
        : `Last received: ${text(of.receiveTime).slice(0, 19).replace('T', ' ')} UTC, by ${process({ pid: of.receiverPid, comm: of.receiverComm })}.`,
    ],
    traits: ['excessive', 'single'],
    means:
      'Messages that no process has received hold at least 64 MiB. The kernel keeps them until they are received or the queue is removed, also after the sender exited. They are unreclaimable slab (kmalloc, msg_msg since 6.11).',
    known:
      '/proc/sysvipc/msg: payload (cbytes), number of messages, last sender and receiver, and the uid of the creator; the kernel has no pid of the creator. Each message adds at least 48 bytes. QSIZE of the files where mqueue is mounted. Other ipc namespaces are entered by nsenter if unreclaimable slab has 64 MiB. A process that began after the message is not named.',
    next: 'Find out why the receiver does not read. ipcs -q -i ID shows a System V queue, ipcrm -q ID removes it with its messages; in another namespace by nsenter --ipc.',
    deeper: 'kdump-mem memory --caches',
  },
  vmalloc: {
    words: (
      of: Amount &
        OfProcess &
        Of<'callerBytes' | 'mapBytes'> &
        Of<'caller', string> &
        Partial<Of<'pinned', string> & Of<'pinnedObjects'>>,
    ) => [
      `vmalloc: ${size(of.bytes)} (${percent(of.share)} of memory)${of.pid == null ? '' : `; ${process(of)} has BPF maps of ${size(of.mapBytes)} open`}.`,
      of.caller == null
        ? 'The largest caller is unknown.'
        : `Largest caller: ${text(of.caller)}, ${size(of.callerBytes)}.`,
      ...(of.pinned == null
        ? []
        : [
            `Processes have less than half of it open; bpffs keeps ${text(of.pinnedObjects)} ${inflect(of.pinnedObjects, 'object')}: ${text(of.pinned)}${Number(of.pinnedObjects) > 3 ? ', …' : ''}.`,
          ]),
    ],
    traits: ['excessive', 'uncounted', 'single'],
    means:
      'Areas of vmalloc use at least 5 % of memory. Typical users are BPF maps, modules, file systems and hash tables.',
    known:
      'VmallocUsed without KernelStack of /proc/meminfo (5.3 and later), pages by caller in /proc/vmallocinfo, and `memlock` in the fdinfo of BPF maps. Where processes have less than half of the maps open, the paths in mounts of bpffs: maps, programs and links, whose sizes only bpftool shows. In a dump: each of the categories vmalloc, bpf and modules, by caller.',
    next: 'Check the caller. If it allocates BPF maps, the named process holds the largest: `bpftool -f map` shows sizes and the paths of pinned maps.',
    deeper: 'kdump-mem memory -v',
  },
} satisfies Declarations;
