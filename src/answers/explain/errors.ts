import {
  EXHAUSTION_ADVICE,
  type HostErrorCode,
  type KernelErrorCode,
  type ReadErrorCode,
  type StoreErrorCode,
  type TraceErrorCode,
  type WalkErrorCode,
} from '../../base/errors.js';
import type { Explanations } from './schema.js';

/** Why a dump or kernel could not be opened or read. The error message ends with `next`. */
export const KERNEL_ERRORS: Explanations<KernelErrorCode> = {
  'no-such-file': { means: 'The named file does not exist.', known: 'open(2)', next: 'Check the path.' },
  permission: {
    means: 'Permission denied: this user cannot read the file.',
    known: 'open(2)',
    next: 'Run as root, or as a user with read permission.',
  },
  'not-a-dump': {
    means: 'The file is not in a supported dump format.',
    known: 'The first bytes of the file match no supported format.',
    next: 'Name a dump written by kdump, makedumpfile, QEMU or libvirt (triage, memory, procs and log also accept a snapshot).',
  },
  'wrong-parts': {
    means: 'The files are not all the parts of one split dump.',
    known: 'The headers of split dumps.',
    next: 'Name each part of one split dump once, and no other file.',
  },
  truncated: {
    means: 'The file is truncated: it is shorter than its headers state.',
    known: 'The file size, compared with the headers.',
    next: 'Copy the file again.',
  },
  damaged: {
    means: 'The dump is corrupt: its headers or kernel structures are inconsistent.',
    known: 'Checks of headers, page tables, symbols and types.',
    next: 'Copy the dump again, or try --engine crash.',
  },
  'unsupported-format': {
    means: 'The dump, or another file given with it, has an unsupported format.',
    known: 'Its header.',
    next: 'See the list of supported formats in the README.',
  },
  'unsupported-arch': {
    means: 'The architecture of the dump is unsupported.',
    known: 'The ELF or kdump header.',
    next: 'Use a dump of an x86_64 or arm64 kernel.',
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
    means: 'No type information: the kernel was built without BTF, or the dump does not contain it.',
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
    means: 'There is no space for temporary files: those of crash, or an unpacked dump.',
    known: 'TMPDIR, and the free space of the folder.',
    next: 'Set TMPDIR to a writable directory with more free space.',
  },
  exhausted: {
    means: 'kdump-mem ran out of file descriptors, processes or memory. The dump is not the cause.',
    known: 'errno',
    next: EXHAUSTION_ADVICE,
  },
  closed: {
    means: 'The library’s caller read a dump after closing it.',
    known: 'close() was called earlier.',
    next: 'Call close() after the last query.',
  },
};

/** Why bytes could not be read. Aborts the answer, or is reported as warning `unreadable`. */
export const READ_ERRORS: Explanations<ReadErrorCode> = {
  filtered: {
    means: 'The page was filtered out of the dump (makedumpfile -d).',
    known: 'The bitmaps or headers of the dump.',
    next: 'Use a dump with less filtering: makedumpfile -d 1, or the original of this dump.',
  },
  absent: {
    means: 'The dump does not contain this memory.',
    known: 'The memory ranges in the dump.',
    next: 'The dump may cover only a part of memory (a file of a split dump does), or the pointer to this address may be corrupt.',
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
    means: 'Permission denied: this user may not record the process.',
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
    means: 'The recording was interrupted before bpftrace started, so nothing was recorded.',
    known: 'A signal arrived while bpftrace was compiling.',
    next: 'Record for longer: on a loaded machine bpftrace takes minutes to compile.',
  },
  'trace-no-root': {
    means: 'Permission denied: this user may not trace the kernel.',
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

/**
 * Why a host could not be read; `skcheck_scan_failure` uses these codes. `next` is for users without root
 * privileges.
 */
export const HOST_ERRORS: Explanations<HostErrorCode> = {
  gone: {
    means: 'A file, process or link does not exist, or no longer exists.',
    known: 'ENOENT, ESRCH.',
    next: 'Check that /proc is mounted: skcheck needs Linux with procfs.',
  },
  denied: {
    means: 'Permission denied: the object exists, but this user cannot read it.',
    known: 'EACCES, EPERM.',
    next: 'Run as root, or as the owner of the process.',
  },
  unreadable: {
    means: 'The content is malformed or unsupported.',
    known: 'The format of the content.',
    next: 'skcheck needs Linux with procfs.',
  },
  blocked: {
    means: 'A read of /proc/PID made no progress and was abandoned: another task holds the mmap_lock of the process.',
    known: 'The process that read was asleep, and used no CPU time, for up to 2 s.',
    next: 'Read wchan and stack of the threads of that process: cat /proc/PID/task/*/stack.',
  },
  large: {
    means: 'The mappings of a large process were not summed up: it can map no memory meanwhile.',
    known: 'VmRSS and VmSwap of /proc/PID/status.',
    next: 'Use --pss all, with procs or snapshot, if the process may wait for 15 ms per GiB.',
  },
  'no-such-process': {
    means: 'There is no process with this pid.',
    known: '/proc.',
    next: 'Check the pid: it must be from this pid namespace.',
  },
  'no-such-netns': {
    means: 'There is no such network namespace.',
    known: '/run/netns, and the namespaces of processes.',
    next: 'Give a name (ip netns), a path, the pid of a process in it, or "all".',
  },
  'netns-closed': {
    means: 'Permission denied: the network namespace cannot be entered.',
    known: 'nsenter, or setns(2), refused.',
    next: 'Run as root, with nsenter (util-linux) installed.',
  },
  'not-a-capture': {
    means: 'The file is neither a capture nor a sosreport.',
    known: 'Its members.',
    next: 'Give a file that skcheck --capture wrote, or a sosreport.',
  },
  'capture-failed': {
    means: 'The capture could not be made.',
    known: 'The script’s exit status.',
    next: 'Nothing was captured.',
  },
  'ss-missing': {
    means: 'The program ss is not installed.',
    known: 'execve(2).',
    next: 'Install it (package iproute2; iproute on Fedora and RHEL).',
  },
  'ss-failed': {
    means: 'ss exited with an error.',
    known: 'The exit status and the last line of output.',
    next: 'Run "ss -nemita" to see the error.',
  },
  'ss-hung': {
    means: 'ss did not answer in time.',
    known: 'The time limit.',
    next: 'Run "ss -nemita": on a very large host it can exceed the time limit.',
  },
  'ss-too-much': {
    means: 'ss printed more than one sample can contain.',
    known: 'The limit on its output.',
    next: 'Check one network namespace at a time (ip netns exec).',
  },
};

/** Why a requested object was not found. */
export const WALK_ERRORS: Explanations<WalkErrorCode> = {
  'no-such-pid': {
    means: 'No process or thread has this pid.',
    known: 'The kernel’s list of tasks, or /proc.',
    next: 'List processes: kdump-mem procs.',
    deeper: 'kdump-mem procs',
  },
  'kernel-thread': {
    means: 'The pid is that of a kernel thread, which has neither files nor memory of its own.',
    known: 'task_struct.mm is null.',
    next: 'See its stack.',
    deeper: 'kdump-mem stacks',
  },
  'no-such-netns': {
    means: 'No network namespace has this inode number.',
    known: 'The kernel’s list of them (net_namespace_list).',
    next: 'List namespaces: kdump-mem sockets --by netns.',
    deeper: 'kdump-mem sockets',
  },
  'no-such-fd': {
    means: 'The process has no open descriptor with this number.',
    known: 'Its table of files (files_struct).',
    next: 'List its sockets: kdump-mem skb --pid N.',
    deeper: 'kdump-mem skb',
  },
  'not-a-socket': {
    means: 'The object is not a socket, or no longer one.',
    known: 'file.f_op, or the fields of the sock.',
    next: 'List the sockets of the process.',
    deeper: 'kdump-mem skb',
  },
  'no-such-symbol': {
    means: 'This kernel has no such symbol; other versions or configurations may.',
    known: 'The kernel’s own table of symbols (kallsyms).',
    next: 'Check the name. Symbols of modules are written MODULE:NAME.',
  },
  'ambiguous-symbol': {
    means: 'Several kernel symbols have this name.',
    known: 'The kernel’s own table of symbols (kallsyms).',
    next: 'Use the address instead of the name.',
  },
  'no-such-cpu': {
    means: 'No CPU has this number, or it ran no matching task.',
    known: 'The masks of CPUs that are online and possible.',
    next: 'List the CPUs.',
    deeper: 'kdump-mem info',
  },
  'no-such-type': {
    means: 'The kernel has no type with this name.',
    known: 'BTF of the kernel and of its modules.',
    next: 'Check the name. Types of modules need their BTF.',
  },
  'ambiguous-type': {
    means: 'The kernel or its modules have several different types with this name.',
    known: 'BTF of the kernel and of its modules.',
    next: 'Name the module.',
  },
  'no-such-member': {
    means: 'The type has no such member; other kernel versions may.',
    known: 'BTF of the kernel.',
    next: 'List its members.',
    deeper: 'kdump-mem struct TYPE',
  },
  'no-such-cache': {
    means: 'No slab cache has this name. The kernel merges caches of equal size: then one name remains.',
    known: 'The kernel’s list of slab caches (slab_caches).',
    next: 'List the caches.',
    deeper: 'kdump-mem memory --caches',
  },
  'overlapping-targets': {
    means: 'Two targets of a search contain the same bytes, such as a page and an object in it.',
    known: 'The addresses and sizes of the targets.',
    next: 'Search for each in a run of its own.',
  },
  'too-many-targets': {
    means: 'The search has more targets, or targets in more pages, than its memory is limited to.',
    known: 'The number of objects of the cache, or of pages of the category.',
    next: 'Name a smaller cache or category, or single addresses.',
  },
};
