import { Pointer } from './pointer.js';

/** The direct map: linearly mapped kernel addresses (page_offset_base). Lengths are bytes, below 2^53. */
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

/** Regions that an engine has located; each is searched for on first use. */
export interface PageRegions {
  /** Bytes of a base page. */
  readonly pageSize: number;
  /** @throws {ReadError}, {@link KernelError} `damaged`: why the direct map was not found */
  directMap(): DirectMap;
  /** @throws as directMap does */
  pageArray(): PageArray;
}

/**
 * Converts between direct-map addresses, page frame numbers (PFNs) and addresses of `struct page`; no other
 * code does this arithmetic. A PFN is the physical address divided by the size of a base page.
 *
 * Every method throws {@link ReadError} when the direct map or the struct pages cannot be located because the
 * data that locates them cannot be read; {@link KernelError} `damaged` when that data is inconsistent.
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
   * Returns the address of the `struct page` of a direct-map address; undefined for any other
   * address (vmalloc, modules, the image).
   */
  pageOf(address: bigint): bigint | undefined {
    const frame = this.frameOf(this.#at.set(address));
    return frame < 0 ? undefined : this.pageOfFrame(frame);
  }

  /** Returns the direct-map address of the page that a `struct page` describes: the inverse of pageOf. */
  addressOfPage(page: bigint): bigint | undefined {
    const frame = this.frameOfPage(this.#at.set(page));
    return frame < 0 ? undefined : this.addressOfFrame(frame);
  }

  /** Returns the PFN of a direct-map address; -1 where pageOf returns undefined. */
  frameOf(address: Pointer): number {
    const direct = this.#directMap();
    const offset = address.minus(this.#directStart);
    if (!(offset >= 0 && offset < direct.length)) return -1;
    return Math.floor((direct.physical + offset) / this.#pageSize);
  }

  /** Returns the PFN that a `struct page` describes; -1 where addressOfPage returns undefined. */
  frameOfPage(page: Pointer): number {
    this.#directMap();
    const { stride } = this.#pageArray();
    const frame = page.minus(this.#arrayStart) / stride;
    if (!(frame >= 0 && Number.isInteger(frame))) return -1;
    return this.#hasFrame(frame) ? frame : -1;
  }

  /** Returns the address of the `struct page` of a PFN, whether or not that frame exists. */
  pageOfFrame(frame: number): bigint {
    const { address, stride } = this.#pageArray();
    return address + BigInt(frame * stride);
  }

  /** Returns the direct-map address of a PFN; undefined where the direct map does not cover it. */
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
