import type { Kernel } from '../../kernel/kernel.js';
import { perCpuAddress } from '../cpus.js';
import { findOrNot, pointerPartOf, readPartOf } from '../named-read.js';

/** Registers of a CPU when the memory was dumped. */
export interface CpuRegisters {
  /** Origin: the crashing kernel, in its own memory or in the dump's notes, or QEMU from outside. */
  readonly source: 'crash_notes' | 'note' | 'qemu';
  /** The task that the kernel recorded with the registers; undefined: QEMU does not know tasks. */
  readonly pid: number | undefined;
  /** Read on demand, like `sp` and `get`. @throws {ReadError} */
  readonly pc: bigint;
  readonly sp: bigint;
  /** Whether the CPU was in user space. */
  readonly user: boolean;
  /** Returns any register of {@link X86} or {@link ARM64}, by its name in struct pt_regs. */
  readonly get: (register: string) => bigint;
}

/** `pr_reg` of struct elf_prstatus: x86_64's user_regs_struct, arm64's user_pt_regs. */
const PR_PID = 32;
const PR_REG = 112;

const X86 = [
  ...[
    'r15',
    'r14',
    'r13',
    'r12',
    'bp',
    'bx',
    'r11',
    'r10',
    'r9',
    'r8',
    'ax',
    'cx',
    'dx',
    'si',
    'di',
  ],
  ...['orig_ax', 'ip', 'cs', 'flags', 'sp', 'ss'],
];

const ARM64 = [...Array.from({ length: 31 }, (_, index) => `x${index}`), 'sp', 'pc', 'pstate'];

/** Size of struct elf_prstatus, in bytes. */
const STATUS_BYTES = { x86_64: 336, arm64: 392 } as const;

/** Header size of an ELF note: sizes of name and data, type, then `CORE` padded to 8 bytes. */
const NOTE_BYTES = 20;
const NT_PRSTATUS = 1;
const CORE = 0x4552_4f43;

/**
 * Returns the registers of a CPU; undefined if they were not saved.
 *
 * @param cpus the possible CPUs, in order
 */
export function cpuRegisters(
  kernel: Kernel,
  cpu: number,
  cpus: readonly number[],
): CpuRegisters | undefined {
  const own = ownNote(kernel, cpu);
  if (own !== undefined) return own;
  const { by, notes = [] } = kernel.cpuNotes ?? {};
  const size = STATUS_BYTES[kernel.facts.arch];
  if (by === 'qemu') {
    // QEMU numbers CPUs from 1.
    const note = notes.find((one) => one.byteLength === size && pidOf(one) === cpu + 1);
    return note && decode(kernel, wordsOf(note), 'qemu');
  }
  // The dump has no note for a CPU that stored none: they can be assigned only if each CPU has one.
  const note = notes.length === cpus.length ? notes[cpus.indexOf(cpu)] : undefined;
  return note?.byteLength === size ? decode(kernel, wordsOf(note), 'note') : undefined;
}

/** A CPU's note in kernel memory (crash_save_cpu). */
function ownNote(kernel: Kernel, cpu: number): CpuRegisters | undefined {
  const variable = kernel.symbol('crash_notes');
  if (variable === undefined) return undefined;
  const read = (at: bigint, length: number) => readPartOf(kernel, 'crash_notes', at, at, length);
  // If it cannot be read, the dump's notes may still contain it.
  return findOrNot(() => {
    const area = pointerPartOf(kernel, 'crash_notes', variable, variable);
    if (area === 0n) return undefined;
    const at = perCpuAddress(kernel, area, cpu);
    const head = read(at, NOTE_BYTES);
    const isStatus =
      head.getUint32(0, true) === 5 &&
      head.getUint32(4, true) === STATUS_BYTES[kernel.facts.arch] &&
      head.getUint32(8, true) === NT_PRSTATUS &&
      head.getUint32(12, true) === CORE;
    const status = at + BigInt(NOTE_BYTES);
    const word = (offset: number) => read(status + BigInt(offset), 8).getBigUint64(0, true);
    return isStatus ? decode(kernel, word, 'crash_notes') : undefined;
  });
}

/** Reads the 8 bytes at an offset of a struct elf_prstatus. @throws {ReadError} */
type Word = (offset: number) => bigint;

function wordsOf(note: DataView): Word {
  return (offset) => note.getBigUint64(offset, true);
}

/** Reads only the requested registers: the others are private. @throws {ReadError} */
function decode(kernel: Kernel, word: Word, source: CpuRegisters['source']): CpuRegisters {
  const arm = kernel.facts.arch === 'arm64';
  const names = arm ? ARM64 : X86;
  const get = (register: string): bigint => {
    const index = names.indexOf(register);
    return index < 0 ? 0n : word(PR_REG + index * 8);
  };
  return {
    source,
    pid: source === 'qemu' ? undefined : Number(word(PR_PID) & 0xffff_ffffn),
    get pc() {
      return get(arm ? 'pc' : 'ip');
    },
    get sp() {
      return get('sp');
    },
    // PSR_MODE_MASK of EL0t; the lowest bits of cs are the privilege level.
    user: arm ? (get('pstate') & 15n) === 0n : (get('cs') & 3n) !== 0n,
    get,
  };
}

function pidOf(note: DataView): number {
  return note.getUint32(PR_PID, true);
}
