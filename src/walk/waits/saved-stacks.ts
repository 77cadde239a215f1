import { damaged } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { stackSize } from '../stacks/task-stacks.js';
import { StructReader } from '../struct-reader.js';

/** The used part of the stack of a task that is not running. */
export interface SavedStack {
  /** Saved stack pointer, the lowest used address. */
  readonly sp: bigint;
  readonly words: DataView;
}

/** Reads stacks from the saved stack pointer to their end. */
export class SavedStacks {
  readonly #kernel: Kernel;
  readonly #size: bigint;
  readonly #sp: 'thread.sp' | 'thread.cpu_context.sp';
  readonly #task: StructReader<'stack' | 'thread.sp' | 'thread.cpu_context.sp'>;

  /** @throws {KernelError} `unsupported-layout`; {@link ReadError} */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#size = stackSize(kernel);
    this.#sp = kernel.facts.arch === 'arm64' ? 'thread.cpu_context.sp' : 'thread.sp';
    this.#task = new StructReader(kernel, 'task_struct', ['stack', this.#sp]);
  }

  /** Lowest address of the stack that contains an address: stacks are aligned to their size. */
  startOf(address: bigint): bigint {
    return address - (address % this.#size);
  }

  /** Lowest address of a task's stack; 0n: it has none. @throws {ReadError} */
  start(task: bigint): bigint {
    return this.#task.read(task).pointer('stack');
  }

  /** @returns undefined: the task has exited @throws {ReadError}; {@link KernelError} `damaged` */
  of(task: bigint): SavedStack | undefined {
    const view = this.#task.read(task);
    const [start, sp] = [view.pointer('stack'), view.pointer(this.#sp)];
    if (start === 0n) return undefined;
    const end = start + this.#size;
    if (sp < start || sp >= end || (sp & 7n) !== 0n)
      throw damaged(`the saved stack pointer ${hex(sp)} is outside the stack`);
    return { sp, words: readPartOf(this.#kernel, 'the stack', start, sp, Number(end - sp)) };
  }
}

/** Yields the addresses of the words of a stack that contain a value, innermost first. */
export function* wordsWith({ sp, words }: SavedStack, value: bigint): Generator<bigint> {
  const [low, high] = [Number(value & 0xffff_ffffn), Number(value >> 32n)];
  for (let at = 0; at + 8 <= words.byteLength; at += 8)
    if (words.getUint32(at, true) === low && words.getUint32(at + 4, true) === high)
      yield sp + BigInt(at);
}
