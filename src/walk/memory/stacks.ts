import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { StructReader } from '../struct-reader.js';
import { stackSize } from '../tasks/stack-size.js';
import { taskTable } from '../tasks/task-table.js';

/** Position of a thread's kernel stack. */
export interface KernelStack {
  /** Address of its `struct task_struct`. */
  readonly task: bigint;
  /** Lowest address. */
  readonly stack: bigint;
  /** Address of the `struct vm_struct` of its area; 0n: it is in the direct map. */
  readonly vm: bigint;
  /**
   * Whether its thread is exiting: the kernel may no longer count the stack (exit_task_stack_account() in
   * kernel/fork.c).
   */
  readonly ending: boolean;
}

/**
 * Kernel stacks of all threads, including the idle tasks of CPUs.
 *
 * @throws as taskTable does; {@link KernelError}, {@link ReadError} after all others, if tasks are missing,
 * or a CPU has no idle task
 */
export function* kernelStacks(kernel: Kernel): Generator<KernelStack> {
  const mapped = kernel.struct('task_struct')?.member('stack_vm_area') !== undefined;
  const plain = new StructReader(kernel, 'task_struct', ['stack', 'exit_state']);
  const area = mapped ? new StructReader(kernel, 'task_struct', ['stack_vm_area']) : undefined;
  const stackOf = (task: bigint): KernelStack => {
    const view = plain.read(task);
    return {
      task,
      stack: view.pointer('stack'),
      vm: area?.read(task).pointer('stack_vm_area') ?? 0n,
      ending: view.number('exit_state') !== 0,
    };
  };
  const { processes, threads, ...table } = taskTable(kernel);
  let lost: unknown = table.lost;
  for (const process of processes) {
    try {
      for (const thread of threads(process)) yield stackOf(thread.address);
    } catch (error) {
      lost ??= error;
    }
  }
  const queue = new StructReader(kernel, 'rq', ['idle']);
  const idles = new Set<bigint>();
  const queues = needSymbol(kernel, 'runqueues');
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const idle = queue.read(perCpuAddress(kernel, queues, cpu)).pointer('idle');
    if (idle !== 0n && !idles.has(idle)) yield stackOf(idle);
    else lost ??= damaged(`CPU ${cpu} has no idle task of its own`);
    idles.add(idle);
  }
  if (lost !== undefined) throw lost;
}

/**
 * The parts of stacks that are not in use: what lies below the saved stack pointer of a thread that does not run was left
 * by functions that have returned.
 */
export class UnusedStacks {
  readonly #bytes: number;
  /** Saved stack pointers by the lowest address of the stack. */
  readonly #pointers = new Map<bigint, bigint>();

  /** @throws as kernelStacks and stackSize do */
  constructor(kernel: Kernel) {
    this.#bytes = Number(stackSize(kernel));
    const saved = kernel.facts.arch === 'arm64' ? 'thread.cpu_context.sp' : 'thread.sp';
    const reader = StructReader.ifPresent(kernel, 'task_struct', ['on_cpu', saved]);
    if (!reader) return;
    for (const { task, stack } of kernelStacks(kernel)) {
      const view = reader.read(task);
      const pointer = view.pointer(saved);
      const isIn = pointer > stack && pointer < stack + BigInt(this.#bytes);
      if (view.number('on_cpu') === 0 && isIn) this.#pointers.set(stack, pointer);
    }
  }

  /** Whether an address is in such a part: stacks are aligned to their size. */
  has(address: bigint): boolean {
    const pointer = this.#pointers.get(address - (address % BigInt(this.#bytes)));
    return pointer !== undefined && address < pointer;
  }
}
