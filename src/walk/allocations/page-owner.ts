import { damaged, ReadError, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { Cursor } from '../cursor.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** What page_owner notes about the allocation of a page. Names are untrusted. */
export interface PageRecord {
  /** Order of the allocation; splits change it. */
  readonly order: number;
  /** Handle of its stack: {@link StackDepot}. */
  readonly handle: number;
  /** Thread and process; null: the kernel does not note them (before 5.11, before 5.18). */
  readonly pid: number | null;
  readonly tgid: number | null;
  readonly comm: string | null;
  /** Nanoseconds since boot, on the scheduler’s clock; null: not noted (before 5.11). */
  readonly time: number | null;
}

/** Receives page frames whose allocation page_owner has noted. */
export interface RecordVisitor {
  allocated(frame: number, handle: number, order: number): void;
  /** These frames’ entries cannot be read, or do not exist. */
  lost(count: number, error: Error): void;
}

/** Entries per read: some pages of memory. */
const PER_READ = 64;
/** The buddy allocator returns no larger order. */
const MAX_ORDER = 14;

/** Whether page_owner notes allocations (`page_owner=on`, CONFIG_PAGE_OWNER). */
export function pageOwnerState(kernel: Kernel): RecordState {
  if (!kernel.struct('page_owner') && kernel.symbol('page_owner_inited') === undefined) return 'absent';
  return isKeyEnabled(kernel, 'page_owner_inited') ? 'on' : 'off';
}

/** `static_key.enabled` of a variable. @throws as pageOwnerState */
export function isKeyEnabled(kernel: Kernel, name: string): boolean {
  const key = new StructReader(kernel, 'static_key', ['enabled.counter']);
  return key.read(needSymbol(kernel, name)).number('enabled.counter') !== 0;
}

/** Entries of page_owner in the page extensions of each memory section (mm/page_ext.c, mm/page_owner.c). */
export class PageOwner {
  readonly #kernel: Kernel;
  readonly #extensions: PageExtensions;
  readonly #flags: StructReader<'flags'>;
  readonly #entry: StructReader<'order' | 'handle'>;
  readonly #offset: number;
  readonly #allocated: number;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#extensions = new PageExtensions(kernel);
    this.#flags = new StructReader(kernel, 'page_ext', ['flags']);
    this.#entry = new StructReader(kernel, 'page_owner', ['order', 'handle']);
    const names = kernel.enumerators('page_ext_flags');
    const bits = ['PAGE_EXT_OWNER', 'PAGE_EXT_OWNER_ALLOCATED'].map((name) => names?.get(name));
    if (bits.some((bit) => bit === undefined))
      throw unsupportedLayout(
        `enum page_ext_flags of this kernel is unsupported; it has ${[...(names?.keys() ?? [])].join(', ')}`,
      );
    this.#allocated = bits.reduce((mask, bit) => mask + 2 ** Number(bit), 0);
    this.#offset = this.#extensions.offsetOf('page_owner_ops', this.#entry.size);
  }

  /** Entry of an allocated frame; undefined: nothing is noted. @throws {KernelError} `damaged`; {@link ReadError} */
  at(frame: number): PageRecord | undefined {
    const address = this.#extensions.addressOf(frame);
    if (address === undefined) return undefined;
    if (!this.#isAllocated(this.#flags.read(address).number('flags'))) return undefined;
    const at = address + BigInt(this.#offset);
    const view = this.#entry.read(at);
    const [order, handle] = [view.number('order'), view.number('handle')];
    if (order > MAX_ORDER) throw damaged(`page frame ${frame} has order ${order} in page_owner`);
    const more = <Path extends string, Value>(
      path: Path,
      read: (view: ReturnType<StructReader<Path>['read']>) => Value,
    ): Value | null => {
      const reader = StructReader.ifPresent(this.#kernel, 'page_owner', [path]);
      return reader ? read(reader.read(at)) : null;
    };
    return {
      order,
      handle,
      pid: more('pid', (view) => view.number('pid')),
      tgid: more('tgid', (view) => view.number('tgid')),
      comm: more('comm', (view) => view.text('comm')),
      time: more('ts_nsec', (view) => view.number('ts_nsec')),
    };
  }

  /** Visits all frames of a range, in order. */
  scan(start: number, end: number, visitor: RecordVisitor): void {
    const { size, perSection } = this.#extensions;
    const cursor = new Cursor(this.#kernel, 'struct page_ext');
    for (let frame = start; frame < end; ) {
      const most = perSection - (frame % perSection);
      const count = Math.min(PER_READ - (frame % PER_READ), end - frame, most);
      try {
        const first = this.#extensions.addressOf(frame);
        // A section without extensions has no memory that was allocated since boot.
        if (first === undefined) {
          const rest = Math.min(end - frame, most);
          visitor.lost(rest, damaged(`the section of page frame ${frame} has no page extensions`));
          frame += rest;
          continue;
        }
        const window = cursor.to(first).look(0, count * size);
        for (let index = 0; index < count; index++)
          this.#visit(window.view, window.base + index * size, frame + index, visitor);
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
        visitor.lost(count, error);
      }
      frame += count;
    }
  }

  #visit(view: DataView, base: number, frame: number, visitor: RecordVisitor): void {
    const { flags } = this.#flags.members;
    if (!this.#isAllocated(view.getUint32(base + flags.offset, true))) return;
    const entry = base + this.#offset;
    const order = view.getUint16(entry + this.#entry.offset('order'), true);
    const handle = view.getUint32(entry + this.#entry.offset('handle'), true);
    if (order > MAX_ORDER) visitor.lost(1, damaged(`page frame ${frame} has order ${order} in page_owner`));
    else visitor.allocated(frame, handle, order);
  }

  #isAllocated(flags: number): boolean {
    return (flags & this.#allocated) === this.#allocated;
  }
}

/** PAGE_EXT_INVALID of `mem_section.page_ext`, since 6.1. */
const INVALID = 1n;

const MAX_SIZE = 1024;

/** Data beside each `struct page`, in an array for each memory section (mm/page_ext.c). */
export class PageExtensions {
  /** Bytes of a page's extension. */
  readonly size: number;
  readonly #kernel: Kernel;
  readonly #section: StructReader<'page_ext'>;
  readonly #bases = new Map<number, bigint>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    if (!kernel.sections) throw unsupportedLayout('page extensions: the memory sections of this kernel are unknown');
    this.#section = new StructReader(kernel, 'mem_section', ['page_ext']);
    const at = needSymbol(kernel, 'page_ext_size');
    const size = pointerPartOf(kernel, 'page_ext_size', at, at);
    if (size > MAX_SIZE || size % 8n !== 0n) throw damaged(`page_ext_size is ${size}`);
    this.size = Number(size);
  }

  /** Page frames per section. */
  get perSection(): number {
    return this.#kernel.sections?.frames ?? 1;
  }

  /**
   * Offset of a client's data in an extension.
   *
   * @param ops its `struct page_ext_operations`
   * @param bytes size of its data
   * @throws as the constructor
   */
  offsetOf(ops: string, bytes: number): number {
    const reader = new StructReader(this.#kernel, 'page_ext_operations', ['offset']);
    const offset = reader.read(needSymbol(this.#kernel, ops)).pointer('offset');
    if (offset + BigInt(bytes) > BigInt(this.size))
      throw damaged(`page_ext_size is ${this.size}, and ${ops}.offset is ${offset}`);
    return Number(offset);
  }

  /** Address of a frame's extension; undefined: its section has none. */
  addressOf(frame: number): bigint | undefined {
    const base = this.#baseOf(frame);
    return base === undefined ? undefined : base + BigInt(this.size) * BigInt(frame);
  }

  /** `mem_section.page_ext` is the address of the extension that frame 0 would have. */
  #baseOf(frame: number): bigint | undefined {
    const number = Math.floor(frame / this.perSection);
    const known = this.#bases.get(number);
    if (known !== undefined) return known;
    const section = this.#kernel.sections?.addressOf(frame);
    if (section === undefined) return undefined;
    const base = this.#section.read(section).pointer('page_ext');
    if (base === 0n || (base & INVALID) !== 0n) return undefined;
    this.#bases.set(number, base);
    return base;
  }
}

/**
 * Whether the kernel notes allocations. `off`: it could, but was not told to. `absent`: it was built without
 * this.
 */
export type RecordState = 'on' | 'off' | 'absent';
