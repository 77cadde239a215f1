import type { MemoryAnswer } from '../../account/memory/answer.js';
import type { SiteSourceName } from '../../account/memory/sites.js';
import type { TypesVerified } from '../../kernel/layout.js';
import type { LookupSource } from '../../leaks/survivors/lookup.js';
import type { WarningCode } from '../../walk/warnings.js';
import type { Explanations } from './schema.js';

/** Reasons why an answer is incomplete or doubtful. */
export const WARNINGS: Explanations<WarningCode> = {
  unreadable: {
    means:
      'Memory that the answer needs is not in the dump, or could not be read. Figures are lower bounds ("at least").',
    known: 'A failed read and its cause: filtered by makedumpfile, never dumped, not mapped, damaged, or truncated.',
    next: 'If it was filtered, dump with makedumpfile -d 1 (or less). If the file is truncated, copy it again. Live: run the command as root.',
    deeper: 'kdump-mem info',
  },
  'torn-list': {
    means:
      'The links or the count of a list are inconsistent: damage in a dump, or a change during the read of a live kernel. Entries behind the break are not counted.',
    known: 'Both directions of each list, and the length of the queue (qlen), compared with the entries found.',
    next: 'Live: run the command again. In a dump: check triage for memory-corruption findings.',
    deeper: 'kdump-mem triage',
  },
  corrupt: {
    means:
      'A count or pointer is invalid, or two facts that must agree are inconsistent. One of them is wrong; the answer reports both instead of choosing.',
    known: 'Each count is compared with a second fact of the kernel (docs/internals/memory-categories.md).',
    next: 'Inspect the values. In a dump of a machine that kept running (virsh dump --live) this is normal.',
    deeper: 'kdump-mem struct TYPE ADDRESS',
  },
  'order-unknown': {
    means:
      'The kernel does not record the order of some allocations. Each counts as one page, so bytes are lower bounds ("at least").',
    known: 'struct page: in use, not a compound page, without a recorded order.',
    next: 'Read the figure as a lower bound.',
  },
  'device-memory': {
    means: 'Packet frags in device memory (net_iov, devmem TCP) pin no page of this machine and are not counted.',
    known: 'The lowest bit of the frag’s netmem (NET_IOV, include/net/netmem.h), and the owner of the area.',
    next: 'None: no memory of this machine is missing. Use the tools of the device for its memory.',
  },
  'head-not-counted': {
    means:
      'An object in a queue, mostly the linear part of an skb, is outside the direct map. Its pages are not counted.',
    known: 'Its address, compared with the direct map of physical memory.',
    next: 'Inspect that skb.',
    deeper: 'kdump-mem skb',
  },
  'unsupported-layout': {
    means: 'kdump-mem does not know the layout of a structure of this kernel. That part of the answer is missing.',
    known: 'A structure or member that is not in the kernel’s types (BTF).',
    next: 'Report it with the kernel release. If only the types are missing, use --types FILE.',
    deeper: 'kdump-mem struct TYPE',
  },
  'by-release': {
    means:
      'Symbols or types come from a file with the same kernel release, but the build may differ. Every figure may be wrong.',
    known: 'Neither the dump nor the file has a build id (triage --symbols-dir).',
    next: 'Put the vmlinux of exactly that build into the folder, by its build id.',
    deeper: 'kdump-mem info',
  },
  'types-not-verified': {
    means:
      'Types come from a file (--types) that could not be matched to this kernel. Every figure may be wrong, even in a complete answer.',
    known:
      'No build id, banner, release, or VMCOREINFO size or offset could be compared. A file that contradicts one of them is refused.',
    next: 'Use a vmlinux or .debug file: its build id is compared.',
    deeper: 'kdump-mem info',
  },
  'types-incomplete': {
    means:
      'Types come from an ISF file, which lacks members of unions with several anonymous structs. Memory behind these members is not counted, so the answer is incomplete.',
    known: 'The file format: dwarf2json gives all anonymous members at one offset the same name, and keeps the last.',
    next: 'Use the vmlinux or .debug file that the ISF file was generated from.',
    deeper: 'kdump-mem info',
  },
  'freed-while-read': {
    means:
      'Processes exited, files were closed, or vmap areas were freed while a running kernel was read. This is normal, and the answer is complete: their memory is free by now, or belongs to another object.',
    known:
      'A second read: the thread is exiting (PF_EXITING) or its task_struct was reused, the descriptor has another file, or the area is off the list. If the object is still there, the answer is incomplete instead.',
    next: 'None. For a consistent moment, take a dump.',
    deeper: 'kdump-mem memory --live',
  },
  'pss-not-read': {
    means:
      'PSS and USS of large processes were not read: the kernel blocks a process that maps memory while it sums up its mappings. Their RSS, swap and page tables are known.',
    known: 'VmRSS and VmSwap of /proc/PID/status: more than 512 MiB.',
    next: 'Use --pss all if these processes may wait for 15 ms per GiB.',
    deeper: 'kdump-mem procs --live --pss all',
  },
};

const FIT = 'None: a file from another kernel is refused.';

/** How types from a file were verified to belong to the dump's kernel. */
export const TYPES_VERIFIED_EXPLAINED: Explanations<TypesVerified> = {
  'build-id': {
    means: 'The file and the dump have the same build id.',
    known: 'The file’s GNU build id; BUILD-ID of VMCOREINFO, or the kernel’s own notes.',
    next: FIT,
  },
  banner: {
    means: 'The file and the dump have the same banner: release, compiler and time of the build.',
    known: 'linux_banner of the ISF file and in the kernel’s memory.',
    next: FIT,
  },
  release: {
    means: 'The banner of the file has the release of the dump. Two builds can have the same release.',
    known: 'linux_banner of the ISF file; OSRELEASE of VMCOREINFO.',
    next: 'Make sure that the file is from exactly this build.',
  },
  layouts: {
    means: 'The file agrees with all sizes and offsets in VMCOREINFO. Kernels of one series can share all of them.',
    known: 'SIZE() and OFFSET() of VMCOREINFO.',
    next: 'Make sure that the file is from exactly this build.',
  },
  none: {
    means: 'Unverified: the file may be from another kernel, and every answer may be wrong.',
    known: 'Neither a build id nor a banner nor a size of VMCOREINFO could be compared.',
    next: 'Give --types a vmlinux or .debug file with a build id.',
  },
};

const DEPTHS = 'kdump-mem memory --live --source counters';

/** Data sources of an answer. */
export const SOURCES: Explanations<MemoryAnswer['source'] | LookupSource | SiteSourceName | 'proc'> = {
  vmcore: {
    means: 'A dump: every page frame and object in it was scanned.',
    known: 'The dump file.',
    next: 'See what the dump omits: kdump-mem info.',
    deeper: 'kdump-mem info',
  },
  kcore: {
    means: 'The memory of the running kernel: every page frame was scanned, while memory changed.',
    known: '/proc/kcore.',
    next: 'None.',
  },
  pageflags: {
    means: 'Page flags of the running kernel: each frame has a category, but counters provide most kernel memory.',
    known: '/proc/kpageflags and /proc/kpagecount.',
    next: 'As root, /proc/kcore provides more detail where the kernel allows it.',
    deeper: 'kdump-mem doctor',
  },
  counters: {
    means: 'Counters of the running kernel only: no page frame was scanned.',
    known: '/proc/meminfo, vmstat, zoneinfo and similar files.',
    next: 'As root, /proc/kcore or page flags provide more detail.',
    deeper: DEPTHS,
  },
  proc: {
    means: 'What the running kernel reports for each process.',
    known: '/proc/PID/smaps_rollup, statm and status.',
    next: 'None.',
  },
  'page-owner': {
    means: 'Pages by the stack trace that the kernel noted at their allocation (page_owner=on).',
    known: 'struct page_owner of each page frame, and the stack depot.',
    next: 'Boot with page_owner=on where it is off.',
    deeper: 'kdump-mem memory --by site --live',
  },
  'allocation-tags': {
    means: 'Memory by the line of source that allocated it (allocation profiling, since 6.10).',
    known: 'The per-CPU counters of all allocation tags, as in /proc/allocinfo.',
    next: 'Boot with sysctl.vm.mem_profiling=1 where it is off.',
    deeper: 'kdump-mem memory --by site --live',
  },
  'slab-tracks': {
    means: 'Slab objects by the stack trace that SLUB noted at their allocation (slub_debug=U).',
    known: 'struct track behind each allocated object.',
    next: 'Boot with slub_debug=U, or slub_debug=U,CACHE for one cache, where it is off.',
    deeper: 'kdump-mem memory --by site --live',
  },
  'vmalloc-callers': {
    means: 'vmalloc areas by the function that allocated them, which every kernel notes.',
    known: 'vm_struct.caller of each area.',
    next: 'None.',
  },
  none: {
    means: 'No source of block locations was readable. This does not mean that there is no leak.',
    known: 'Each source was tried; the answer lists their errors.',
    next: 'Run the command as root, on a machine where /proc/kcore is readable.',
    deeper: 'kdump-mem doctor',
  },
};
