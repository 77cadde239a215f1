import type { KernelSymbol, KernelSymbols } from '../../host/proc/kallsyms.js';
import { moduleRanges } from '../../host/proc/module-ranges.js';
import { kernelSymbols, loadedModules } from './kernel-symbols.js';

/** Functions of the running kernel, while modules come and go. */
export class LiveSymbols implements KernelSymbols {
  readonly #read: () => KernelSymbols | null;
  readonly #modules: () => string | null;
  #symbols: KernelSymbols | null;
  #loaded: string;

  constructor(read: () => KernelSymbols | null = kernelSymbols, modules = loadedModules) {
    this.#read = read;
    this.#modules = modules;
    this.#loaded = this.#names();
    this.#symbols = read();
  }

  /** Whether addresses can be named at all. */
  get areKnown(): boolean {
    return this.#symbols !== null;
  }

  at(address: bigint): KernelSymbol | null {
    return this.#symbols?.at(address) ?? null;
  }

  /** To be asked before stacks are named: where a module came or went, all is read again. */
  refresh(): void {
    const loaded = this.#names();
    if (loaded === this.#loaded) return;
    const symbols = this.#read();
    // It is asked again.
    if (symbols === null) return;
    this.#loaded = loaded;
    this.#symbols = symbols;
  }

  /** Which there are, and where: how many use them changes all the time. */
  #names(): string {
    return [...moduleRanges(this.#modules() ?? '')]
      .map(([name, { from }]) => `${name} ${from}`)
      .join('\n');
  }
}
