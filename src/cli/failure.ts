import { KdumpMemError } from '../error.js';
import { EXHAUSTION_ADVICE, exhaustionOf } from '../exhaustion.js';
import { ExtractError } from '../extract/error.js';
import { ExhaustedError, HostError } from '../host/error.js';
import {
  KernelError,
  type KernelErrorCode,
  ReadError,
  type ReadErrorCode,
} from '../kernel/error.js';
import { OutputError } from '../output-file.js';
import { escapeText } from '../report/text/escape.js';
import { TraceError, type TraceErrorCode } from '../trace/error.js';
import { WalkError } from '../walk/error.js';

/** Exit statuses of kdump-mem. */
export const EXIT = {
  answered: 0,
  /** `--engine verify` found a figure that differs. */
  differs: 1,
  usage: 2,
  /** The dump or the kernel could not be opened or read. */
  unreadable: 3,
  /** The pid, fd, socket or network namespace asked for is not there. */
  notThere: 4,
  /** With --strict: the answer is incomplete. */
  incomplete: 5,
} as const;

/** What the command line asked for makes no sense. */
export class UsageError extends KdumpMemError<'usage'> {
  constructor(message: string, next?: string) {
    super('usage', message, next === undefined ? {} : { next });
  }
}

/** What to do next, for each reason not to open a kernel. */
const ADVICE: Readonly<Record<KernelErrorCode, string>> = {
  'no-such-file': 'Check the path.',
  permission: 'Run it as root, or as a user who may read that.',
  'not-a-dump': 'Give --vmcore a file that kdump, makedumpfile, QEMU or libvirt wrote.',
  'wrong-parts': 'Give every part of one split dump once, and nothing else.',
  truncated: 'Copy it again.',
  damaged: 'Copy the dump again, or try --engine crash.',
  'unsupported-format': 'The README names the formats that are read.',
  'unsupported-arch': 'Only x86_64 and arm64 kernels are read.',
  'unsupported-layout': 'Please report this with the kernel’s release.',
  'no-symbols': 'Give --symbols System.map, or --vmlinux.',
  'no-types': 'Give --btf, or --vmlinux.',
  'vmlinux-needed': 'Give --vmlinux FILE; distributions ship it as a -dbg or -debuginfo package.',
  'wrong-vmlinux': 'Take the vmlinux of exactly that build.',
  'wrong-map': 'Give --map the file that extract --anonymize --map wrote beside this very extract.',
  'no-live-memory': 'The kernel must be built with CONFIG_PROC_KCORE, and not be locked down.',
  'crash-missing': 'Install crash, or name it with --crash PATH.',
  'crash-too-old': 'Install a newer crash and name it with --crash PATH.',
  'crash-failed': 'Try the same files with crash itself to see all that it says.',
  'crash-hung': 'The dump may be damaged; try a newer crash.',
  'crash-elsewhere':
    'Start crash in the same root and mount namespace, or share these paths with its container.',
  'no-room': 'Let TMPDIR name a folder that has 40 MiB free and that you may write to.',
  exhausted: EXHAUSTION_ADVICE,
};

/** What to do next, for each reason why memory could not be read. */
const READ_ADVICE: Readonly<Record<ReadErrorCode, string>> = {
  filtered:
    'Take a dump that leaves less out: one of makedumpfile -d 1, or that which this one was cut from.',
  absent: 'The dump may be of a part of the memory only, or damaged where that address comes from.',
  unmapped: 'The dump may be damaged where that address comes from.',
  damaged: 'Copy the dump again.',
  truncated: 'The file is cut: copy it again.',
  refused: 'Try the other engine: --engine native, or crash.',
};

/** What to do next where /proc does not tell. */
const DENIED_ADVICE = 'Run it as root; a container may need more capabilities.';
const HOST_ADVICE = 'Another source may tell it: --source; or look at a dump.';

/** What to do next where perf did not record. */
const TRACE_ADVICE: Readonly<Record<TraceErrorCode, string>> = {
  'perf-missing':
    'Install it: linux-perf (Debian), linux-tools-$(uname -r) (Ubuntu), perf (Fedora, RHEL, SUSE).',
  'perf-refused':
    'Run it as root, or with CAP_PERFMON and CAP_SYS_PTRACE; a container’s seccomp profile may forbid it too.',
  'perf-failed': 'Try perf record --pid by itself to see all that it says.',
  'process-ended': 'Name one that runs longer.',
  'no-room': 'Let TMPDIR name a folder that has room and that you may write to.',
};

/**
 * The one line and the exit status for an error that a user should see, or for what we ran out of.
 * Anything else is a bug of ours and is thrown on.
 */
export function explainFailure(error: unknown): { line: string; status: number } {
  if (error instanceof UsageError)
    return { line: say(error.message, error.next), status: EXIT.usage };
  if (error instanceof ExtractError || error instanceof OutputError) {
    const status = error.code === 'cannot-write' ? EXIT.unreadable : EXIT.usage;
    return { line: say(error.message), status };
  }
  if (error instanceof WalkError) return { line: say(error.message), status: EXIT.notThere };
  if (error instanceof KernelError) {
    const { cause, code, message } = error;
    const isMissing = code === 'damaged' && cause instanceof ReadError;
    const advice = isMissing ? READ_ADVICE[cause.code] : ADVICE[code];
    return { line: say(message, error.next ?? advice), status: EXIT.unreadable };
  }
  if (error instanceof ReadError) {
    return {
      line: say(`what the answer needs cannot be read: ${error.message}`, READ_ADVICE[error.code]),
      status: EXIT.unreadable,
    };
  }
  if (error instanceof HostError) {
    const advice = error.code === 'denied' ? DENIED_ADVICE : HOST_ADVICE;
    return { line: say(error.message, error.next ?? advice), status: EXIT.unreadable };
  }
  if (error instanceof TraceError) {
    const status = error.code === 'process-ended' ? EXIT.notThere : EXIT.unreadable;
    return { line: say(error.message, TRACE_ADVICE[error.code]), status };
  }
  if (error instanceof ExhaustedError)
    return { line: say(error.message, EXHAUSTION_ADVICE), status: EXIT.unreadable };
  const exhausted = exhaustionOf(error);
  if (exhausted === undefined) throw error;
  return { line: say(exhausted, EXHAUSTION_ADVICE), status: EXIT.unreadable };
}

/** Messages can quote paths and bytes of a dump. */
function say(message: string, advice?: string): string {
  return `kdump-mem: ${escapeText(message)}${advice ? `. ${advice}` : ''}`;
}
