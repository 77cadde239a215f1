import type { KernelSymbol, KernelSymbols, KernelSymbolTable } from '../../host/proc/kallsyms.js';
import { type ModuleRanges, moduleRanges } from '../../host/proc/module-ranges.js';
import { kernelSymbols, loadedModules } from './kernel-symbols.js';

/** Tables of modules that are kept besides: some megabytes each. */
const MOST_FORMER = 8;

/**
 * Functions that lay at an address at any time since this was made: for stacks that are told only when all is over, by
 * when their module may be gone. Where there were several, one after the other, none is told.
 */
export class SymbolsMeanwhile implements KernelSymbols {
  readonly #read: () => KernelSymbolTable | null;
  readonly #modules: () => string | null;
  #loaded: ModuleRanges;
  #symbols: KernelSymbolTable | null;
  /** Modules, each time before one went. */
  readonly #former: KernelSymbols[] = [];
  /** There were more of these than are kept. */
  #isCut = false;

  constructor(read = kernelSymbols, modules = loadedModules) {
    this.#read = read;
    this.#modules = modules;
    this.#loaded = this.#ranges();
    this.#symbols = read();
  }

  /** Whether addresses can be named at all. */
  get areKnown(): boolean {
    return this.#symbols !== null;
  }

  at(address: bigint): KernelSymbol | null {
    const now = this.#symbols?.at(address) ?? null;
    if (now !== null && now.module === null) return now;
    if (this.#isCut) return null;
    const found = [now, ...this.#former.map((one) => one.at(address))].filter(
      (one) => one !== null,
    );
    const [first] = found;
    return first !== undefined && found.every((one) => isSame(one, first)) ? first : null;
  }

  /** To be asked every now and then, and at the end: where a module came or went, all is read again. */
  refresh(): void {
    const loaded = this.#ranges();
    const isAnyGone = !isWithin(this.#loaded, loaded);
    if (!isAnyGone && isWithin(loaded, this.#loaded)) return;
    const symbols = this.#read();
    // It is asked again.
    if (symbols === null) return;
    this.#loaded = loaded;
    if (isAnyGone && this.#symbols !== null) this.#keep(this.#symbols.ofModules());
    this.#symbols = symbols;
  }

  #keep(former: KernelSymbols): void {
    if (this.#former.length < MOST_FORMER) this.#former.push(former);
    else this.#isCut = true;
  }

  #ranges(): ModuleRanges {
    return moduleRanges(this.#modules() ?? '');
  }
}

/** Whether all of these are where they were. */
function isWithin(some: ModuleRanges, all: ModuleRanges): boolean {
  return [...some].every(([name, { from }]) => all.get(name)?.from === from);
}

function isSame(one: KernelSymbol, other: KernelSymbol): boolean {
  return one.name === other.name && one.offset === other.offset && one.module === other.module;
}
