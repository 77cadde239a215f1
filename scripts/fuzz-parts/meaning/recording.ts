import type { ByteWindow } from '../../../src/kernel/bytes.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { Cursor } from '../../../src/walk/cursor.js';
import { orderOffset } from '../../../src/walk/pages/struct-page.js';
import { StructReader } from '../../../src/walk/struct-reader.js';
import { memberAt, pageMemberAt } from './members.js';
import type { OverlayKernel } from './overlay-kernel.js';

/** A place that a command read, by its contents. */
export interface Site {
  readonly address: bigint;
  /** Bytes. */
  readonly size: number;
  readonly bits?: { readonly offset: number; readonly size: number };
  /** `sk_buff.len`, `variable max_pfn`, `page._refcount`; otherwise the walker that read it. */
  readonly member: string;
  /** Indices of the commands that read it. */
  readonly readBy: Set<number>;
}

/** The reads of commands from a kernel. */
export interface Recorded {
  readonly sites: readonly Site[];
  /** Numbers of the pages, and the commands that read them. */
  readonly pages: ReadonlyMap<bigint, ReadonlySet<number>>;
  /** Frames whose struct pages were read, with the offsets and the commands. */
  readonly frames: ReadonlyMap<number, Frame>;
}

export interface Frame {
  /** It contains the order of the allocation that begins at the preceding frame. */
  order: boolean;
  readonly offsets: Set<number>;
  readonly readBy: Set<number>;
}

/** Length up to which a read without names is split into words; of longer ones only the beginning is. */
const MAX_SPLIT = 256;

/** Records the reads of walks, place by place, with the names from the kernel's types. */
export class Recorder {
  readonly #kernel: OverlayKernel;
  readonly #sites = new Map<string, Site>();
  readonly #pages = new Map<bigint, Set<number>>();
  readonly #frames = new Map<number, Frame>();
  /** Structs that were read, by address: the smallest at each. */
  readonly #structs = new Map<bigint, string[]>();
  readonly #raw = new Map<bigint, { length: number; walker: string; readBy: Set<number> }>();
  readonly #variables = new Map<bigint, string>();
  readonly #firstPage: bigint;
  readonly #stride: bigint;
  /** Offset of the allocation's order in the second struct page. */
  readonly #order: number;

  constructor(kernel: OverlayKernel) {
    this.#kernel = kernel;
    this.#firstPage = kernel.pages.pageOfFrame(0);
    this.#stride = BigInt(kernel.struct('page')?.size ?? 64);
    const page = kernel.struct('page');
    this.#order = page ? orderOffset(kernel, page) % page.size : -1;
    const { symbol } = kernel;
    kernel.symbol = (name) => {
      const address = symbol(name);
      if (address !== undefined) this.#variables.set(address, name);
      return address;
    };
  }

  /** Runs a command and records its reads. */
  async record(index: number, walk: () => void | Promise<void>): Promise<void> {
    let within = 0;
    const kernel = this.#kernel;
    kernel.onRead = (address, length) => {
      this.#notePages(address, length, index);
      if (within === 0) this.#noteRaw(address, length, index);
    };
    const recorder = this;
    const prototype = StructReader.prototype;
    const { look } = prototype;
    prototype.look = function (this: StructReader<string>, cursor: Cursor) {
      within++;
      let window: Readonly<ByteWindow>;
      try {
        window = look.call(this, cursor);
      } finally {
        within--;
      }
      recorder.#noteStruct(this, cursor.at.address, index);
      return window;
    };
    try {
      await walk();
    } finally {
      prototype.look = look;
      kernel.onRead = undefined;
    }
  }

  recorded(): Recorded {
    const bases = [...this.#structs.keys()].sort((a, b) => (a < b ? -1 : 1));
    const targets = this.#targets();
    for (const [address, { length, walker, readBy }] of this.#raw) {
      const words = length <= 8 ? 1 : Math.ceil(Math.min(length, MAX_SPLIT) / 8);
      for (let word = 0; word < words; word++) {
        const at = address + BigInt(8 * word);
        const size = Math.min(8, length - 8 * word);
        const member = this.#nameOf(at, bases) ?? targetOf(targets, address) ?? walker;
        for (const index of readBy) this.#note(at, size, undefined, member, index);
      }
    }
    return { sites: [...this.#sites.values()], pages: this.#pages, frames: this.#frames };
  }

  /** Pointer members by the address that they contain. */
  #targets(): Map<bigint, string> {
    const targets = new Map<bigint, string>();
    for (const { address, size, member } of this.#sites.values()) {
      if (size !== 8) continue;
      const value = this.#kernel.read(address, 8).getBigUint64(0, true);
      if (value >= 1n << 63n) targets.set(value, `*${member}`);
    }
    return targets;
  }

  #note(address: bigint, size: number, bits: Site['bits'], member: string, index: number): void {
    const key = `${address} ${size} ${bits?.offset}`;
    const site = this.#sites.get(key);
    if (site) site.readBy.add(index);
    else {
      const readBy = new Set([index]);
      this.#sites.set(key, { address, size, ...(bits ? { bits } : {}), member, readBy });
    }
  }

  #noteStruct(reader: StructReader<string>, address: bigint, index: number): void {
    const names = this.#structs.get(address) ?? [];
    if (!names.includes(reader.name)) names.push(reader.name);
    this.#structs.set(address, names);
    for (const [path, { offset, size, bits }] of Object.entries(reader.members)) {
      // An embedded struct is not a pointer: the walk uses its own address.
      const length = size > 64 && !path.endsWith('comm') && path !== 'name' ? 16 : size;
      this.#note(address + BigInt(offset), length, bits, `${reader.name}.${path}`, index);
    }
  }

  #noteRaw(address: bigint, length: number, index: number): void {
    const offset = address - this.#firstPage;
    const frame = offset < 0n ? -1 : Number(offset / this.#stride);
    if (frame >= 0 && frame < 2 ** 32 && this.#isPage(frame)) {
      const known = this.#frames.get(frame) ?? { order: false, offsets: new Set(), readBy: new Set() };
      const within = Number(offset % this.#stride);
      if (length === 1 && within === this.#order) known.order = true;
      else known.offsets.add(within);
      known.readBy.add(index);
      this.#frames.set(frame, known);
      return;
    }
    const known = this.#raw.get(address);
    if (known && known.length >= length) known.readBy.add(index);
    else {
      const readBy = known?.readBy ?? new Set();
      this.#raw.set(address, { length, walker: walkerNow(), readBy: readBy.add(index) });
    }
  }

  #isPage(frame: number): boolean {
    return this.#kernel.pages.addressOfFrame(frame) !== undefined;
  }

  #notePages(address: bigint, length: number, index: number): void {
    for (let at = address & ~0xfffn; at < address + BigInt(length); at += 4096n) {
      const readBy = this.#pages.get(at);
      if (readBy) readBy.add(index);
      else this.#pages.set(at, new Set([index]));
    }
  }

  /** A place, by the smallest known struct that contains it, or by its variable. */
  #nameOf(address: bigint, bases: readonly bigint[]): string | undefined {
    const variable = this.#variables.get(address);
    if (variable !== undefined) return `variable ${variable}`;
    let low = 0;
    for (let high = bases.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (bases[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    for (let index = low - 1; index >= Math.max(0, low - 4); index--) {
      const base = bases[index]!;
      const names = this.#structs.get(base) ?? [];
      for (const layout of names.map((name) => this.#kernel.struct(name))) {
        const offset = Number(address - base);
        if (!layout || offset >= layout.size + MAX_SPLIT) continue;
        const member = memberAt(this.#kernel, layout, offset);
        if (member !== undefined) return `${layout.name}.${member}`;
      }
    }
    return undefined;
  }
}

/** The sites of some struct pages. */
export function pageSites(kernel: Kernel, frames: ReadonlyMap<number, Frame>): Site[] {
  const page = kernel.struct('page');
  if (!page) return [];
  const sites: Site[] = [];
  const order = orderOffset(kernel, page) % page.size;
  for (const [frame, { order: isOrder, offsets, readBy }] of frames) {
    const address = kernel.pages.pageOfFrame(frame);
    if (isOrder) sites.push({ address: address + BigInt(order), size: 1, member: 'page.order', readBy });
    // Members that a reader of whole struct pages uses.
    const words = ['flags', 'compound_head', 'compound_info', '_refcount', 'page_type'];
    const whole = words.flatMap((path) => page.member(path)?.offset ?? []);
    for (const offset of new Set([...offsets, ...(offsets.has(0) ? whole : [])])) {
      const member = pageMemberAt(kernel, page, offset);
      const size = /_refcount|page_type/.test(member) ? 4 : offset % 8 === 0 ? 8 : offset % 4 === 0 ? 4 : 1;
      sites.push({ address: address + BigInt(offset), size, member, readBy });
    }
  }
  return sites;
}

/** The target of a pointer, possibly a short text. */
function targetOf(targets: ReadonlyMap<bigint, string>, address: bigint): string | undefined {
  for (let back = 0n; back < MAX_TEXT; back++) {
    const target = targets.get(address - back);
    if (target !== undefined) return target;
  }
  return undefined;
}

/** Bytes of a text that are read sequentially. */
const MAX_TEXT = 32n;

/** Reads of walkers through no struct. */
const RAW: Readonly<Record<string, string>> = {
  'walk/network/network-pages': 'napi_alloc_cache.skb_count',
  'walk/pages/vm-counters': 'vm_stat_diff',
  'walk/pages/page-frag-cache': 'page_frag_cache',
  'walk/ptr-ring': 'slot of ptr_ring.queue',
};

/** The current walker, by its file (`read by walk/queues/skb-lists`), or its subject. */
function walkerNow(): string {
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = 16;
  // Sites alone: to look lines up in source maps, as a runner of tests does, takes minutes.
  Error.prepareStackTrace = (_, sites) => sites.map((site) => site.getFileName() ?? '');
  const files = new Error().stack as unknown as readonly string[];
  Object.assign(Error, { stackTraceLimit, prepareStackTrace });
  for (const path of files) {
    const file = /src\/((?:walk|account)\/[\w/-]+)\.[jt]s/.exec(path)?.[1];
    if (file && !/named-read|struct-reader|read-or-not|walk\/list$/.test(file)) return RAW[file] ?? `read by ${file}`;
  }
  return 'memory';
}
