import { Pointer } from './pointer.js';

/** Kernel addresses that map memory in one piece (page_offset_base). Lengths are bytes, below 2^53. */
export interface DirectMap {
  readonly address: bigint;
  readonly length: number;
  /** Physical address of its first byte. */
  readonly physical: number;
}

/** The array of `struct page` (vmemmap): element n describes page frame n. */
export interface PageArray {
  /** Address of the `struct page` of page frame 0. */
  readonly address: bigint;
  /** Bytes of a `struct page`. */
  readonly stride: number;
}

/** What an engine knows of both, found when it is first asked for. */
export interface PageRegions {
  /** Bytes of a base page. */
  readonly pageSize: number;
  /** @throws {ReadError}, {@link KernelError} `damaged`: why it is not known */
  directMap(): DirectMap;
  /** @throws as directMap does */
  pageArray(): PageArray;
}

/**
 * Converts between memory by its direct-map address, page frames by their number, and the `struct
 * page`s that describe them: the one place with such arithmetic. Frames are numbers, physical
 * addresses divided by the size of a base page.
 *
 * Every method throws {@link ReadError} when the direct map or the struct pages cannot be found, since
 * what tells where they lie cannot be read; {@link KernelError} `damaged` when that contradicts itself.
 */
export class PageMap {
  readonly #regions: PageRegions;
  readonly #pageSize: number;
  #direct: DirectMap | undefined;
  readonly #directStart = new Pointer();
  #array: PageArray | undefined;
  readonly #arrayStart = new Pointer();
  readonly #at = new Pointer();

  constructor(regions: PageRegions) {
    this.#regions = regions;
    this.#pageSize = regions.pageSize;
  }

  /**
   * The address of the `struct page` that describes the byte at a direct-map address; undefined when
   * that is none (vmalloc, modules, the image).
   */
  pageOf(address: bigint): bigint | undefined {
    const frame = this.frameOf(this.#at.set(address));
    return frame < 0 ? undefined : this.pageOfFrame(frame);
  }

  /** The direct-map address of the memory that a `struct page` describes: the inverse of pageOf. */
  addressOfPage(page: bigint): bigint | undefined {
    const frame = this.frameOfPage(this.#at.set(page));
    return frame < 0 ? undefined : this.addressOfFrame(frame);
  }

  /** The page frame that holds the byte at a direct-map address; -1 where pageOf says undefined. */
  frameOf(address: Pointer): number {
    const direct = this.#directMap();
    const offset = address.minus(this.#directStart);
    if (!(offset >= 0 && offset < direct.length)) return -1;
    return Math.floor((direct.physical + offset) / this.#pageSize);
  }

  /** The page frame that a `struct page` describes; -1 where addressOfPage says undefined. */
  frameOfPage(page: Pointer): number {
    this.#directMap();
    const { stride } = this.#pageArray();
    const frame = page.minus(this.#arrayStart) / stride;
    if (!(frame >= 0 && Number.isInteger(frame))) return -1;
    return this.#hasFrame(frame) ? frame : -1;
  }

  /** The address of the `struct page` of a frame, whether or not the kernel has that frame. */
  pageOfFrame(frame: number): bigint {
    const { address, stride } = this.#pageArray();
    return address + BigInt(frame * stride);
  }

  /** The direct-map address of a frame; undefined where that maps none such. */
  addressOfFrame(frame: number): bigint | undefined {
    const { address, physical } = this.#directMap();
    return this.#hasFrame(frame) ? address + BigInt(frame * this.#pageSize - physical) : undefined;
  }

  #hasFrame(frame: number): boolean {
    const { length, physical } = this.#directMap();
    const into = frame * this.#pageSize - physical;
    return into >= 0 && into < length;
  }

  #directMap(): DirectMap {
    if (this.#direct === undefined) {
      this.#direct = this.#regions.directMap();
      this.#directStart.set(this.#direct.address);
    }
    return this.#direct;
  }

  #pageArray(): PageArray {
    if (this.#array === undefined) {
      this.#array = this.#regions.pageArray();
      this.#arrayStart.set(this.#array.address);
    }
    return this.#array;
  }
}
