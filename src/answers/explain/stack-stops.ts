import type { STACK_STOP_CODES } from '../../walk/stacks/stop.js';
import type { Explanations } from './explanation.js';

const DAMAGE =
  'Take what lies below for unknown. In a sound dump, report it with the kernel’s release.';
const TABLES = 'The kernel’s own tables (ORC), or on arm64 its frame records.';
const UNKNOWN_CODE =
  'Code that was made at run time (BPF, livepatches) can be such. Take what lies below for unknown.';

/** Why a stack is not followed to its end; `at` is the address that each is about. */
export const STACK_STOPS: Explanations<(typeof STACK_STOP_CODES)[number]> = {
  'comes-back': {
    means: 'The stack leads back to a place where it was already (`at`): it is damaged.',
    known: TABLES,
    next: DAMAGE,
  },
  endless: {
    means: 'The stack has more functions than any that fits into its room.',
    known: 'The count of its frames.',
    next: DAMAGE,
  },
  'returns-to-nothing': {
    means: 'A function is to return to address 0.',
    known: 'The return address on the stack.',
    next: DAMAGE,
  },
  'returns-to-no-code': {
    means: 'A function is to return to an address (`at`) that is none of the kernel’s.',
    known: 'The return address on the stack.',
    next: DAMAGE,
  },
  'returns-to-no-call': {
    means: 'A function is to return to where no call ends: one of both is wrong, or was changed.',
    known: 'The bytes of code before the return address.',
    next: DAMAGE,
  },
  'return-traced': {
    means:
      'A tracer has taken the return address (function graph, kretprobe), and its note of it is not there.',
    known: 'The return address is the tracer’s own.',
    next: 'Dump with the pages of the kernel’s tasks in it (makedumpfile -d 31 keeps them).',
  },
  'no-table': {
    means: 'No table of the kernel has the code at `at`, and no frame pointer leads on.',
    known: TABLES,
    next: UNKNOWN_CODE,
  },
  'table-ends': {
    means: 'The table says of the code at `at` that nothing can be told there.',
    known: TABLES,
    next: UNKNOWN_CODE,
  },
  'register-unknown': {
    means: 'The table asks for a register that is not known at `at`.',
    known: TABLES,
    next: 'Take what lies below for unknown.',
  },
  'pointer-off': {
    means: 'The stack would go on at `at`, which is no place where a word can be.',
    known: TABLES,
    next: DAMAGE,
  },
  'record-unknown': {
    means: 'A frame record of arm64 (`at`) has no kind that is known.',
    known: 'The word beside the record (frame_record_meta).',
    next: DAMAGE,
  },
  'registers-amid': {
    means:
      'Registers of user space lie amid the stack (`at`), and not at its end, where the kernel has them.',
    known: 'Where the stack of the task ends (task_pt_regs).',
    next: DAMAGE,
  },
  'ends-amid': {
    means: 'The stack would end at `at`, and not where the stacks of tasks do.',
    known: 'Where the stack of the task ends.',
    next: DAMAGE,
  },
  'gave-up-outside': {
    means: 'The task gave up its CPU with a stack pointer (`at`) outside of its own stack.',
    known: 'The stack pointer that its task_struct notes.',
    next: DAMAGE,
  },
  'no-registers': {
    means: 'A CPU ran the task when it was dumped, and nobody noted what it had in its registers.',
    known: 'crash_notes, notes of the dump and of QEMU.',
    next: 'Virtual machines: dump with virsh dump --memory-only, whose notes have the registers.',
  },
  scanned: {
    means:
      'The kernel has no ORC tables, and frame pointers do not lead to the end of the stack. Frames with `guess` are all words that could be return addresses: some are left from calls that have returned.',
    known: 'Words of the stack before which a call ends.',
    next: 'Take the functions as a set, not as a chain of calls.',
  },
};
