import { hostOrNull } from '../../base/errors.js';
import { liveHost } from '../../host/live.js';
import {
  type KernelSymbol,
  type KernelSymbols,
  type KernelSymbolTable,
  type ModuleRanges,
  moduleRanges,
  readKernelSymbols,
} from '../../host/proc/kallsyms.js';

/** Functions of the running kernel, updated when modules are loaded or removed. */
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

  /** Whether addresses can be resolved to names. */
  get areKnown(): boolean {
    return this.#symbols !== null;
  }

  at(address: bigint): KernelSymbol | null {
    return this.#symbols?.at(address) ?? null;
  }

  /** Called before stacks are resolved: reads symbols again if a module was loaded or removed. */
  refresh(): void {
    const loaded = this.#names();
    if (loaded === this.#loaded) return;
    const symbols = this.#read();
    // They are read again at the next refresh.
    if (symbols === null) return;
    this.#loaded = loaded;
    this.#symbols = symbols;
  }

  /** Names and addresses of modules, without their use counts, which change all the time. */
  #names(): string {
    return [...moduleRanges(this.#modules() ?? '')].map(([name, { from }]) => `${name} ${from}`).join('\n');
  }
}

/** Null if they cannot be read: stacks then remain without names. */
function kernelSymbols(): KernelSymbolTable | null {
  return hostOrNull(() => readKernelSymbols(liveHost, moduleRanges(loadedModules() ?? '')));
}

/** Text of /proc/modules; null if this kernel has none, or if it cannot be read. */
function loadedModules(): string | null {
  return hostOrNull(() => liveHost.readText('/proc/modules'));
}

/** Maximum number of earlier module tables, some megabytes each. */
const MAX_FORMER = 8;

/**
 * Functions that were at an address at any time since this was created: for stacks that are printed only at
 * the end, when their module may be unloaded. If an address had several in turn, none is named.
 */
export class SymbolsMeanwhile implements KernelSymbols {
  readonly #read: () => KernelSymbolTable | null;
  readonly #modules: () => string | null;
  #loaded: ModuleRanges;
  #symbols: KernelSymbolTable | null;
  /** Earlier module tables, each from before a module was removed. */
  readonly #former: KernelSymbols[] = [];
  /** There were more of these than the maximum. */
  #isCut = false;

  constructor(read = kernelSymbols, modules = loadedModules) {
    this.#read = read;
    this.#modules = modules;
    this.#loaded = this.#ranges();
    this.#symbols = read();
  }

  /** Whether addresses can be resolved to names. */
  get areKnown(): boolean {
    return this.#symbols !== null;
  }

  at(address: bigint): KernelSymbol | null {
    const now = this.#symbols?.at(address) ?? null;
    if (now !== null && now.module === null) return now;
    if (this.#isCut) return null;
    const candidates = [now, ...this.#former.map((symbols) => symbols.at(address))].filter((symbol) => symbol !== null);
    const [first] = candidates;
    return first !== undefined && candidates.every((symbol) => isSame(symbol, first)) ? first : null;
  }

  /** Called periodically and at the end: reads symbols again if a module was loaded or removed. */
  refresh(): void {
    const loaded = this.#ranges();
    const isAnyGone = !isWithin(this.#loaded, loaded);
    if (!isAnyGone && isWithin(loaded, this.#loaded)) return;
    const symbols = this.#read();
    // They are read again at the next refresh.
    if (symbols === null) return;
    this.#loaded = loaded;
    if (isAnyGone && this.#symbols !== null) this.#keep(this.#symbols.ofModules());
    this.#symbols = symbols;
  }

  #keep(former: KernelSymbols): void {
    if (this.#former.length < MAX_FORMER) this.#former.push(former);
    else this.#isCut = true;
  }

  #ranges(): ModuleRanges {
    return moduleRanges(this.#modules() ?? '');
  }
}

/** Whether all of these modules are still at the same addresses. */
function isWithin(some: ModuleRanges, all: ModuleRanges): boolean {
  return [...some].every(([name, { from }]) => all.get(name)?.from === from);
}

function isSame(symbol: KernelSymbol, other: KernelSymbol): boolean {
  return symbol.name === other.name && symbol.offset === other.offset && symbol.module === other.module;
}
