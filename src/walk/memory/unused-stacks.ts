import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { kernelStacks } from './stacks.js';

/**
 * The parts of stacks that are not in use: what lies below the saved stack pointer of a thread that does not run was left
 * by functions that have returned.
 */
export class UnusedStacks {
  readonly #bytes: number;
  /** Saved stack pointers by the lowest address of the stack. */
  readonly #pointers = new Map<bigint, bigint>();

  /** @throws as kernelStacks does */
  constructor(kernel: Kernel) {
    this.#bytes = kernel.struct('thread_union')?.size ?? 0;
    const saved = kernel.facts.arch === 'arm64' ? 'thread.cpu_context.sp' : 'thread.sp';
    const reader = StructReader.ifPresent(kernel, 'task_struct', ['on_cpu', saved]);
    if (!reader || this.#bytes === 0) return;
    for (const { task, stack } of kernelStacks(kernel)) {
      const view = reader.read(task);
      const pointer = view.pointer(saved);
      const isIn = pointer > stack && pointer < stack + BigInt(this.#bytes);
      if (view.number('on_cpu') === 0 && isIn) this.#pointers.set(stack, pointer);
    }
  }

  /** Whether an address is in such a part: stacks are aligned to their size. */
  has(address: bigint): boolean {
    if (this.#bytes === 0) return false;
    const pointer = this.#pointers.get(address - (address % BigInt(this.#bytes)));
    return pointer !== undefined && address < pointer;
  }
}
