import { KernelError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { FastReads } from '../bytes.js';
import type {
  Kernel,
  KernelDoubt,
  KernelFacts,
  MemorySections,
  NamedAddress,
  PhysicalMemory,
  UserPages,
} from '../kernel.js';
import type { StructLayout } from '../layout.js';
import { type DirectMap, type PageArray, PageMap } from '../page-map.js';
import type { Bases } from './arch/arch.js';
import { SectionTable } from './arch/section-table.js';
import type { Btf } from './btf/btf.js';
import type { MemoryImage } from './image/image.js';
import { isExtract } from './image/kept-bytes.js';
import { statusNotes } from './image/notes.js';
import type { KernelMemory } from './memory.js';
import { type ModuleBtf, ModuleSymbols, readModuleBtf } from './modules.js';
import { doubtsOf, type Provenance } from './provenance.js';
import type { RecoverySource } from './recovered/evidence.js';
import type { RecoveredSymbols } from './recovered/recovered-symbols.js';
import { type KernelSymbol, onlyAddress, type SymbolTable } from './symbols.js';
import { KernelTypes } from './types.js';
import { NOT_ADDRESSES, type Vmcoreinfo } from './vmcoreinfo.js';

export interface NativeParts {
  readonly image: MemoryImage;
  readonly info: Vmcoreinfo;
  readonly memory: KernelMemory;
  readonly symbols: SymbolTable | undefined;
  /** Recovers variables by other means if `symbols` contains only functions. */
  readonly recover: ((types: RecoverySource['types']) => RecoveredSymbols) | undefined;
  /** Reads the kernel's types on first use. */
  readonly types: (() => Btf) | undefined;
  /** Reads the kernel's own BTF if `types` come from elsewhere. */
  readonly ownTypes: (() => Btf) | undefined;
  /** Position of the types if they are the kernel's own. */
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
    const { contradiction } = parts.image.facts;
    const ofFile = contradiction === undefined ? [] : [{ code: 'corrupt', message: contradiction } as const];
    this.doubts = [...doubtsOf(parts.provenance), ...ofFile];
    this.fast = parts.memory;
    this.pages = new PageMap({
      pageSize: parts.facts.pageSize,
      directMap: () => this.#directMap(),
      pageArray: () => this.#pageArray(),
    });
    this.sections = this.#sections();
  }

  /** Memory sections, read from this kernel's memory. */
  #sections(): MemorySections | undefined {
    const table = SectionTable.of(this.vmcoreinfo, this.facts.pageSize);
    const read = (_: string, address: bigint) => this.read(BigInt.asUintN(64, address), 8).getBigUint64(0, true);
    return (
      table && {
        frames: table.frames,
        isOnline: (frame) => table.isOnline(frame, read),
        addressOf: (frame) => table.sectionOf(frame, read),
      }
    );
  }

  read(address: bigint, length: number): DataView {
    return this.#parts.memory.read(address, length);
  }

  /**
   * Undefined also if several local symbols share the name at different addresses, since the name is
   * ambiguous: `symbols(name)` lists them.
   *
   * @throws {KernelError} `no-symbols` when the kernel's symbol table was not found
   */
  symbol(name: string): bigint | undefined {
    if (!this.#addresses.has(name)) this.#addresses.set(name, this.#findAddress(name));
    return this.#addresses.get(name);
  }

  #findAddress(name: string): bigint | undefined {
    const { symbols, info, provenance } = this.#parts;
    if (symbols !== undefined) {
      const named = symbols.find(name);
      if (named.length > 0) return onlyAddress(named);
    }
    const stated = NOT_ADDRESSES.has(name) ? undefined : info.symbol(name);
    if (stated !== undefined) return stated;
    if (symbols !== undefined) return this.#recover(name);
    const why = provenance.symbols.found ? '' : provenance.symbols.why;
    throw new KernelError('no-symbols', `symbol ${name}: ${why}`);
  }

  #recover(name: string): bigint | undefined {
    const { recover, types } = this.#parts;
    if (recover === undefined || types === undefined) return undefined;
    if (this.#recovered === undefined) {
      // Only the kernel's own types: finding those of its modules requires such symbols.
      this.#recovered = recover(new KernelTypes(this.types.base, () => []));
    }
    return this.#recovered.find(name);
  }

  /** All symbols of a name; empty also if the kernel's symbol table was not found. */
  symbols(name: string): readonly KernelSymbol[] {
    return this.#parts.symbols?.find(name) ?? [];
  }

  /** Names of all symbols of the image, with duplicates. */
  *symbolNames(): Generator<string> {
    for (const { name } of this.#parts.symbols?.all() ?? []) yield name;
  }

  /** Symbol table of the image, or undefined if it was not found. */
  get symbolTable(): SymbolTable | undefined {
    return this.#parts.symbols;
  }

  /**
   * Returns the symbol of the kernel image that contains an address, and the offset: the nearest one
   * before, if the address is in the image.
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
    return offset < MAX_SYMBOL_BYTES ? { symbol, offset: Number(offset) } : undefined;
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

  variableAt(address: bigint): NamedAddress | undefined {
    this.#moduleSymbols ??= new ModuleSymbols(this);
    return this.#moduleSymbols.dataAt(address);
  }

  get stated(): Vmcoreinfo {
    return this.vmcoreinfo;
  }

  get crashTime(): number | undefined {
    return this.vmcoreinfo.crashTime;
  }

  get cpuNotes(): Kernel['cpuNotes'] & {} {
    return statusNotes(this.image.notes ?? [], this.crashTime !== undefined);
  }

  /** @throws {KernelError} `no-types` when the kernel's types were not found; as KernelTypes does */
  struct(name: string): StructLayout | undefined {
    return this.types.struct(name);
  }

  enumerators(name: string): ReadonlyMap<string, bigint> | undefined {
    return this.types.enumerators(name);
  }

  /** Types of the kernel and its modules. Read and indexed on first use. */
  get types(): KernelTypes {
    if (this.#types !== undefined) return this.#types;
    const { types, provenance } = this.#parts;
    // After a failure, reading is not retried for every struct.
    if (this.#typesFailure !== undefined) throw this.#typesFailure;
    try {
      if (types === undefined) throw new KernelError('no-types', provenance.types.found ? '' : provenance.types.why);
      this.#types = new KernelTypes(types(), () => this.moduleTypes.modules);
      return this.#types;
    } catch (error) {
      if (error instanceof KernelError) this.#typesFailure = error;
      throw error;
    }
  }

  /** Position of the kernel's own types, in bytes; undefined if they come from a file. */
  get typesAt(): { readonly address: bigint; readonly length: number } | undefined {
    return this.#parts.typesAt;
  }

  /** Types of the loaded modules, and why some could not be read. */
  get moduleTypes(): ModuleBtf {
    if (this.#modules === undefined) {
      // The kernel's own types describe the list: using all types here would recurse.
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

  /** Unknown also if types and VMCOREINFO disagree on the size of a struct page. */
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

  /** Translates an address; undefined if no page table maps it. */
  physicalOf(address: bigint): number | undefined {
    return this.#parts.memory.physical(address);
  }

  pageTables(): Generator<number> {
    return this.#parts.memory.tables();
  }

  userPages(root: bigint, visitor: UserPages): void {
    const physical = this.physicalOf(root);
    if (physical === undefined) throw new KernelError('damaged', `page tables: none at ${hex(root)}`);
    this.#parts.memory.userPages(physical, visitor);
  }

  get physical(): PhysicalMemory {
    const { image } = this;
    return {
      isExtract: isExtract(image.notes ?? []),
      stored: image.facts.physicalRanges,
      inFile: image.inFile,
      read: (address, length) => image.readPhysical(address, length),
      isZero: (address) => image.isZero?.(address) ?? false,
    };
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

/** Maximum distance from a symbol to an address that is named after it. */
const MAX_SYMBOL_BYTES = 64n << 20n;
