import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import { again } from '../../walk/again.js';
import { framesOfPages } from '../../walk/memory/page-array.js';
import { remembered } from '../../walk/memory/remembered.js';
import { kernelStacks } from '../../walk/memory/stacks.js';
import { settledAreas, type VmArea } from '../../walk/memory/vm-areas.js';
import { readOrNot } from '../../walk/read-or-not.js';
import type { Warnings } from '../../walk/warnings.js';

/** Bytes below the top of a stack that any thread which has run has written to. */
const DEEPEST = 4096;
/** Bytes that copy_thread fills in: `pt_regs` and the frame of a return (arch's process.c). */
const FIRST_FRAME = 512;

/** How often the pages of an area of a live kernel are read. */
const LIVE_READS = 3;

/** The areas of vmalloc's address space, read once, and whose they are. */
export class Areas {
  readonly #kernel: Kernel;
  /** Throws after the last that could be read, if there are others. */
  readonly all: () => Generator<VmArea>;
  #stacks: ReadonlySet<bigint> | undefined;
  /** Where each thread's stack lies, by the `struct vm_struct` that the thread names. */
  readonly #places = new Map<bigint, bigint>();
  readonly #ending = new Set<bigint>();
  #lostStacks: unknown;
  #freed = 0;
  readonly #direct: bigint[] = [];
  readonly #callers = new Map<bigint, string | undefined>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.all = remembered(() => settledAreas(kernel));
  }

  /**
   * Frames of the pages of areas. Of a live kernel, areas that are freed meanwhile have none.
   *
   * @param what an area is, for errors
   * @throws as {@link all}; after the frames of all others: {@link KernelError} `damaged`, {@link ReadError}
   */
  *frames(
    what: string,
    isWanted: (area: VmArea) => boolean,
  ): Generator<{ readonly area: VmArea; readonly frame: number }> {
    const framesOf = (area: VmArea) =>
      framesOfPages(this.#kernel, `the pages of ${what}`, area.pages, area.count);
    const unread: VmArea[] = [];
    let lost: unknown;
    for (const area of this.all()) {
      if (!isWanted(area)) continue;
      try {
        for (const frame of framesOf(area)) yield { area, frame };
      } catch (error) {
        if (!this.#kernel.facts.live) lost ??= error;
        unread.push(area);
      }
    }
    if (this.#kernel.facts.live && unread.length > 0) {
      const now = new Map(Array.from(settledAreas(this.#kernel), (area) => [area.vm, area]));
      for (const { vm, address, pages } of unread) {
        const area = now.get(vm);
        if (area?.address !== address || area.pages !== pages) {
          this.#freed++;
          continue;
        }
        for (const frame of again(this.#kernel, () => [...framesOf(area)], LIVE_READS))
          yield { area, frame };
      }
    }
    if (lost !== undefined) throw lost;
  }

  /** Adds how many areas a live kernel freed while their pages were read. */
  note(warnings: Warnings): void {
    if (this.#freed === 0) return;
    const message = `vmap areas that were freed while their pages were read: ${this.#freed}`;
    warnings.add('freed-while-read', message);
  }

  isStack(area: VmArea): boolean {
    return this.#stackAreas().has(area.vm);
  }

  /**
   * Pages of stacks by which the kernel's counter may differ from what threads have: less by those of threads that
   * are exiting, and more by those that fork has allocated for a thread that is on no list yet. Stacks that CPUs
   * cache for the next fork (`cached_stacks`, kernel/fork.c) are not counted, and neither is a lost thread's excused.
   */
  stackSlack(): { readonly less: number; readonly more: number } {
    let [less, more] = [0, 0];
    const callers = new Set<bigint>();
    for (const area of this.all()) if (this.isStack(area)) callers.add(area.caller);
    for (const area of this.all()) {
      if (this.#ending.has(area.vm)) less += area.count;
      if (!this.isStack(area) && callers.has(area.caller) && this.#isFresh(area))
        more += area.count;
    }
    return { less, more };
  }

  /** Whether no thread has run on a stack: fork clears it, and fills in the registers of its first return. */
  #isFresh({ address, count }: VmArea): boolean {
    const top = address + BigInt(count * this.#kernel.facts.pageSize);
    const used = readOrNot(() => this.#kernel.read(top - BigInt(DEEPEST), DEEPEST - FIRST_FRAME));
    return used !== undefined && bytesOf(used).every((byte) => byte === 0);
  }

  /** Stacks that lie in the direct map. */
  directStacks(): readonly bigint[] {
    this.#stackAreas();
    return this.#direct;
  }

  /** The function that asked for it, as `%ps` prints it; undefined: it, or its module, cannot be named. */
  caller({ caller }: VmArea): string | undefined {
    if (!this.#callers.has(caller)) this.#callers.set(caller, this.#nameOf(caller));
    return this.#callers.get(caller);
  }

  #nameOf(address: bigint): string | undefined {
    try {
      const found = this.#kernel.symbolAt?.(address);
      return found?.module === undefined ? found?.name : `${found.name} [${found.module}]`;
    } catch (error) {
      // Modules that cannot be read name none of theirs.
      if (error instanceof KernelError || error instanceof ReadError) return undefined;
      throw error;
    }
  }

  /** Whose stacks could be read: of others the memory is vmalloc's. */
  #stackAreas(): ReadonlySet<bigint> {
    if (this.#stacks) return this.#stacks;
    const found = new Set<bigint>();
    this.#stacks = found;
    try {
      for (const { stack, vm, ending } of kernelStacks(this.#kernel)) {
        if (ending) this.#ending.add(vm);
        if (vm === 0n) {
          if (stack !== 0n) this.#direct.push(stack);
        } else {
          found.add(vm);
          this.#places.set(vm, stack);
        }
      }
    } catch (error) {
      this.#lostStacks = error;
    }
    return found;
  }

  /**
   * @throws if not every task could be read; {@link KernelError} `damaged` if a thread's stack does not lie
   *   in the area that it names, which on a live kernel may have changed meanwhile
   */
  checkStacks(): void {
    this.#stackAreas();
    if (this.#lostStacks !== undefined) throw this.#lostStacks;
    if (this.#kernel.facts.live) return;
    const elsewhere = new Map(this.#places);
    const direct = new Set(this.#direct);
    for (const { vm, address, owns } of this.all()) {
      if (elsewhere.get(vm) === address) elsewhere.delete(vm);
      // arm64 has the image among the areas, and in it the stack of the first task.
      if (owns && direct.has(address)) elsewhere.set(vm, address);
    }
    const [lost] = elsewhere;
    if (!lost) return;
    const message = `a thread has its stack at ${hex(lost[1])}, which is not the area that it names`;
    throw new KernelError('damaged', message);
  }
}
