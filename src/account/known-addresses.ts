import { damaged } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { Identified } from '../contracts/object.js';
import type { AllocationRecord, Identity } from '../contracts/whatis.js';
import type { Kernel } from '../kernel/kernel.js';
import { Pointer } from '../kernel/pointer.js';
import type { CategoryName } from '../records/categories.js';
import { cpuMask, needSymbol, perCpuAddress } from '../walk/cpus.js';
import { MappedFileReader } from '../walk/files/mapped-file.js';
import { type FilePath, type NamePlace, Paths } from '../walk/files/paths.js';
import { type KernelStack, kernelStacks } from '../walk/memory/stacks.js';
import type { VmArea } from '../walk/memory/vm-areas.js';
import type { Block, SlabBlock } from '../walk/pages/block.js';
import { PageReader } from '../walk/pages/pages.js';
import { isMerged, reclaimTest, SlabCacheNames } from '../walk/pages/slab-caches.js';
import { SlotUse } from '../walk/pages/slot-use.js';
import { flagTest, struct } from '../walk/pages/struct-page.js';
import { addressSpaces } from '../walk/processes/address-spaces.js';
import { MappedPageReader } from '../walk/processes/mapped-page.js';
import { StructReader } from '../walk/struct-reader.js';
import { stackSize } from '../walk/tasks/stack-size.js';
import type { Warnings } from '../walk/warnings.js';
import { AllocationRecords, type SlabObject } from './allocation-record.js';
import { Areas, categoryOfCaller } from './memory/areas.js';
import type { MemoryPlaces } from './memory/memory.js';
import { attempted } from './memory/missed.js';
import type { CensusEntry } from './owners.js';

/** Symbols by address, including templates of per-CPU variables. */
export interface SymbolsByAddress {
  namedAt(address: bigint): { readonly name: string; readonly address: bigint } | undefined;
}

/** The stack of CPU 0’s idle task, in the image (init/init_task.c). */
const BOOT_STACK = /^init_(stack|thread_union)$/;

/** Caches whose objects have one type that is not named like the cache, if nothing is merged into them. */
const TYPES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    skbuff_head_cache: 'sk_buff',
    TCP: 'tcp_sock',
    TCPv6: 'tcp6_sock',
    UDP: 'udp_sock',
    UDPv6: 'udp6_sock',
    UNIX: 'unix_sock',
    'UNIX-STREAM': 'unix_sock',
    RAW: 'raw_sock',
    PING: 'inet_sock',
    filp: 'file',
    files_cache: 'files_struct',
    signal_cache: 'signal_struct',
    sighand_cache: 'sighand_struct',
    cred_jar: 'cred',
    sock_inode_cache: 'socket_alloc',
    inode_cache: 'inode',
    radix_tree_node: 'xa_node',
  }),
);

/**
 * Identifies addresses that need no pass over all memory: structs of pages, slab objects, symbols, stacks and areas.
 * Other pages have an owner only in `AddressIdentifier`.
 */
export class KnownAddresses {
  readonly #kernel: Kernel;
  readonly #symbols: SymbolsByAddress | undefined;
  readonly #warnings: Warnings;
  readonly #onFileName: ((place: NamePlace) => void) | undefined;
  readonly #pages: PageReader;
  readonly #slots: SlotUse;
  readonly #names: SlabCacheNames;
  readonly #records: AllocationRecords;
  readonly #at = new Pointer();
  readonly #areas: Areas;
  /** The last slab object: its slot may begin with a red zone. */
  #object: SlabObject = { cache: 0n, address: 0n, slab: 0n, index: 0 };
  #stacks: ReadonlyMap<bigint, KernelStack> | undefined;
  readonly #direct: KernelStack[] = [];
  #perCpu: { readonly start: bigint; readonly end: bigint; readonly shifts: readonly bigint[] } | undefined;
  #files: { readonly reader: MappedFileReader; readonly paths: Paths } | undefined;

  /**
   * @param warnings receives what could not be read
   * @param onFileName receives each name of a path, when it is read
   */
  constructor(
    kernel: Kernel,
    symbols: SymbolsByAddress | undefined,
    warnings: Warnings,
    onFileName?: (place: NamePlace) => void,
  ) {
    this.#kernel = kernel;
    this.#onFileName = onFileName;
    this.#symbols = symbols;
    this.#warnings = warnings;
    this.#areas = new Areas(kernel);
    this.#pages = new PageReader(kernel);
    this.#slots = new SlotUse(kernel, warnings);
    this.#names = new SlabCacheNames(kernel);
    this.#records = new AllocationRecords(kernel, warnings);
  }

  of(address: bigint): Identity {
    const identified = this.#identify(address);
    return { ...identified, site: this.#siteOf(identified) };
  }

  /** The record of a slab object, or of the page. */
  #siteOf({ frame, category, object }: Omit<Identity, 'site'>): AllocationRecord | null {
    if (frame === null || category?.startsWith('free-') || !this.#hasPage(frame)) return null;
    const { pages } = this.#kernel;
    if (object?.kind === 'slab-object') {
      // The record of a free object is that of its last allocation.
      if (object.state !== 'allocated') return null;
      const ofObject = this.#records.ofObject(this.#object);
      if (ofObject !== null) return ofObject;
    }
    const block = this.#tried('the page', () => this.#pages.block(pages.pageOfFrame(frame)));
    return this.#records.ofPage(frame, block?.frame ?? frame);
  }

  /** Memory of a device, which an area may map, has no `struct page`. */
  #hasPage(frame: number): boolean {
    const { pages } = this.#kernel;
    return pages.addressOfPage(pages.pageOfFrame(frame)) !== undefined;
  }

  #identify(address: bigint): Omit<Identity, 'site'> {
    const physical = this.#tried('the page tables', () => this.#physicalOf(address)) ?? null;
    const frame = physical === null ? null : Math.floor(physical / this.#kernel.facts.pageSize);
    const base = { address, physical: physical === null ? null : BigInt(physical), frame };
    const fixed = this.#tried('the address', () => this.#fixed(address, frame));
    if (fixed) return { ...base, ...fixed };
    const inArea = this.#tried('vmalloc areas', () => this.#inArea(address));
    // A guard page is in the area, and has no page. An area that only maps pages does not decide their category.
    const mapped = frame === null || !this.#hasPage(frame) ? null : frame;
    if (inArea)
      return { ...base, ...inArea, category: mapped === null ? null : (inArea.category ?? this.categoryOf(mapped)) };
    if (frame === null || mapped === null) return { ...base, category: null, object: null };
    const page = this.#tried('the page', () => this.#page(address, frame));
    return { ...base, ...(page ?? { category: null, object: null }) };
  }

  /** Category of a frame, as in `kdump-mem memory`; null: unknown. */
  categoryOf(frame: number): CategoryName | null {
    return this.places()?.ledger.categoryOf(frame) ?? null;
  }

  /** Categories of all pages; null: not counted. */
  places(): MemoryPlaces | null {
    return null;
  }

  /** The file that a page frame belongs to; null: none, or unreadable. */
  fileOf(frame: number): Identified | null {
    const file = this.#tried('the file', () => {
      const page = new MappedPageReader(this.#kernel);
      page.read(frame);
      const address = this.#kernel.pages.addressOfFrame(frame) ?? 0n;
      return page.mapping === 0n ? null : this.#filePage(address, frame);
    });
    return file ?? null;
  }

  /** A step that fails makes the answer incomplete, and identifies nothing. */
  #tried<T>(what: string, step: () => T): T | undefined {
    return attempted(this.#warnings, what, step);
  }

  #physicalOf(address: bigint): number | undefined {
    const { pages, physicalOf } = this.#kernel;
    if (physicalOf) return this.#kernel.physicalOf?.(address);
    const frame = pages.frameOf(this.#at.set(address));
    const { pageSize } = this.#kernel.facts;
    return frame < 0 ? undefined : frame * pageSize + Number(address % BigInt(pageSize));
  }

  /** Places that do not depend on the page: the array of struct pages, per-CPU variables, symbols. */
  #fixed(address: bigint, frame: number | null): Pick<Identity, 'category' | 'object'> | undefined {
    const size = struct(this.#kernel, 'page').size;
    const first = this.#kernel.pages.pageOfFrame(0);
    const index = address >= first ? Number((address - first) / BigInt(size)) : -1;
    const page = first + BigInt(Math.max(0, index) * size);
    if (index >= 0 && this.#kernel.pages.frameOfPage(this.#at.set(page)) === index) {
      const object = { kind: 'page-struct', frame: index, offset: Number(address - page) } as const;
      return { category: 'memmap', object };
    }
    const perCpu = this.#perCpuSymbol(address);
    if (perCpu) return { category: 'percpu', object: perCpu };
    const named = this.#kernel.symbolAt?.(address) ?? this.#kernel.variableAt?.(address);
    if (named === undefined) return undefined;
    const { name, offset, module = null } = named;
    const stack = module === null && BOOT_STACK.test(name) ? this.#directStack(address) : undefined;
    const object = stack ?? ({ kind: 'symbol', name, offset, module, cpu: null } as const);
    if (module !== null) return { category: 'modules', object };
    const isReserved = this.#tried('the page', () => frame !== null && this.#isReserved(frame));
    // The kernel frees parts of its image after boot, such as init code: its symbols are no longer there.
    if (isReserved === false) return undefined;
    return { category: isReserved ? 'image' : null, object };
  }

  #isReserved(frame: number): boolean {
    const page = struct(this.#kernel, 'page');
    const view = this.#kernel.read(this.#kernel.pages.pageOfFrame(frame), page.size);
    return flagTest(this.#kernel, page, 'PG_reserved')(view, 0);
  }

  /** A variable of the kernel image in the area of one CPU; those of modules are not named. */
  #perCpuSymbol(address: bigint): Identified | undefined {
    const kernel = this.#kernel;
    this.#perCpu ??= {
      start: needSymbol(kernel, '__per_cpu_start'),
      end: needSymbol(kernel, '__per_cpu_end'),
      shifts: cpuMask(kernel, '__cpu_possible_mask').map((cpu) => perCpuAddress(kernel, 0n, cpu)),
    };
    const { start, end, shifts } = this.#perCpu;
    for (const [cpu, shift] of shifts.entries()) {
      const template = BigInt.asUintN(64, address - shift);
      if (template < start || template >= end) continue;
      const symbol = this.#symbols?.namedAt(template);
      if (symbol === undefined || symbol.address < start) return undefined;
      const offset = Number(template - symbol.address);
      return { kind: 'symbol', name: symbol.name, offset, module: null, cpu };
    }
    return undefined;
  }

  /** A stack, or another vmalloc area. */
  #inArea(address: bigint): Pick<Identity, 'category' | 'object'> | undefined {
    if (this.#kernel.pages.frameOf(this.#at.set(address)) >= 0) return undefined;
    let area: VmArea | undefined;
    for (const vmArea of this.#areas.all())
      if (address >= vmArea.address && address < vmArea.address + BigInt(vmArea.bytes)) {
        area = vmArea;
        break;
      }
    if (area === undefined) return undefined;
    const offset = Number(address - area.address);
    const bytes = area.count * this.#kernel.facts.pageSize;
    const stack = this.#stackAreas().get(area.vm);
    // Behind it is a guard page.
    if (stack?.stack === area.address && offset < bytes)
      return { category: 'kernel-stacks', object: this.#stack(stack, offset, bytes) };
    const caller = this.#areas.caller(area) ?? null;
    const { address: start, bytes: size } = area;
    const object = { kind: 'vmalloc-area', start, size, offset, caller } as const;
    return { category: area.owns ? categoryOfCaller(caller ?? '') : null, object };
  }

  #stack({ task }: KernelStack, offset: number, size: number): Identified {
    const view = new StructReader(this.#kernel, 'task_struct', ['pid', 'comm']).read(task);
    return { kind: 'stack', pid: view.number('pid'), comm: view.text('comm'), offset, size };
  }

  /** A stack that is in no area, as that of the first idle task. */
  #directStack(address: bigint): Identified | undefined {
    const size = Number(stackSize(this.#kernel));
    this.#stackAreas();
    const own = this.#direct.find(({ stack }) => address >= stack && address < stack + BigInt(size));
    return own && this.#stack(own, Number(address - own.stack), size);
  }

  /** Stacks of threads by their `struct vm_struct`. */
  #stackAreas(): ReadonlyMap<bigint, KernelStack> {
    if (this.#stacks) return this.#stacks;
    const stacks = new Map<bigint, KernelStack>();
    this.#stacks = stacks;
    this.#tried('stacks of threads', () => {
      for (const stack of kernelStacks(this.#kernel))
        if (stack.vm !== 0n) stacks.set(stack.vm, stack);
        else if (stack.stack !== 0n) this.#direct.push(stack);
      this.#areas.checkStacks();
    });
    return stacks;
  }

  #page(address: bigint, frame: number): Pick<Identity, 'category' | 'object'> {
    const block = this.#pages.block(this.#kernel.pages.pageOfFrame(frame));
    if (block.kind === 'slab') {
      const isReclaimable = reclaimTest(this.#kernel)(block.cache.address);
      const category = isReclaimable ? 'slab-reclaimable' : 'slab-unreclaimable';
      return { category, object: this.#slabObject(address, block) };
    }
    const places = this.places();
    const category = places?.ledger.categoryOf(frame) ?? null;
    return { category, object: this.#pageObject(address, frame, block, category) };
  }

  #slabObject(address: bigint, { frame, start, cache }: SlabBlock): Identified {
    const { name, objectSize } = this.#names.of(cache.address);
    const direct = this.#kernel.pages.addressOfFrame(frame) ?? start;
    const index = Math.floor((Number(address - direct) - cache.pad) / cache.slotSize);
    const { pageSize } = this.#kernel.facts;
    const slab = {
      page: this.#kernel.pages.pageOfFrame(frame),
      cache: cache.address,
      objects: Math.floor((2 ** 10 * pageSize) / cache.slotSize),
    };
    const slots = this.slotsOf(slab.page);
    const isPadding = index < 0 || (slots !== undefined && index >= slots);
    if (isPadding) return { kind: 'slab-padding', cache: name };
    const object = start + BigInt(index * cache.slotSize + cache.pad);
    const offset = Number(address - object);
    this.#object = { cache: cache.address, address: object, slab: slab.page, index };
    const isInUse = this.#slots.isInUse({ cache: cache.address, object, slab });
    return {
      kind: 'slab-object',
      cache: name,
      start: object,
      offset,
      size: objectSize,
      state: isInUse === undefined ? 'unknown' : isInUse ? 'allocated' : 'free',
      member: isInUse ? this.#memberAt(cache.address, name, objectSize, offset) : null,
    };
  }

  /** Number of slots of a slab; undefined: unknown. */
  slotsOf(page: bigint): number | undefined {
    const type = ['slab', 'page'].find((name) => this.#kernel.struct(name)?.member('objects'));
    if (type === undefined) return undefined;
    return new StructReader(this.#kernel, type, ['objects']).read(page).number('objects');
  }

  /** `struct.member` at an offset, where the cache has objects of one type only (`refcount` 1: not merged). */
  #memberAt(cache: bigint, name: string, size: number, offset: number): string | null {
    const type = TYPES.get(name) ?? name;
    const layout = this.#kernel.struct(type);
    if (!layout || isMerged(this.#kernel, cache) !== false) return null;
    // A task_struct ends with as much FPU state as the CPU has (fpu__init_task_struct_size in
    // arch/x86/kernel/fpu/init.c), so that its objects may be smaller than the type.
    if (layout.size > size && type !== 'task_struct') return null;
    if (offset < 0 || offset >= layout.size) return null;
    for (const member of layout.members) {
      const memberLayout = layout.member(member);
      if (memberLayout && offset >= memberLayout.offset && offset < memberLayout.offset + memberLayout.size)
        return `${type}.${member}`;
    }
    return null;
  }

  #pageObject(
    address: bigint,
    frame: number,
    block: Exclude<Block, SlabBlock>,
    category: CategoryName | null,
  ): Identified {
    const order = block.order ?? null;
    const page = { kind: 'page', order } as const;
    if (category === 'page-cache' || category === 'shared' || category === 'secret')
      return this.#tried('the file', () => this.#filePage(address, frame)) ?? page;
    if (category === 'anonymous' || category === 'driver-mapped')
      return this.#tried('page tables', () => this.#processPage(address, frame)) ?? page;
    const entry = category === 'network-sockets' ? this.places()?.queues.entryOf(block.frame) : null;
    return entry ? socketPage(entry) : page;
  }

  #filePage(address: bigint, frame: number): Identified {
    const kernel = this.#kernel;
    this.#files ??= { reader: new MappedFileReader(kernel), paths: new Paths(kernel, this.#onFileName) };
    const page = new MappedPageReader(kernel);
    page.read(frame);
    if (page.index === undefined) throw damaged(`page frame ${hex(BigInt(frame))} has no file`);
    const file = this.#files.reader.read(page.mapping);
    const { pageSize } = kernel.facts;
    const path: FilePath | undefined = file.blockDevice === undefined ? this.#files.paths.of(file) : undefined;
    return {
      kind: 'file-page',
      path: file.blockDevice ?? path?.path ?? null,
      offset: String(page.index * BigInt(pageSize) + (address % BigInt(pageSize))),
      fsType: file.fsType,
      inode: String(file.number),
      deleted: file.unlinked || path?.deleted === true,
    };
  }

  /** The first process that maps the page: others may have it since a fork. */
  #processPage(address: bigint, frame: number): Identified | undefined {
    const kernel = this.#kernel;
    const { pageSize } = kernel.facts;
    for (const { pgd, processes } of addressSpaces(kernel)) {
      const [process] = processes;
      if (!process) continue;
      let at: number | undefined;
      kernel.userPages?.(pgd, {
        table: () => {},
        absent: () => {},
        missing: (_page, _pages, error) => {
          throw error;
        },
        page: (page, pages, start) => {
          if (at === undefined && frame >= start && frame < start + pages) at = page + frame - start;
        },
      });
      if (at === undefined) continue;
      const mapped = BigInt(at) * BigInt(pageSize) + (address % BigInt(pageSize));
      return { kind: 'process-page', pid: process.pid, comm: process.comm, address: mapped };
    }
    return undefined;
  }
}

function socketPage({ socket, holders: [holder] }: CensusEntry): Identified {
  const { sock, protocol } = socket;
  return { kind: 'socket-page', sock, protocol, pid: holder?.pid ?? null, comm: holder?.comm ?? null };
}
