import { damaged, KernelError, ReadError, readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { bytesOf } from '../../kernel/bytes.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { CategoryName } from '../../records/categories.js';
import { readUntilConsistent } from '../../walk/live-reads.js';
import { framesOfPages } from '../../walk/memory/page-array.js';
import { kernelStacks } from '../../walk/memory/stacks.js';
import { cachedWalk, settledAreas, type VmArea } from '../../walk/memory/vm-areas.js';
import { findOrNot } from '../../walk/named-read.js';
import type { Warnings } from '../../walk/warnings.js';

/** Bytes below the top of a stack that every thread that has run has written to. */
const DEEPEST = 4096;
/** Bytes that copy_thread fills in: `pt_regs` and the return frame (arch's process.c). */
const FIRST_FRAME = 512;

/** include/uapi/linux/magic.h */
const STACK_END_MAGIC = 0x57ac_6e9dn;

/** Number of attempts to read the pages of an area of a live kernel. */
const LIVE_READS = 3;

/** The vmalloc areas, read once, and their owners. */
export class Areas {
  readonly #kernel: Kernel;
  /** Throws after the last readable one if others are unreadable. */
  readonly all: () => Generator<VmArea>;
  #stacks: ReadonlySet<bigint> | undefined;
  /** Address of each thread's stack, by its `struct vm_struct`. */
  readonly #places = new Map<bigint, bigint>();
  readonly #ending = new Set<bigint>();
  #lostStacks: unknown;
  #freed = 0;
  readonly #direct: bigint[] = [];
  readonly #callers = new Map<bigint, string | undefined>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.all = cachedWalk(() => settledAreas(kernel));
  }

  /**
   * Frames of the pages of areas. Areas of a live kernel that are freed meanwhile have none.
   *
   * @param what description of an area, for errors
   * @throws as {@link all}; after the frames of all others: {@link KernelError} `damaged`, {@link ReadError}
   */
  *frames(
    what: string,
    isWanted: (area: VmArea) => boolean,
  ): Generator<{ readonly area: VmArea; readonly frame: number }> {
    const framesOf = (area: VmArea) => framesOfPages(this.#kernel, `the pages of ${what}`, area.pages, area.count);
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
        for (const frame of readUntilConsistent(this.#kernel, () => [...framesOf(area)], LIVE_READS))
          yield { area, frame };
      }
    }
    if (lost !== undefined) throw lost;
  }

  /** Adds a warning with the number of areas that a live kernel freed during the scan. */
  note(warnings: Warnings): void {
    if (this.#freed === 0) return;
    const message = `vmap areas that were freed while their pages were read: ${this.#freed}`;
    warnings.add('freed-while-read', message);
  }

  isStack(area: VmArea): boolean {
    return this.#stackAreas().has(area.vm);
  }

  /**
   * Number of stack pages by which the kernel's counter may differ from the stacks of threads. `less`: stacks
   * of exiting threads. `more`: stacks that fork has allocated for threads that are on no list yet. Stacks
   * that CPUs cache for the next fork (`cached_stacks`, kernel/fork.c) are not included, nor are stacks of
   * lost threads.
   */
  stackSlack(): { readonly less: number; readonly more: number } {
    let [less, more] = [0, 0];
    const callers = new Set<bigint>();
    for (const area of this.all()) if (this.isStack(area)) callers.add(area.caller);
    for (const area of this.all()) {
      if (this.#ending.has(area.vm)) less += area.count;
      if (!this.isStack(area) && callers.has(area.caller) && this.#isFresh(area)) more += area.count;
    }
    return { less, more };
  }

  /**
   * Whether no thread has run on a stack yet: fork clears it and fills in the registers of the first return.
   */
  #isFresh({ address, count }: VmArea): boolean {
    const top = address + BigInt(count * this.#kernel.facts.pageSize);
    const used = readOrNot(() => this.#kernel.read(top - BigInt(DEEPEST), DEEPEST - FIRST_FRAME));
    return used !== undefined && bytesOf(used).every((byte) => byte === 0);
  }

  /** Stacks in the direct map. */
  directStacks(): readonly bigint[] {
    this.#stackAreas();
    return this.#direct;
  }

  /** The calling function, as `%ps` prints it; undefined: it, or its module, is unknown. */
  caller({ caller }: VmArea): string | undefined {
    if (!this.#callers.has(caller)) this.#callers.set(caller, this.#nameOf(caller));
    return this.#callers.get(caller);
  }

  #nameOf(address: bigint): string | undefined {
    // The functions of unreadable modules have no names.
    const symbol = findOrNot(() => this.#kernel.symbolAt?.(address));
    return symbol?.module === undefined ? symbol?.name : `${symbol.name} [${symbol.module}]`;
  }

  /** Areas of readable stacks: the memory of others counts as vmalloc. */
  #stackAreas(): ReadonlySet<bigint> {
    if (this.#stacks) return this.#stacks;
    const stacks = new Set<bigint>();
    this.#stacks = stacks;
    try {
      for (const { stack, vm, ending } of kernelStacks(this.#kernel)) {
        if (ending) this.#ending.add(vm);
        if (vm === 0n) {
          if (stack !== 0n) this.#direct.push(stack);
        } else {
          const known = this.#places.get(vm);
          if (known !== undefined && known !== stack && !this.#kernel.facts.live)
            this.#lostStacks ??= damaged(`two threads name the area of the stack at ${hex(stack)}`);
          stacks.add(vm);
          this.#places.set(vm, stack);
        }
      }
    } catch (error) {
      this.#lostStacks ??= error;
    }
    return stacks;
  }

  /**
   * @throws if not every task could be read; {@link KernelError} `damaged` if a thread's stack is not in its
   * own area, which may have changed meanwhile on a live kernel
   */
  checkStacks(): void {
    this.#stackAreas();
    if (this.#lostStacks !== undefined) throw this.#lostStacks;
    if (this.#kernel.facts.live) return;
    for (const stack of this.#direct) {
      const last = hasLastWord(this.#kernel) ? readOrNot(() => this.#kernel.read(stack, 8)) : undefined;
      if (last !== undefined && last.getBigUint64(0, true) !== STACK_END_MAGIC)
        throw damaged(`a thread has its stack at ${hex(stack)}, where no stack ends`);
    }
    const elsewhere = new Map(this.#places);
    const direct = new Set(this.#direct);
    for (const { vm, address, owns } of this.all()) {
      if (elsewhere.get(vm) === address) elsewhere.delete(vm);
      // arm64 lists the image as an area, and the image contains the stack of the first task.
      if (owns && direct.has(address)) elsewhere.set(vm, address);
    }
    const [lost] = elsewhere;
    if (!lost) return;
    throw damaged(`a thread has its stack at ${hex(lost[1])}, which is not the area that it names`);
  }
}

/** Whether the lowest word of a stack is STACK_END_MAGIC: with CONFIG_THREAD_INFO_IN_TASK nothing else is there. */
function hasLastWord(kernel: Kernel): boolean {
  return kernel.struct('task_struct')?.member('thread_info') !== undefined;
}

/** Callers of vmalloc whose memory has its own category. */
const MODULES = /^(module_alloc|load_module|move_module|execmem_)/;
const BPF = /^(_*bpf_|(?!resv_)\w+_map_alloc|sock_hash_alloc|reuseport_array_alloc|prealloc_|arena_)/;

/** alloc_thread_stack_node, or the functions that the compiler inlined it into (kernel/fork.c). */
const STACKS = /^(alloc_thread_stack_node|dup_task_struct|copy_process|kernel_clone|_do_fork|fork_idle)\b/;

/** A module's function: `name [module]`. */
const OF_A_MODULE = / \[/;

/** Returns the category of an area by its caller; thread stacks are found by other means. */
export function categoryOfCaller(caller = ''): CategoryName {
  if (OF_A_MODULE.test(caller)) return 'vmalloc';
  return MODULES.test(caller) ? 'modules' : BPF.test(caller) ? 'bpf' : 'vmalloc';
}

/** Whether a function allocates thread stacks. */
export function takesStacks(caller: string): boolean {
  return STACKS.test(caller) && !OF_A_MODULE.test(caller);
}
