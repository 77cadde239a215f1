import type { STACK_STOP_CODES } from '../../walk/stacks/stop.js';
import type { Explanations } from './explanation.js';

const DAMAGE =
  'Treat the frames below as unknown. If the dump is intact, report this with the kernel release.';
const TABLES = 'The kernel’s own tables (ORC), or on arm64 its frame records.';
const UNKNOWN_CODE =
  'Code generated at run time (BPF, livepatches) can cause this. Treat the frames below as unknown.';

/** Why a stack trace stops early; `at` is the address concerned. */
export const STACK_STOPS: Explanations<(typeof STACK_STOP_CODES)[number]> = {
  'comes-back': {
    means: 'The stack trace loops (`at`): the stack is corrupt.',
    known: TABLES,
    next: DAMAGE,
  },
  endless: {
    means: 'The stack trace has more frames than fit on a stack.',
    known: 'The number of frames.',
    next: DAMAGE,
  },
  'returns-to-nothing': {
    means: 'A return address is 0.',
    known: 'The return address on the stack.',
    next: DAMAGE,
  },
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
    means:
      'A tracer replaced the return address (function graph, kretprobe), and the original is not available.',
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
    means: 'The next stack pointer (`at`) is invalid: misaligned or outside the stack.',
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
    means:
      'The task was running on a CPU at the time of the dump, and its registers were not saved.',
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
