import { viewOf } from '../kernel/bytes.js';
import { type Note, NT_PRSTATUS, type Vmcoreinfo } from '../kernel/native/parts.js';

/** Where struct elf_prstatus has `pr_pid`, and its registers (linux/elfcore.h). */
const PR_PID = 32;

/**
 * Registers that tell where a CPU was, by the note's size: x86_64's rip, cs, eflags and rsp, arm64's
 * sp, pc and pstate (struct user_regs_struct, struct user_pt_regs). All others may hold anything.
 */
const PLACES: Readonly<Record<number, readonly { at: number; pointer: boolean }[]>> = {
  336: [
    { at: 240, pointer: true },
    { at: 248, pointer: false },
    { at: 256, pointer: false },
    { at: 264, pointer: true },
  ],
  392: [
    { at: 360, pointer: true },
    { at: 368, pointer: true },
    { at: 376, pointer: false },
  ],
};

/**
 * The notes of an extract: VMCOREINFO, and of each CPU's status where in the kernel it was. A CPU that
 * ran a process leaves nothing: its registers were the process's.
 */
export function keptNotes(notes: readonly Note[], info: Vmcoreinfo): Note[] {
  const statuses = notes
    .filter(({ name, type }) => name === 'CORE' && type === NT_PRSTATUS)
    .map(({ name, type, data }) => ({ name, type, data: placeOnly(data) }));
  return [
    ...statuses,
    { name: 'VMCOREINFO', type: 0, data: viewOf(Buffer.from(infoText(info), 'latin1')) },
  ];
}

/** VMCOREINFO's lines, and nothing that may lie behind them. */
export function infoText(info: Vmcoreinfo): string {
  return Array.from(info.entries, ([key, value]) => `${key}=${value}\n`).join('');
}

function placeOnly(status: DataView): DataView {
  const kept = new DataView(new ArrayBuffer(status.byteLength));
  const places = PLACES[status.byteLength] ?? [];
  // Addresses of the kernel have the uppermost bit set.
  const inKernel = places.every(({ at, pointer }) => !pointer || status.getInt8(at + 7) < 0);
  if (places.length === 0 || !inKernel) return kept;
  kept.setUint32(PR_PID, status.getUint32(PR_PID, true), true);
  for (const { at } of places) kept.setBigUint64(at, status.getBigUint64(at, true), true);
  return kept;
}
