import type { KernelErrorCode, ReadErrorCode } from '../../base/errors/kernel.js';
import type { StoreErrorCode } from '../../base/errors/store.js';
import type { TraceErrorCode } from '../../base/errors/trace.js';
import { EXHAUSTION_ADVICE } from '../../base/exhaustion.js';
import type { Explanations } from './explanation.js';

/** Why a dump or kernel could not be opened or asked. `next` stands in the one line that is printed then. */
export const KERNEL_ERRORS: Explanations<KernelErrorCode> = {
  'no-such-file': {
    means: 'A file that was named is not there.',
    known: 'open(2)',
    next: 'Check the path.',
  },
  permission: {
    means: 'A file may not be read by this user.',
    known: 'open(2)',
    next: 'Run it as root, or as a user who may read that.',
  },
  'not-a-dump': {
    means: 'The file is of no format of dumps that is read.',
    known: 'Its first bytes, held against every format.',
    next: 'Give --vmcore a file that kdump, makedumpfile, QEMU or libvirt wrote.',
  },
  'wrong-parts': {
    means: 'Files that were given as parts of one dump are not such, or not all of them.',
    known: 'The headers of split dumps.',
    next: 'Give every part of one split dump once, and nothing else.',
  },
  truncated: {
    means: 'The file ends before what its headers promise.',
    known: 'Its size beside its headers.',
    next: 'Copy it again.',
  },
  damaged: {
    means:
      'What the dump says of itself contradicts itself, or leads nowhere: no answer can be had.',
    known: 'Checks of headers, page tables, symbols and types.',
    next: 'Copy the dump again, or try --engine crash.',
  },
  'unsupported-format': {
    means: 'A dump, or a file beside it, in a form that is not read.',
    known: 'Its header.',
    next: 'The README names the formats that are read.',
  },
  'unsupported-arch': {
    means: 'A dump of another architecture.',
    known: 'The ELF header, or that of kdump.',
    next: 'Only x86_64 and arm64 kernels are read.',
  },
  'unsupported-layout': {
    means:
      'This kernel lacks a structure or member that the question needs, in any form that is known.',
    known: 'The kernel’s types (BTF).',
    next: 'Please report this with the kernel’s release.',
  },
  'no-symbols': {
    means: 'The dump has no kallsyms that can be found: no name leads to an address.',
    known: 'VMCOREINFO and the kernel’s own tables (kernel/kallsyms.c).',
    next: 'Give --symbols System.map, or --vmlinux.',
  },
  'no-types': {
    means: 'The kernel was built without BTF, or the dump lacks it: no structure can be read.',
    known: '.BTF of the kernel’s image (CONFIG_DEBUG_INFO_BTF).',
    next: 'Give --types FILE: BTF, a vmlinux or .debug file, or Volatility’s ISF.',
  },
  'vmlinux-needed': {
    means: 'crash needs the kernel’s file with debug information.',
    known: '--engine crash without --vmlinux.',
    next: 'Give --vmlinux FILE; distributions ship it as a -dbg or -debuginfo package.',
  },
  'wrong-vmlinux': {
    means: 'The vmlinux, or another file beside the dump, is of another build than the dump.',
    known: 'Build id, banner, symbols, sizes and offsets of both.',
    next: 'Take the vmlinux of exactly that build.',
  },
  'wrong-map': {
    means: 'The map is not that of this extract.',
    known: 'What both say of each other.',
    next: 'Give --map the file that extract --anonymize --map wrote beside this very extract.',
  },
  'no-live-memory': {
    means: 'This machine’s memory cannot be read.',
    known: '/proc/kcore.',
    next: 'The kernel must be built with CONFIG_PROC_KCORE, and not be locked down.',
  },
  'crash-missing': {
    means: 'The program crash is not there.',
    known: 'execve(2)',
    next: 'Install crash, or name it with --crash PATH.',
  },
  'crash-too-old': {
    means: 'crash opens the kernel and does not understand it.',
    known: 'It lists no task of pid 1.',
    next: 'Install a newer crash and name it with --crash PATH.',
  },
  'crash-failed': {
    means: 'crash ended before it answered.',
    known: 'Its exit status and last words.',
    next: 'Try the same files with crash itself to see all that it says.',
  },
  'crash-hung': {
    means: 'crash did not answer in time.',
    known: 'A limit of time for its start and each question.',
    next: 'The dump may be damaged; try a newer crash.',
  },
  'crash-elsewhere': {
    means: 'crash runs in another root and does not see our files.',
    known: 'A file that it was asked to write, and that is not there.',
    next: 'Start crash in the same root and mount namespace, or share these paths with its container.',
  },
  'no-room': {
    means: 'There is no room for crash’s files.',
    known: 'TMPDIR.',
    next: 'Let TMPDIR name a folder that has 40 MiB free and that you may write to.',
  },
  exhausted: {
    means: 'This program ran out of descriptors, processes or memory. It says nothing of the dump.',
    known: 'errno',
    next: EXHAUSTION_ADVICE,
  },
  closed: {
    means: 'A program asked a dump that it had closed.',
    known: 'close() of the library was called before.',
    next: 'Ask first, and close then.',
  },
};

/** Why bytes could not be read, which ends the answer or is a warning `unreadable`. */
export const READ_ERRORS: Explanations<ReadErrorCode> = {
  filtered: {
    means: 'The dump’s filter left that page out (makedumpfile -d).',
    known: 'The bitmaps or headers of the dump.',
    next: 'Take a dump that leaves less out: one of makedumpfile -d 1, or that which this one was cut from.',
  },
  absent: {
    means: 'The dump has no such memory.',
    known: 'The ranges that the dump holds.',
    next: 'The dump may be of a part of the memory only, or damaged where that address comes from.',
  },
  unmapped: {
    means: 'No page table leads to that address.',
    known: 'The page tables in the dump.',
    next: 'The dump may be damaged where that address comes from.',
  },
  damaged: {
    means: 'The page is stored, and cannot be decoded.',
    known: 'Its codec and sizes.',
    next: 'Copy the dump again.',
  },
  truncated: {
    means: 'The page lies behind the end of the file.',
    known: 'Its place beside the file’s size.',
    next: 'The file is cut: copy it again.',
  },
  refused: {
    means: 'The engine could not read it, and does not say why.',
    known: 'crash’s answer.',
    next: 'Try the other engine: --engine native, or crash.',
  },
};

/** Why perf recorded nothing. */
export const TRACE_ERRORS: Explanations<TraceErrorCode> = {
  'perf-missing': {
    means: 'perf is not installed.',
    known: 'execve(2)',
    next: 'Install it: linux-perf (Debian), linux-tools-$(uname -r) (Ubuntu), perf (Fedora, RHEL, SUSE).',
  },
  'perf-refused': {
    means: 'The kernel does not let this user record.',
    known: 'What perf said.',
    next: 'Run it as root, or with CAP_PERFMON and CAP_SYS_PTRACE; a container’s seccomp profile may forbid it too.',
  },
  'perf-failed': {
    means: 'perf ended without a record.',
    known: 'Its exit status and last words.',
    next: 'Try perf record --pid by itself to see all that it says.',
  },
  'process-ended': {
    means: 'The process ended before anything was recorded.',
    known: 'What perf said.',
    next: 'Name one that runs longer.',
  },
  'no-room': {
    means: 'There is no room for perf’s record.',
    known: 'TMPDIR.',
    next: 'Let TMPDIR name a folder that has room and that you may write to.',
  },
  'bpftrace-missing': {
    means: 'bpftrace is not installed.',
    known: 'execve(2)',
    next: 'Install it (the package is called bpftrace), or leave out --engine bpftrace.',
  },
  'bpftrace-failed': {
    means: 'bpftrace ended without a record, or said nothing.',
    known: 'Its exit status and last words.',
    next: 'Try bpftrace -e "BEGIN { exit(); }" by itself, or leave out --engine bpftrace.',
  },
  'bpftrace-ended': {
    means: 'It was told to end before bpftrace had begun: nothing was recorded.',
    known: 'A signal came while bpftrace still compiled.',
    next: 'Give it some seconds more; a machine under load takes minutes to compile.',
  },
  'trace-no-root': {
    means: 'The kernel does not let this user trace it.',
    known: 'What open(2), mkdir(2) or write(2) below /sys/kernel/tracing said.',
    next: 'Run it as root on the host; in a container /sys/kernel/tracing must be mounted and writable.',
  },
  'trace-not-mounted': {
    means: 'tracefs, through which the kernel is traced, is mounted nowhere.',
    known: 'stat(2) of /sys/kernel/tracing/instances and /sys/kernel/debug/tracing/instances.',
    next: 'Mount it: mount -t tracefs tracefs /sys/kernel/tracing',
  },
  'trace-locked-down': {
    means: 'The kernel is locked down, and lets nobody trace it.',
    known: '/sys/kernel/security/lockdown: confidentiality.',
    next: 'Ask what needs no tracing: kdump-mem leaks --methods, kdump-mem memory, kdump-mem procs.',
  },
  'trace-unsupported': {
    means: 'This kernel’s tracing has no such event, or describes it in a way that we do not know.',
    known: 'events/*/format, header_page and header_event of tracefs.',
    next: 'See what this kernel offers: kdump-mem leaks --methods',
  },
  'trace-over-budget': {
    means: 'To record would cost more of a CPU’s time than was allowed.',
    known: 'How many events there are each second, beside what each costs on this machine.',
    next: 'Allow more (--budget), or follow larger blocks alone (--order).',
  },
  'trace-failed': {
    means: 'The kernel refused what tracing needs.',
    known: 'What mkdir(2), write(2) or read(2) below /sys/kernel/tracing said.',
    next: 'See how much memory is free: buffers for each CPU are the kernel’s memory.',
  },
};

/** Why samples cannot be stored. */
export const STORE_ERRORS: Explanations<StoreErrorCode> = {
  'cannot-write': {
    means: 'The file cannot be written: the disk is full, or this user may not.',
    known: 'What open(2), write(2) or rename(2) said. What a full disk cut off is taken back.',
    next: 'Make room, or name a file in a folder that this user may write to.',
  },
  locked: {
    means: 'Another kdump-mem watch stores into the same file.',
    known: 'A Unix socket beside the file, .NAME.lock, that a process listens on.',
    next: 'End the other one (ss -lxp | grep kdump-mem), or name another file.',
  },
  'other-writer': {
    means: 'Another program writes into the file: its lines and ours would be mixed.',
    known: 'The file’s size beside what was written.',
    next: 'End the other one, or name another file.',
  },
};
