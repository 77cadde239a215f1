import type { KernelErrorCode, ReadErrorCode } from '../../base/errors/kernel.js';
import type { StoreErrorCode } from '../../base/errors/store.js';
import type { TraceErrorCode } from '../../base/errors/trace.js';
import { EXHAUSTION_ADVICE } from '../../base/exhaustion.js';
import type { Explanations } from './explanation.js';

/** Why a dump or kernel could not be opened or asked. `next` stands in the one line that is printed then. */
export const KERNEL_ERRORS: Explanations<KernelErrorCode> = {
  'no-such-file': {
    means: 'The named file does not exist.',
    known: 'open(2)',
    next: 'Check the path.',
  },
  permission: {
    means: 'Permission denied: this user cannot read the file.',
    known: 'open(2)',
    next: 'Run as root, or as a user with read permission.',
  },
  'not-a-dump': {
    means: 'The file is not in a supported dump format.',
    known: 'The first bytes of the file match no supported format.',
    next: 'Give --vmcore a file that kdump, makedumpfile, QEMU or libvirt wrote.',
  },
  'wrong-parts': {
    means: 'The files are not all the parts of one split dump.',
    known: 'The headers of split dumps.',
    next: 'Give every part of one split dump once, and nothing else.',
  },
  truncated: {
    means: 'The file is truncated: it is shorter than its headers state.',
    known: 'The file size, compared with the headers.',
    next: 'Copy it again.',
  },
  damaged: {
    means: 'The dump is corrupt: its headers or kernel structures are inconsistent.',
    known: 'Checks of headers, page tables, symbols and types.',
    next: 'Copy the dump again, or try --engine crash.',
  },
  'unsupported-format': {
    means: 'The dump, or another file given with it, has an unsupported format.',
    known: 'Its header.',
    next: 'The README lists the supported formats.',
  },
  'unsupported-arch': {
    means: 'The architecture of the dump is unsupported.',
    known: 'The ELF or kdump header.',
    next: 'Only x86_64 and arm64 kernels are supported.',
  },
  'unsupported-layout': {
    means: 'This kernel has no known form of a structure or member that the command needs.',
    known: 'The kernel’s types (BTF).',
    next: 'Please report this with the kernel’s release.',
  },
  'no-symbols': {
    means: 'No kallsyms table was found in the dump, so symbols cannot be resolved.',
    known: 'VMCOREINFO and the kernel’s own tables (kernel/kallsyms.c).',
    next: 'Give --symbols System.map, or --vmlinux.',
  },
  'no-types': {
    means:
      'No type information: the kernel was built without BTF, or the dump does not contain it.',
    known: '.BTF of the kernel’s image (CONFIG_DEBUG_INFO_BTF).',
    next: 'Give --types FILE: BTF, a vmlinux or .debug file, or Volatility’s ISF.',
  },
  'vmlinux-needed': {
    means: 'crash requires a vmlinux with debug information.',
    known: '--engine crash without --vmlinux.',
    next: 'Give --vmlinux FILE; distributions ship it as a -dbg or -debuginfo package.',
  },
  'wrong-vmlinux': {
    means: 'The vmlinux, or another file given with the dump, is from a different kernel build.',
    known: 'Build ids, banners, symbols, sizes and offsets of both.',
    next: 'Use the vmlinux of exactly the same build.',
  },
  'wrong-map': {
    means: 'The map belongs to another extract, or is malformed.',
    known: 'Identifiers stored in the map and in the extract.',
    next: 'Give --map the file that extract --anonymize --map wrote with this extract.',
  },
  'no-live-memory': {
    means: 'This machine’s memory cannot be read.',
    known: '/proc/kcore.',
    next: 'Use a kernel with CONFIG_PROC_KCORE and without lockdown.',
  },
  'crash-missing': {
    means: 'The program crash is not installed.',
    known: 'execve(2)',
    next: 'Install crash, or name it with --crash PATH.',
  },
  'crash-too-old': {
    means: 'This version of crash does not support the kernel.',
    known: 'crash lists no task with pid 1.',
    next: 'Install a newer crash and name it with --crash PATH.',
  },
  'crash-failed': {
    means: 'crash exited before it answered.',
    known: 'The exit status and the last line of output.',
    next: 'Run crash on the same files to see its complete output.',
  },
  'crash-hung': {
    means: 'crash did not answer in time.',
    known: 'A time limit for its start and for each command.',
    next: 'The dump may be damaged; try a newer crash.',
  },
  'crash-elsewhere': {
    means: 'crash runs in another root file system and cannot see the files of kdump-mem.',
    known: 'A file that crash was to write does not exist.',
    next: 'Start crash in the same root and mount namespace, or share these paths with its container.',
  },
  'no-room': {
    means: 'There is no space for the temporary files of crash.',
    known: 'TMPDIR.',
    next: 'Set TMPDIR to a writable directory with 40 MiB of free space.',
  },
  exhausted: {
    means: 'kdump-mem ran out of file descriptors, processes or memory. The dump is not the cause.',
    known: 'errno',
    next: EXHAUSTION_ADVICE,
  },
  closed: {
    means: 'A program queried a dump after closing it.',
    known: 'close() was called earlier.',
    next: 'Call close() after the last query.',
  },
};

/** Why bytes could not be read. Ends the answer, or is a warning `unreadable`. */
export const READ_ERRORS: Explanations<ReadErrorCode> = {
  filtered: {
    means: 'The page was filtered out of the dump (makedumpfile -d).',
    known: 'The bitmaps or headers of the dump.',
    next: 'Use a dump with less filtering: makedumpfile -d 1, or the original of this dump.',
  },
  absent: {
    means: 'The dump does not contain this memory.',
    known: 'The memory ranges in the dump.',
    next: 'The dump may cover only a part of memory, or the pointer to this address may be corrupt.',
  },
  unmapped: {
    means: 'The address is not mapped by the page tables.',
    known: 'The page tables in the dump.',
    next: 'The pointer to this address may be corrupt.',
  },
  damaged: {
    means: 'The page is in the dump but cannot be decompressed.',
    known: 'The compression format and the sizes.',
    next: 'Copy the dump again.',
  },
  truncated: {
    means: 'The page lies beyond the end of the file.',
    known: 'The page’s offset, compared with the file size.',
    next: 'The file is truncated: copy it again.',
  },
  refused: {
    means: 'The engine could not read the page and reported no cause.',
    known: 'The output of crash.',
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
    means: 'Permission denied: the kernel does not let this user record.',
    known: 'The output of perf.',
    next: 'Run it as root, or with CAP_PERFMON and CAP_SYS_PTRACE; a container’s seccomp profile may forbid it too.',
  },
  'perf-failed': {
    means: 'perf exited without recording anything.',
    known: 'The exit status and the last line of output.',
    next: 'Run perf record --pid PID to see its complete output.',
  },
  'process-ended': {
    means: 'The process exited before anything was recorded.',
    known: 'The output of perf.',
    next: 'Choose a process that runs longer.',
  },
  'no-room': {
    means: 'There is no space for the recording of perf.',
    known: 'TMPDIR.',
    next: 'Set TMPDIR to a writable directory with more free space.',
  },
  'bpftrace-missing': {
    means: 'bpftrace is not installed.',
    known: 'execve(2)',
    next: 'Install it (package bpftrace), or omit --engine bpftrace.',
  },
  'bpftrace-failed': {
    means: 'bpftrace exited without recording anything.',
    known: 'The exit status and the last line of output.',
    next: 'Run bpftrace -e "BEGIN { exit(); }" to see the cause, or omit --engine bpftrace.',
  },
  'bpftrace-ended': {
    means: 'It was interrupted before bpftrace had started: nothing was recorded.',
    known: 'A signal arrived while bpftrace was compiling.',
    next: 'Record for longer: on a loaded machine bpftrace takes minutes to compile.',
  },
  'trace-no-root': {
    means: 'Permission denied: the kernel does not let this user trace it.',
    known: 'The error of open(2), mkdir(2) or write(2) below /sys/kernel/tracing.',
    next: 'Run it as root on the host; in a container /sys/kernel/tracing must be mounted and writable.',
  },
  'trace-not-mounted': {
    means: 'tracefs is not mounted.',
    known: 'stat(2) of /sys/kernel/tracing/instances and /sys/kernel/debug/tracing/instances.',
    next: 'Mount it: mount -t tracefs tracefs /sys/kernel/tracing',
  },
  'trace-locked-down': {
    means: 'The kernel is locked down (confidentiality), which forbids tracing.',
    known: '/sys/kernel/security/lockdown: confidentiality.',
    next: 'Use a command that needs no tracing: kdump-mem leaks --methods, kdump-mem memory, kdump-mem procs.',
  },
  'trace-unsupported': {
    means: 'This kernel has no such trace event, or its format is unsupported.',
    known: 'events/*/format, header_page and header_event of tracefs.',
    next: 'List the methods that this kernel supports: kdump-mem leaks --methods',
  },
  'trace-over-budget': {
    means: 'Recording would use more CPU time than the budget allows.',
    known: 'The event rate, and the cost of one event on this machine.',
    next: 'Raise the budget (--budget), or trace only larger allocations (--order).',
  },
  'trace-failed': {
    means: 'The kernel refused a request that tracing needs.',
    known: 'The error of mkdir(2), write(2) or read(2) below /sys/kernel/tracing.',
    next: 'Check free memory: every CPU needs a trace buffer.',
  },
};

/** Why samples cannot be stored. */
export const STORE_ERRORS: Explanations<StoreErrorCode> = {
  'cannot-write': {
    means: 'The file cannot be written: the disk is full, or permission is denied.',
    known: 'The error of open(2), write(2) or rename(2). A partial line is removed.',
    next: 'Free disk space, or use a file in a writable directory.',
  },
  locked: {
    means: 'Another kdump-mem watch writes to the same file.',
    known: 'A process listens on the Unix socket .NAME.lock next to the file.',
    next: 'Stop the other one (ss -lxp | grep kdump-mem), or use another file.',
  },
  'other-writer': {
    means: 'Another program writes to the file, so the lines would be mixed.',
    known: 'The file size, compared with the bytes written.',
    next: 'Stop the other program, or use another file.',
  },
};
