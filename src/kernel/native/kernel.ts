import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { FastReads } from '../fast-reads.js';
import type {
  Kernel,
  KernelDoubt,
  KernelFacts,
  MemorySections,
  NamedAddress,
  UserPages,
} from '../kernel.js';
import type { StructLayout } from '../layout.js';
import { type DirectMap, type PageArray, PageMap } from '../page-map.js';
import type { Bases } from './arch/arch.js';
import { SectionTable } from './arch/section-table.js';
import type { Btf } from './btf/btf.js';
import type { MemoryImage } from './image/image.js';
import { statusNotes } from './image/notes.js';
import type { KernelMemory } from './memory.js';
import { ModuleSymbols } from './module-symbols.js';
import { type ModuleBtf, readModuleBtf } from './modules.js';
import { doubtsOf, type Provenance } from './provenance.js';
import type { RecoverySource } from './recovered/evidence.js';
import type { RecoveredSymbols } from './recovered/recovered-symbols.js';
import { type KernelSymbol, onlyAddress, type SymbolTable } from './symbols.js';
import { KernelTypes } from './types.js';
import { NOT_ADDRESSES, type Vmcoreinfo } from './vmcoreinfo.js';

/** What the native engine was opened with. */
export interface NativeParts {
  readonly image: MemoryImage;
  readonly info: Vmcoreinfo;
  readonly memory: KernelMemory;
  readonly symbols: SymbolTable | undefined;
  /** Finds variables by other ways, where `symbols` has functions only. */
  readonly recover: ((types: RecoverySource['types']) => RecoveredSymbols) | undefined;
  /** Reads the kernel's types, when they are first asked for. */
  readonly types: (() => Btf) | undefined;
  /** Reads the kernel's own BTF, where `types` are others. */
  readonly ownTypes: (() => Btf) | undefined;
  /** Where those lie, if they are the kernel's own. */
  readonly typesAt: { readonly address: bigint; readonly length: number } | undefined;
  readonly bases: Bases;
  readonly facts: KernelFacts;
  readonly provenance: Provenance;
}

/** A kernel read by its own symbols and types, without any other program. */
export class NativeKernel implements Kernel {
  readonly facts: KernelFacts;
  readonly image: MemoryImage;
  readonly vmcoreinfo: Vmcoreinfo;
  readonly provenance: Provenance;
  readonly doubts: readonly KernelDoubt[];
  readonly pages: PageMap;
  readonly fast: FastReads;
  readonly sections: MemorySections | undefined;
  readonly #parts: NativeParts;
  readonly #addresses = new Map<string, bigint | undefined>();
  #types: KernelTypes | undefined;
  #typesFailure: KernelError | undefined;
  #modules: ModuleBtf | undefined;
  #moduleSymbols: ModuleSymbols | undefined;
  #recovered: RecoveredSymbols | undefined;
  #closed = false;

  constructor(parts: NativeParts) {
    this.#parts = parts;
    this.facts = parts.facts;
    this.image = parts.image;
    this.vmcoreinfo = parts.info;
    this.provenance = parts.provenance;
    this.doubts = doubtsOf(parts.provenance);
    this.fast = parts.memory;
    this.pages = new PageMap({
      pageSize: parts.facts.pageSize,
      directMap: () => this.#directMap(),
      pageArray: () => this.#pageArray(),
    });
    this.sections = this.#sections();
  }

  /** What tells of sections, by this kernel's memory. */
  #sections(): MemorySections | undefined {
    const table = SectionTable.of(this.vmcoreinfo, this.facts.pageSize);
    const read = (_: string, address: bigint) =>
      this.read(BigInt.asUintN(64, address), 8).getBigUint64(0, true);
    return table && { frames: table.frames, isOnline: (frame) => table.isOnline(frame, read) };
  }

  read(address: bigint, length: number): DataView {
    return this.#parts.memory.read(address, length);
  }

  /**
   * Undefined also where several local symbols share the name and lie at different addresses, since
   * none of them is the one: `symbols(name)` lists them.
   *
   * @throws {KernelError} `no-symbols` when the kernel's table was not found
   */
  symbol(name: string): bigint | undefined {
    if (!this.#addresses.has(name)) this.#addresses.set(name, this.#findAddress(name));
    return this.#addresses.get(name);
  }

  #findAddress(name: string): bigint | undefined {
    const { symbols, info, provenance } = this.#parts;
    if (symbols !== undefined) {
      const found = symbols.find(name);
      if (found.length > 0) return onlyAddress(found);
    }
    const said = NOT_ADDRESSES.has(name) ? undefined : info.symbol(name);
    if (said !== undefined) return said;
    if (symbols !== undefined) return this.#recover(name);
    const why = provenance.symbols.found ? '' : provenance.symbols.why;
    throw new KernelError('no-symbols', `symbol ${name}: ${why}`);
  }

  #recover(name: string): bigint | undefined {
    const { recover, types } = this.#parts;
    if (recover === undefined || types === undefined) return undefined;
    if (this.#recovered === undefined) {
      // The kernel's own types alone: those of its modules are found by such symbols.
      this.#recovered = recover(new KernelTypes(this.types.base, () => []));
    }
    return this.#recovered.find(name);
  }

  /** All symbols of a name; empty also when the kernel's table was not found. */
  symbols(name: string): readonly KernelSymbol[] {
    return this.#parts.symbols?.find(name) ?? [];
  }

  /** The names of all symbols of the image, some of them more than once. */
  *symbolNames(): Generator<string> {
    for (const { name } of this.#parts.symbols?.all() ?? []) yield name;
  }

  /** The table of the image's symbols, or undefined if it was not found. */
  get symbolTable(): SymbolTable | undefined {
    return this.#parts.symbols;
  }

  /**
   * The symbol of the kernel image that an address belongs to, and the bytes in between: the nearest
   * one before, as long as the address is in the image.
   */
  nearestSymbol(address: bigint): { symbol: KernelSymbol; offset: number } | undefined {
    const { symbols } = this.#parts;
    if (symbols === undefined) return undefined;
    const start = this.symbol('_text') ?? this.symbol('_stext');
    const end = this.symbol('_end');
    if (start === undefined || address < start) return undefined;
    if (end !== undefined && address >= end) return undefined;
    const symbol = symbols.before(address);
    if (symbol === undefined) return undefined;
    const offset = address - symbol.address;
    return offset < MOST_SYMBOL_BYTES ? { symbol, offset: Number(offset) } : undefined;
  }

  symbolAt(address: bigint): NamedAddress | undefined {
    const near = this.nearestSymbol(address);
    if (near !== undefined) {
      const symbol = this.#parts.symbols?.namedAt(address) ?? near.symbol;
      return { name: symbol.name, offset: near.offset };
    }
    this.#moduleSymbols ??= new ModuleSymbols(this);
    return this.#moduleSymbols.at(address);
  }

  get stated(): Vmcoreinfo {
    return this.vmcoreinfo;
  }

  get crashed(): boolean {
    return this.vmcoreinfo.crashTime !== undefined;
  }

  get cpuNotes(): Kernel['cpuNotes'] & {} {
    return statusNotes(this.image.notes ?? [], this.crashed);
  }

  /** @throws {KernelError} `no-types` when the kernel's types were not found; as KernelTypes does */
  struct(name: string): StructLayout | undefined {
    return this.types.struct(name);
  }

  enumerators(name: string): ReadonlyMap<string, bigint> | undefined {
    return this.types.enumerators(name);
  }

  /** The kernel's types and its modules'. Read and indexed when first asked for. */
  get types(): KernelTypes {
    if (this.#types !== undefined) return this.#types;
    const { types, provenance } = this.#parts;
    // What cannot be read once is not read again for every struct that is asked for.
    if (this.#typesFailure !== undefined) throw this.#typesFailure;
    try {
      if (types === undefined)
        throw new KernelError('no-types', provenance.types.found ? '' : provenance.types.why);
      this.#types = new KernelTypes(types(), () => this.moduleTypes.modules);
      return this.#types;
    } catch (error) {
      if (error instanceof KernelError) this.#typesFailure = error;
      throw error;
    }
  }

  /** Where the kernel's own types lie, in bytes; undefined where they come out of a file. */
  get typesAt(): { readonly address: bigint; readonly length: number } | undefined {
    return this.#parts.typesAt;
  }

  /** The types of the loaded modules, and why some could not be read. */
  get moduleTypes(): ModuleBtf {
    if (this.#modules === undefined) {
      // The types that describe the list are the kernel's own: no way back into here.
      const own = new KernelTypes(this.types.base, () => []);
      const source = {
        symbol: (name: string) => this.symbol(name),
        read: (address: bigint, length: number) => this.read(address, length),
        struct: (name: string) => own.struct(name),
      };
      this.#modules = this.#readModules(source, own.base);
    }
    return this.#modules;
  }

  #readModules(source: Parameters<typeof readModuleBtf>[0], base: Btf): ModuleBtf {
    try {
      return readModuleBtf(source, this.#parts.ownTypes?.() ?? base);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return { modules: [], problems: [error.message] };
    }
  }

  #directMap(): DirectMap {
    const { directMap } = this.#parts.bases;
    if (directMap.found === undefined) throw directMap.error;
    return directMap.found;
  }

  /** Not known also where types and VMCOREINFO differ on a struct page's size. */
  #pageArray(): PageArray {
    const { pages: sought } = this.#parts.bases;
    if (sought.found === undefined) throw sought.error;
    const { stride } = sought.found;
    const size = this.provenance.types.found ? this.struct('page')?.size : undefined;
    if (size !== undefined && size !== stride) {
      const message = `struct page: ${stride} bytes in VMCOREINFO, but ${size} in the types`;
      throw new KernelError('damaged', message);
    }
    return sought.found;
  }

  /** Physical address of a byte, or undefined where no page table leads. */
  physicalOf(address: bigint): number | undefined {
    return this.#parts.memory.physical(address);
  }

  pageTables(): Generator<number> {
    return this.#parts.memory.tables();
  }

  userPages(root: bigint, told: UserPages): void {
    const physical = this.physicalOf(root);
    if (physical === undefined)
      throw new KernelError('damaged', `page tables: none at ${hex(root)}`);
    this.#parts.memory.userPages(physical, told);
  }

  memoryEnd(): number | undefined {
    const { existingRanges, physicalRanges } = this.image.facts;
    let end = 0;
    for (const range of existingRanges ?? physicalRanges) end = Math.max(end, range.end);
    return end === 0 ? undefined : Math.ceil(end / this.facts.pageSize);
  }

  noteReads(): () => void {
    return this.image.noteReads();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.image.close();
  }
}

/** Farther than this from any symbol, an address is not named after it. */
const MOST_SYMBOL_BYTES = 64n << 20n;
