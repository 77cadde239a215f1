import { viewOf } from '../kernel/bytes.js';
import { type Note, NT_PRSTATUS, type Vmcoreinfo } from '../kernel/native/parts.js';

/** Where struct elf_prstatus has `pr_pid` (linux/elfcore.h). */
const PR_PID = 32;

/** Offsets of registers. */
interface Registers {
  /** Whether that was in user space. */
  readonly mode: readonly number[];
  /** Addresses: where the CPU was, its stack pointer, and where its frames are. */
  readonly place: readonly number[];
  readonly flags: readonly number[];
  /** What else may lead through a stack. */
  readonly more: readonly number[];
}

/**
 * By the note's size (struct user_regs_struct, struct user_pt_regs): x86_64's cs, rip and rsp, eflags, then
 * r13, rbp, r10, rax, rdx and rdi; arm64's pstate, sp, pc and x29, then x30. All others may hold anything.
 */
const REGISTERS: Readonly<Record<number, Registers>> = {
  336: { mode: [248], place: [240, 264], flags: [256], more: [128, 144, 168, 192, 208, 224] },
  392: { mode: [376], place: [344, 360, 368], flags: [], more: [352] },
};

/**
 * The notes of an extract: VMCOREINFO, and of each CPU's status where in the kernel it was. Of a CPU that
 * ran a process nothing but that is kept: its registers were the process's.
 *
 * @param stacks keep what else stacks are unwound from, as far as it is addresses of the kernel
 */
export function keptNotes(notes: readonly Note[], info: Vmcoreinfo, stacks: boolean): Note[] {
  const statuses = notes
    .filter(({ name, type }) => name === 'CORE' && type === NT_PRSTATUS)
    .map(({ name, type, data }) => ({ name, type, data: statusOf(data, stacks) }));
  // Whose numbers those of CPUs are hangs on it.
  const qemu = notes.find(({ name }) => name === 'QEMU');
  return [
    ...statuses,
    ...(qemu && stacks
      ? [{ name: qemu.name, type: qemu.type, data: viewOf(Buffer.alloc(8)) }]
      : []),
    { name: 'VMCOREINFO', type: 0, data: viewOf(Buffer.from(infoText(info), 'latin1')) },
  ];
}

/** VMCOREINFO's lines, and nothing that may lie behind them. */
export function infoText(info: Vmcoreinfo): string {
  return Array.from(info.entries, ([key, value]) => `${key}=${value}\n`).join('');
}

function statusOf(status: DataView, stacks: boolean): DataView {
  const kept = new DataView(new ArrayBuffer(status.byteLength));
  const registers = REGISTERS[status.byteLength];
  if (registers === undefined) return kept;
  const { mode, place, flags, more } = registers;
  kept.setUint32(PR_PID, status.getUint32(PR_PID, true), true);
  const keep = (at: number) => kept.setBigUint64(at, status.getBigUint64(at, true), true);
  mode.forEach(keep);
  // Addresses of the kernel have the uppermost bit set.
  const isAddress = (at: number) => status.getInt8(at + 7) < 0;
  if (!place.every(isAddress)) return kept;
  [...place, ...flags].forEach(keep);
  if (stacks) more.filter(isAddress).forEach(keep);
  return kept;
}
