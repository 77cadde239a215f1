import { damaged, NOT_KEPT, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { stackSize } from '../tasks/stack-size.js';

/** The used part of the stack of a task that is not running. */
export interface SavedStack {
  /** Saved stack pointer, the lowest used address. */
  readonly sp: bigint;
  readonly words: DataView;
}

/** Reads stacks from the saved stack pointer to their end. */
export class SavedStacks {
  readonly #kernel: Kernel;
  readonly #read: Kernel['read'] | undefined;
  readonly #size: bigint;
  readonly #sp: 'thread.sp' | 'thread.cpu_context.sp';
  readonly #task: StructReader<'stack' | 'thread.sp' | 'thread.cpu_context.sp'>;

  /** @param read reads the contents of a stack (default: as everything) */
  constructor(kernel: Kernel, read?: Kernel['read']) {
    this.#kernel = kernel;
    this.#read = read;
    this.#size = stackSize(kernel);
    this.#sp = kernel.facts.arch === 'arm64' ? 'thread.cpu_context.sp' : 'thread.sp';
    this.#task = new StructReader(kernel, 'task_struct', ['stack', this.#sp]);
  }

  /** Lowest address of the stack that contains an address: stacks are aligned to their size. */
  startOf(address: bigint): bigint {
    return address - (address % this.#size);
  }

  /** Lowest address of a task's stack; 0n: it has none. */
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
    return { sp, words: this.#words(start, sp, Number(end - sp)) };
  }

  /** The complete stack of a task that may run. */
  whole(task: bigint): SavedStack {
    const start = this.start(task);
    return { sp: start, words: this.#words(start, start, Number(this.#size)) };
  }

  /**
   * An extract keeps the words that are addresses of the kernel: the others are 0 here. It has the first word of such a
   * stack, too, which is the same for all (STACK_END_MAGIC); earlier releases kept return addresses alone.
   */
  #words(start: bigint, at: bigint, length: number): DataView {
    const kernel = this.#kernel;
    try {
      if (this.#read) readOrNot(() => kernel.read(start, 8));
      return readPartOf({ read: this.#read ?? kernel.read.bind(kernel) }, 'the stack', start, at, length);
    } catch (error) {
      const isReduced = error instanceof ReadError && error.message.includes(NOT_KEPT);
      if (!isReduced || readOrNot(() => kernel.read(start, 8)) === undefined) throw error;
      const words = new DataView(new ArrayBuffer(length));
      for (let offset = 0; offset + 8 <= length; offset += 8) {
        const word = readOrNot(() => kernel.read(at + BigInt(offset), 8).getBigUint64(0, true));
        if (word !== undefined) words.setBigUint64(offset, word, true);
      }
      return words;
    }
  }
}

/** Yields the addresses of the words of a stack that contain a value, innermost first. */
export function* wordsWith({ sp, words }: SavedStack, value: bigint): Generator<bigint> {
  const [low, high] = [Number(value & 0xffff_ffffn), Number(value >> 32n)];
  for (let at = 0; at + 8 <= words.byteLength; at += 8)
    if (words.getUint32(at, true) === low && words.getUint32(at + 4, true) === high) yield sp + BigInt(at);
}

/** Yields the words of a stack, innermost first. */
export function* wordsOf({ words }: SavedStack): Generator<bigint> {
  for (let at = 0; at + 8 <= words.byteLength; at += 8) yield words.getBigUint64(at, true);
}
