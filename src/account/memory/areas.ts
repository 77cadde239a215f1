import type { Kernel } from '../../kernel/kernel.js';
import { remembered } from '../../walk/memory/remembered.js';
import { kernelStacks } from '../../walk/memory/stacks.js';
import { type VmArea, vmAreas } from '../../walk/memory/vm-areas.js';

/** The areas of vmalloc's address space, read once, and whose they are. */
export class Areas {
  readonly #kernel: Kernel;
  /** Throws after the last that could be read, if there are others. */
  readonly all: () => Generator<VmArea>;
  #stacks: ReadonlySet<bigint> | undefined;
  #lostStacks: unknown;
  readonly #direct: bigint[] = [];
  readonly #callers = new Map<bigint, string | undefined>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.all = remembered(() => vmAreas(kernel));
  }

  isStack(area: VmArea): boolean {
    return this.#stackAreas().has(area.vm);
  }

  /** Stacks that lie in the direct map. */
  directStacks(): readonly bigint[] {
    this.#stackAreas();
    return this.#direct;
  }

  /** The function that asked for it; undefined: one of a module, or the engine names none. */
  caller({ caller }: VmArea): string | undefined {
    if (!this.#callers.has(caller))
      this.#callers.set(caller, this.#kernel.nearestSymbol?.(caller)?.symbol.name);
    return this.#callers.get(caller);
  }

  /** Whose stacks could be read: of others the memory is vmalloc's. */
  #stackAreas(): ReadonlySet<bigint> {
    if (this.#stacks) return this.#stacks;
    const found = new Set<bigint>();
    this.#stacks = found;
    try {
      for (const { stack, vm } of kernelStacks(this.#kernel)) {
        if (vm !== 0n) found.add(vm);
        else if (stack !== 0n) this.#direct.push(stack);
      }
    } catch (error) {
      this.#lostStacks = error;
    }
    return found;
  }

  /** @throws if not every task could be read */
  checkStacks(): void {
    this.#stackAreas();
    if (this.#lostStacks !== undefined) throw this.#lostStacks;
  }
}
