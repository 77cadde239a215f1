import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, cpusThatRan, misplacement, needSymbol, perCpuAddress, runningTask } from '../cpus.js';
import { readFresh } from '../live-reads.js';
import { findOrNot, pointerPartOf, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import type { Task } from '../tasks/tasks.js';
import { addError, type Warnings } from '../warnings.js';

/** Registers of a CPU when the memory was dumped. */
export interface CpuRegisters {
  /** Origin: the crashing kernel, in its own memory or in the dump's notes, or QEMU from outside. */
  readonly source: 'crash_notes' | 'note' | 'qemu';
  /** The task that the kernel recorded with the registers; undefined: QEMU does not know tasks. */
  readonly pid: number | undefined;
  /** Read on demand, like `sp` and `get`. */
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
  'orig_ax',
  'ip',
  'cs',
  'flags',
  'sp',
  'ss',
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
export function cpuRegisters(kernel: Kernel, cpu: number, cpus: readonly number[]): CpuRegisters | undefined {
  const own = ownNote(kernel, cpu);
  if (own !== undefined) return own;
  const { by, notes = [] } = kernel.cpuNotes ?? {};
  const size = STATUS_BYTES[kernel.facts.arch];
  if (by === 'qemu') {
    // QEMU numbers CPUs from 1.
    const note = notes.find((note) => note.byteLength === size && pidOf(note) === cpu + 1);
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

/** Reads the 8 bytes at an offset of a struct elf_prstatus. */
type Word = (offset: number) => bigint;

function wordsOf(note: DataView): Word {
  return (offset) => note.getBigUint64(offset, true);
}

/** Reads only the requested registers: the others are private. */
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

/** The task that each CPU ran: `rq.curr`, checked against saved registers and the tasks' `on_cpu`. */
export class RunningTasks {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #onCpu: StructReader<'on_cpu'>;
  readonly #possible: readonly number[];
  /** CPU by the address of the task that it ran. */
  readonly #running = new Map<bigint, number>();
  /**
   * Pids in saved registers, by CPU, where `rq.curr` is another task: __schedule sets `rq.curr` before it
   * switches stacks.
   */
  readonly #switchingPids = new Map<number, number>();
  #pidsOnCpu: Set<number> | undefined;

  /** @throws {KernelError} if the kernel has different structs; {@link ReadError} */
  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
    this.#onCpu = new StructReader(kernel, 'task_struct', ['on_cpu']);
    this.#possible = cpuMask(kernel, '__cpu_possible_mask');
    for (const cpu of cpusThatRan(kernel)) {
      try {
        const task = runningTask(kernel, cpu);
        const { address, pid } = task;
        const other = this.#running.get(address);
        if (other !== undefined && !this.#migrated(other, cpu))
          warnings.add(
            kernel.facts.live ? 'torn-list' : 'corrupt',
            `CPUs ${other} and ${cpu} both run the same task, pid ${pid}`,
          );
        this.#running.set(address, cpu);
        for (const candidate of [task, { cpu, pid: 0, address: this.idleTask(cpu) }]) {
          const misplaced = misplacement(kernel, candidate);
          if (misplaced !== undefined) warnings.add('corrupt', misplaced);
        }
        const noted = this.registers(cpu)?.pid;
        if (noted === undefined || noted === pid) continue;
        if (this.#isOnCpu(noted, cpu)) {
          this.#switchingPids.set(cpu, noted);
          warnings.add('torn-list', `CPU ${cpu} was switching from pid ${noted} to pid ${pid}`);
        } else {
          const message = `saved registers are those of pid ${noted}, but CPU ${cpu} ran pid ${pid}`;
          warnings.add('corrupt', message);
        }
      } catch (error) {
        addError(warnings, `the task on CPU ${cpu}`, error);
      }
    }
  }

  /**
   * Whether a task of a running kernel migrated between two reads, so that the CPU that it left runs another
   * task now.
   */
  #migrated(left: number, cpu: number): boolean {
    if (!this.#kernel.facts.live) return false;
    const [before, now] = readFresh(this.#kernel, () => [left, cpu].map((id) => runningTask(this.#kernel, id).address));
    if (before === undefined || before === now) return false;
    this.#running.set(before, left);
    return true;
  }

  /** CPUs whose task is known. */
  get cpus(): ReadonlySet<number> {
    return new Set(this.#running.values());
  }

  /** Returns the registers of a CPU; undefined if they were not saved. */
  registers(cpu: number): CpuRegisters | undefined {
    return cpuRegisters(this.#kernel, cpu, this.#possible);
  }

  /** Returns the address of a CPU's idle task (`rq.idle`). */
  idleTask(cpu: number): bigint {
    const rq = new StructReader(this.#kernel, 'rq', ['idle']);
    const queue = perCpuAddress(this.#kernel, needSymbol(this.#kernel, 'runqueues'), cpu);
    return rq.read(queue).pointer('idle');
  }

  /**
   * Returns the CPU that ran a task according to its registers: a CPU that was switching had not reached the
   * next task yet.
   *
   * @param own the CPU of which it is the idle task
   */
  cpuOf({ address, pid }: Task, own: number | undefined): number | undefined {
    const cpu = this.#running.get(address);
    if (cpu !== undefined && !this.#switchingPids.has(cpu)) return cpu;
    // Each CPU has its own idle task, with pid 0.
    if (own !== undefined) return this.#switchingPids.get(own) === 0 ? own : undefined;
    return [...this.#switchingPids].find(([, noted]) => noted === pid)?.[0];
  }

  /**
   * Compares `on_cpu` with the CPU: it is set before the CPU switches to the task, and cleared after it has
   * switched away.
   */
  check({ address, pid }: Task, cpu: number | undefined): void {
    if (this.#kernel.facts.live || this.#says(address) === (cpu !== undefined)) return;
    const next = this.#running.get(address);
    // A CPU that was switching tasks already has a warning.
    if (cpu === undefined && next !== undefined && this.#switchingPids.has(next)) return;
    if (cpu === undefined)
      this.#warnings.add('torn-list', `a CPU was still leaving the task, or its on_cpu is wrong: pid ${pid}`);
    else this.#warnings.add('corrupt', `on_cpu and the run queue are inconsistent: pid ${pid}`);
  }

  /** Whether a task is on a CPU by its own fields. @param cpu of the idle task, which has pid 0 */
  #isOnCpu(pid: number, cpu: number): boolean {
    if (pid === 0) return this.#says(this.idleTask(cpu));
    if (this.#pidsOnCpu === undefined) {
      this.#pidsOnCpu = new Set();
      const { processes, threads } = taskTable(this.#kernel);
      for (const process of processes)
        for (const thread of threads(process)) if (this.#says(thread.address)) this.#pidsOnCpu.add(thread.pid);
    }
    return this.#pidsOnCpu.has(pid);
  }

  #says(task: bigint): boolean {
    return this.#onCpu.read(task).number('on_cpu') !== 0;
  }
}
