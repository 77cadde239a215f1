import { ReadError } from '../../src/base/errors.js';
import type { MemoryImage, VirtualRange } from '../../src/kernel/native/image/image.js';

const PAGE = 4096;

/** Physical memory in which only written pages exist. */
export class SparseMemory {
  readonly pages = new Map<number, Uint8Array>();
  /** Number of reads, which shows what is cached. */
  reads = 0;

  write(physical: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const at = physical + done;
      const page = this.page(at);
      const part = bytes.subarray(done, done + PAGE - (at % PAGE));
      page.set(part, at % PAGE);
      done += part.length;
    }
  }

  /** The page that contains an address; a new one is filled with zeros. */
  page(physical: number): Uint8Array {
    const frame = Math.floor(physical / PAGE);
    let page = this.pages.get(frame);
    if (!page) {
      page = new Uint8Array(PAGE);
      this.pages.set(frame, page);
    }
    return page;
  }

  writeWord(physical: number, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    this.write(physical, bytes);
  }

  read(physical: number, length: number): DataView {
    this.reads++;
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = physical + done;
      const page = this.pages.get(Math.floor(at / PAGE));
      if (!page) throw new ReadError('absent', BigInt(at));
      const part = page.subarray(at % PAGE, Math.min(PAGE, (at % PAGE) + length - done));
      bytes.set(part, done);
      done += part.length;
    }
    return new DataView(bytes.buffer);
  }

  /** A dump that stores just these pages. */
  image(facts: {
    readonly vmcoreinfo?: string | undefined;
    readonly machine?: string | undefined;
    readonly format?: 'elf' | 'kcore';
    readonly virtual?: readonly VirtualRange[];
  }): MemoryImage {
    const frames = [...this.pages.keys()].sort((a, b) => a - b);
    const ranges = frames.map((frame) => ({ start: frame * PAGE, end: (frame + 1) * PAGE }));
    const virtualRanges = facts.virtual ?? [];
    return {
      facts: {
        format: facts.format ?? 'elf',
        description: 'a synthetic dump',
        compression: ['none'],
        machine: 'machine' in facts ? facts.machine : 'x86_64',
        dumpLevel: undefined,
        files: ['synthetic'],
        physicalRanges: ranges,
        live: facts.format === 'kcore',
        anomalies: [],
      },
      vmcoreinfo: facts.vmcoreinfo,
      virtualRanges,
      readPhysical: (address, length) => this.read(address, length),
      readVirtual: (address, length) => {
        const range = virtualRanges.find((one) => address >= one.address && address < one.address + BigInt(one.length));
        if (range?.physical === undefined) return undefined;
        return this.read(range.physical + Number(address - range.address), length);
      },
      noteReads: () => () => {},
      close: () => {},
    };
  }
}

export type PageBytes = 4096 | 0x20_0000 | 0x4000_0000;

/** Writes x86_64 page tables of 4 or 5 levels. */
export class PageTableWriter {
  readonly root: number;
  readonly #memory: SparseMemory;
  readonly #levels: 4 | 5;
  readonly #encryption: bigint;
  #next: number;

  /** @param root address of the top table; the others follow it page by page */
  constructor(memory: SparseMemory, root: number, levels: 4 | 5, encryption = 0n) {
    this.#memory = memory;
    this.root = root;
    this.#levels = levels;
    this.#encryption = encryption;
    this.#next = root + PAGE;
    memory.page(root);
  }

  /** Maps one page; both addresses are aligned to it. */
  map(virtual: bigint, physical: number, bytes: PageBytes = PAGE, { writable = true, executable = false } = {}): void {
    const leaf = bytes === PAGE ? 1 : bytes === 0x20_0000 ? 2 : 3;
    let table = this.root;
    for (let level: number = this.#levels; level > leaf; level--) {
      const at = this.entryAt(table, virtual, level);
      const entry = this.#memory.read(at, 8).getBigUint64(0, true);
      if (entry & 1n) {
        table = Number(entry & 0x000f_ffff_ffff_f000n & ~this.#encryption);
      } else {
        table = this.#next;
        this.#next += PAGE;
        this.#memory.page(table);
        this.#memory.writeWord(at, BigInt(table) | 0x63n | this.#encryption);
      }
    }
    const flags = 0x61n | (writable ? 2n : 0n) | (executable ? 0n : 1n << 63n);
    const large = leaf === 1 ? 0n : 0x80n;
    const at = this.entryAt(table, virtual, leaf);
    this.#memory.writeWord(at, BigInt(physical) | flags | large | this.#encryption);
  }

  /** Physical address of the entry for an address in a table of that level (1: the lowest). */
  entryAt(table: number, virtual: bigint, level: number): number {
    return table + Number((virtual >> BigInt(12 + 9 * (level - 1))) & 511n) * 8;
  }
}
