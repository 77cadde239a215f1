import type { RecordingEnd, StacksWarning } from '../../profile/faults/counts.js';
import type { STACK_STOP_CODES } from '../../records/stacks.js';
import type { Explanations } from './schema.js';

const DAMAGE = 'Treat the frames below as unknown. If the dump is intact, report this with the kernel release.';
const TABLES = 'The kernel’s own tables (ORC), or on arm64 its frame records.';
const UNKNOWN_CODE = 'Code generated at run time (BPF, livepatches) can cause this. Treat the frames below as unknown.';

/** Why a stack trace stops early; `at` is the address concerned. */
export const STACK_STOPS: Explanations<(typeof STACK_STOP_CODES)[number]> = {
  'comes-back': { means: 'The stack trace loops (`at`): the stack is corrupt.', known: TABLES, next: DAMAGE },
  endless: {
    means: 'The stack trace has more frames than fit on a stack.',
    known: 'The number of frames.',
    next: DAMAGE,
  },
  'returns-to-nothing': { means: 'A return address is 0.', known: 'The return address on the stack.', next: DAMAGE },
  'returns-to-no-code': {
    means: 'A return address (`at`) is outside kernel code.',
    known: 'The return address on the stack.',
    next: DAMAGE,
  },
  'returns-to-no-call': {
    means: 'No call instruction precedes a return address: the address or the code was modified.',
    known: 'The code before the return address.',
    next: DAMAGE,
  },
  'return-traced': {
    means: 'A tracer replaced the return address (function graph, kretprobe), and the original is not available.',
    known: 'The return address is the tracer’s own.',
    next: 'Use a dump that contains the kernel’s task pages (makedumpfile -d 31 keeps them).',
  },
  'no-table': {
    means: 'No unwind table covers the code at `at`, and there is no valid frame pointer.',
    known: TABLES,
    next: UNKNOWN_CODE,
  },
  'table-ends': {
    means: 'The unwind table marks the code at `at` as not unwindable.',
    known: TABLES,
    next: UNKNOWN_CODE,
  },
  'register-unknown': {
    means: 'The unwind table needs a register that is unknown at `at`.',
    known: TABLES,
    next: 'Treat the frames below as unknown.',
  },
  'pointer-off': {
    means: 'The next stack pointer (`at`) is invalid: misaligned, outside the stack, or not above the one before.',
    known: TABLES,
    next: DAMAGE,
  },
  'record-unknown': {
    means: 'An arm64 frame record (`at`) has an unknown type.',
    known: 'The type in the record (frame_record_meta).',
    next: DAMAGE,
  },
  'registers-amid': {
    means: 'User-space registers are in the middle of the stack (`at`), not at its end.',
    known: 'Where the stack of the task ends (task_pt_regs).',
    next: DAMAGE,
  },
  'ends-amid': {
    means: 'The stack trace ends at `at`, not at the end of a task’s stack.',
    known: 'Where the stack of the task ends.',
    next: DAMAGE,
  },
  'gave-up-outside': {
    means: 'The saved stack pointer (`at`) of the task is outside its stack.',
    known: 'The stack pointer in its task_struct.',
    next: DAMAGE,
  },
  'no-registers': {
    means: 'The task was running on a CPU at the time of the dump, and its registers were not saved.',
    known: 'crash_notes, notes of the dump and of QEMU.',
    next: 'Virtual machines: dump with virsh dump --memory-only, whose notes have the registers.',
  },
  scanned: {
    means:
      'The kernel has no ORC tables, and the frame pointers are incomplete. Frames with `guess` are words that could be return addresses: some are left over from calls that returned.',
    known: 'Words on the stack that point behind a call instruction.',
    next: 'Read the functions as a set, not as a call chain.',
  },
};

/** Warnings of `kdump-mem procs --stacks`. */
export const STACK_WARNINGS: Explanations<StacksWarning['code']> = {
  lost: {
    means: 'Some records were lost because a kernel buffer was full: their stacks are unknown.',
    known: 'perf counts them (PERF_RECORD_LOST).',
    next: 'Record for a shorter time, or when the process faults less.',
  },
  contradicted: {
    means: 'The records of perf and the counters of the kernel are inconsistent.',
    known: 'Page faults (/proc/PID/stat) and RssAnon before and after, compared with the records.',
    next: 'Read the message for possible causes. Do not rely on the totals.',
  },
  'ended-early': {
    means: 'The recording ended early. Everything recorded until then is reported.',
    known: 'The process exited, the file reached its limit, or perf was interrupted.',
    next: 'Record again, with a larger --max-size if the file was full.',
  },
  unreadable: {
    means: 'Some lines of perf script are malformed or unsupported, and were skipped.',
    known: 'Each line that does not parse is counted.',
    next: 'Report the version of perf (perf --version) and such a line.',
  },
};

/** Why a recording or `watch` stopped. */
export const ENDINGS: Explanations<RecordingEnd | 'signal' | 'stored'> = {
  time: { means: 'The requested time has passed.', known: 'The clock.', next: 'None.' },
  interrupted: {
    means: 'It was interrupted (Ctrl-C). Everything recorded until then is reported.',
    known: 'The signal.',
    next: 'None.',
  },
  'process-ended': {
    means: 'The process exited. Everything recorded until then is reported.',
    known: 'perf exited by itself, and the process no longer exists.',
    next: 'If that was unexpected, check the log for the OOM killer.',
    deeper: 'kdump-mem log --live',
  },
  'size-limit': {
    means: 'The recording reached its size limit.',
    known: 'The size of the file.',
    next: 'Record with a larger --max-size, or for a shorter time.',
  },
  signal: {
    means: 'It was interrupted by a signal. Everything sampled until then is reported.',
    known: 'SIGINT, SIGTERM or SIGHUP.',
    next: 'None: --store continues where it stopped.',
  },
  stored: { means: 'Nothing was sampled: the report covers stored samples.', known: '--for 0.', next: 'None.' },
};
