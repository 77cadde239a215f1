import { ReadError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { type AnnouncedRead, type ByteWindow, bytesOf, type FastReads } from '../bytes.js';
import type { UserPages } from '../kernel.js';
import { highHalf, joinHalves, lowHalf, type Pointer } from '../pointer.js';
import { type Architecture, type LinearRange, walkUserTables } from './arch/arch.js';
import { pageTableError } from './arch/checked-walk.js';
import { LONGEST_READ, lengthError } from './image/byte-source.js';
import type { MemoryImage, PhysicalRange } from './image/image.js';

/**
 * A kernel's virtual memory on top of an image's physical memory. Uses page tables only until the
 * direct map is known, which is then preferred.
 */
export class KernelMemory implements FastReads {
  readonly image: MemoryImage;
  readonly #arch: Architecture;
  readonly #pageSize: number;
  /** /proc/kcore maps all memory itself, and its mappings are more current than cached tables. */
  readonly #mapsItself: boolean;
  #directMap: LinearRange | undefined;

  constructor(image: MemoryImage, arch: Architecture) {
    this.image = image;
    this.#arch = arch;
    this.#pageSize = arch.pageSize;
    this.#mapsItself = image.facts.format === 'kcore';
  }

  /** From now on, addresses in this range are translated without page tables. */
  useDirectMap(range: LinearRange | undefined): void {
    this.#directMap = range;
  }

  /**
   * Reads `length` bytes at a virtual address, across pages and blocks.
   *
   * @throws {ReadError} with the virtual address of the first unreadable byte.
   */
  read(address: bigint, length: number): DataView {
    const high = highHalf(address);
    const low = lowHalf(address);
    const direct = this.#directMap;
    if (direct !== undefined && length > 0 && length <= LONGEST_READ) {
      const offset = direct.offset(high, low);
      if (offset >= 0 && offset + length <= direct.length)
        return this.#physical(direct.physical + offset, length, high, low);
    }
    return this.#mapped(high, low, length);
  }

  locate({ high, low }: Pointer, length: number, window: ByteWindow): void {
    const physical = this.#near(high, low, length);
    try {
      if (physical >= 0 && this.image.locate?.(physical, length, window)) return;
    } catch (error) {
      throw withVirtualAddress(error, physical, length, high, low);
    }
    window.view = this.read(joinHalves(high, low), length);
    window.base = 0;
  }

  ahead(reads: Iterable<AnnouncedRead>, count: number): () => void {
    const near = (address: bigint, length: number): number => {
      try {
        return this.#near(highHalf(address), lowHalf(address), length);
      } catch {
        // The read itself reports it.
        return -1;
      }
    };
    const pageSize = this.#pageSize;
    const physical = function* (): Generator<PhysicalRange> {
      for (const { address, length } of reads) {
        const start = near(address, length);
        if (start >= 0) yield { start, end: start + length };
        // Pages apart: each may be mapped, or not.
        for (let done = 0; start < 0 && done < length; ) {
          const at = address + BigInt(done);
          const part = Math.min(pageSize - Number(at % BigInt(pageSize)), length - done);
          const page = near(at, part);
          if (page >= 0) yield { start: page, end: page + part };
          done += part;
        }
      }
    };
    return this.image.ahead?.(physical(), count) ?? (() => {});
  }

  /** Physical address of a few bytes that a linear mapping guarantees to be contiguous; or -1. */
  #near(high: number, low: number, length: number): number {
    const direct = this.#directMap;
    if (direct !== undefined) {
      const offset = direct.offset(high, low);
      if (offset >= 0 && offset + length <= direct.length) return direct.physical + offset;
    }
    if (this.#mapsItself || !(length > 0 && length <= LONGEST_READ)) return -1;
    const physical = this.#translateOrNot(high, low);
    if (physical < 0) return -1;
    return this.#contiguous(high, low, physical, length) === length ? physical : -1;
  }

  /** Translates an address; undefined if no page table maps it. */
  physical(address: bigint): number | undefined {
    const high = highHalf(address);
    const low = lowHalf(address);
    const direct = this.#directMap;
    if (direct !== undefined) {
      const offset = direct.offset(high, low);
      if (offset >= 0 && offset < direct.length) return direct.physical + offset;
    }
    const physical = this.#arch.translate(high, low);
    return physical < 0 ? undefined : physical;
  }

  /** Physical addresses of the kernel's own page tables. @throws {ReadError} */
  tables(): Generator<number> {
    return this.#arch.tables();
  }

  userPages(root: number, visitor: UserPages): void {
    walkUserTables(this.image, this.#arch.userEntries, root, visitor);
  }

  #physical(physical: number, length: number, high: number, low: number): DataView {
    try {
      return this.image.readPhysical(physical, length);
    } catch (error) {
      throw withVirtualAddress(error, physical, length, high, low);
    }
  }

  #mapped(high: number, low: number, length: number): DataView {
    if (!(length >= 0 && length <= LONGEST_READ)) {
      throw lengthError(joinHalves(high, low), length);
    }
    if (length === 0) return new DataView(new ArrayBuffer(0));
    if (this.#mapsItself) {
      const view = this.image.readVirtual(joinHalves(high, low), length);
      if (view !== undefined) return view;
    }
    const physical = this.#translate(high, low);
    let run = this.#contiguous(high, low, physical, length);
    if (run === length) return this.#physical(physical, length, high, low);
    const bytes = new Uint8Array(length);
    copy(this.#physical(physical, run, high, low), bytes, 0);
    for (let done = run; done < length; done += run) {
      const nextLow = (low + done) % 0x1_0000_0000;
      const nextHigh = high + Math.floor((low + done) / 0x1_0000_0000);
      const next = this.#translate(nextHigh, nextLow);
      run = this.#contiguous(nextHigh, nextLow, next, length - done);
      copy(this.#physical(next, run, nextHigh, nextLow), bytes, done);
    }
    return new DataView(bytes.buffer);
  }

  /** Number of bytes from an address on, at most `length`, that are physically contiguous. */
  #contiguous(high: number, low: number, physical: number, length: number): number {
    let run = this.#pageSize - (low % this.#pageSize);
    while (run < length) {
      const nextLow = (low + run) % 0x1_0000_0000;
      const nextHigh = high + Math.floor((low + run) / 0x1_0000_0000);
      if (this.#translateOrNot(nextHigh, nextLow) !== physical + run) return run;
      run += this.#pageSize;
    }
    return length;
  }

  #translate(high: number, low: number): number {
    const physical = this.#translateOrNot(high, low);
    if (physical < 0) throw new ReadError('unmapped', joinHalves(high, low));
    return physical;
  }

  #translateOrNot(high: number, low: number): number {
    // Past the end of the address space after a carry.
    if (high > 0xffffffff) return -1;
    try {
      return this.#arch.translate(high, low);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
      throw pageTableError(error, joinHalves(high, low));
    }
  }
}

/** Replaces the image's physical address in an error by the virtual one that was read. */
function withVirtualAddress(error: unknown, physical: number, length: number, high: number, low: number): unknown {
  if (!(error instanceof ReadError)) return error;
  const into = Number(error.address) - physical;
  const address = joinHalves(high, low) + BigInt(into > 0 && into < length ? into : 0);
  const suffix = error.detail && `, ${error.detail}`;
  const detail = `physical ${hex(error.address)}${suffix}`;
  return new ReadError(error.code, BigInt.asUintN(64, address), detail, { cause: error });
}

function copy(from: DataView, to: Uint8Array, at: number): void {
  to.set(bytesOf(from), at);
}

/** Bytes fetched at a time. */
export const CHUNK = 4096;
const CHUNK_BITS = Math.log2(CHUNK);

/** A table in the kernel's memory that is read on demand, in chunks. */
export class LazyBytes {
  /** The whole table; only ranges passed to `need` are valid. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly #memory: Pick<KernelMemory, 'read'>;
  readonly #address: bigint;
  /** One byte per CHUNK: not 0 if it has been read. */
  readonly have: Uint8Array;

  /** @param length bytes to allocate: the caller has checked that they are plausible. */
  constructor(memory: Pick<KernelMemory, 'read'>, address: bigint, length: number) {
    this.#memory = memory;
    this.#address = address;
    this.bytes = new Uint8Array(length);
    this.view = new DataView(this.bytes.buffer);
    this.have = new Uint8Array(Math.ceil(length / CHUNK));
  }

  /**
   * Reads bytes `from` to `end`, within the table.
   *
   * @throws {ReadError} when they cannot be read.
   */
  need(from: number, end: number): void {
    const last = Math.min(Math.ceil(end / CHUNK), this.have.length);
    for (let chunk = Math.max(0, Math.floor(from / CHUNK)); chunk < last; chunk++) {
      if (this.have[chunk] === 0) this.#fetch(chunk, chunk + 1);
    }
  }

  /**
   * Reads the byte at each of these offsets with its surroundings; adjacent chunks in one read.
   *
   * @throws as {@link need}
   */
  needEach(places: Int32Array): void {
    const wanted = new Uint8Array(this.have.length);
    for (let index = 0; index < places.length; index++) {
      // A division would allocate a heap number as long as this code is not optimized.
      wanted[places[index]! >> CHUNK_BITS] = 1;
    }
    for (let chunk = 0; chunk < this.have.length; chunk++) {
      const first = chunk;
      while (wanted[chunk] === 1 && this.have[chunk] === 0) chunk++;
      if (chunk > first) this.#fetch(first, chunk);
    }
  }

  /** Reads chunks `first` to `end`, exclusive. */
  #fetch(first: number, end: number): void {
    const at = first * CHUNK;
    const length = Math.min(end * CHUNK, this.bytes.length) - at;
    const read = this.#memory.read(this.#address + BigInt(at), length);
    this.bytes.set(bytesOf(read, 0, length), at);
    this.have.fill(1, first, end);
  }
}
