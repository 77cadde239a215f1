import type { ByteWindow, FastReads } from '../../../src/kernel/bytes.js';
import type { Kernel } from '../../../src/kernel/kernel.js';
import type { PageMap } from '../../../src/kernel/page-map.js';
import { highHalf, joinHalves, lowHalf, Pointer } from '../../../src/kernel/pointer.js';
import { forgetFound } from '../../../src/walk/live-reads.js';
import type { Patch } from '../../../test/support/damaged-kernel.js';

const PAGE = 4096;

/** Frames of 4 GiB, the size of a small dump; no more of the array of struct pages is filled. */
const MAX_FRAMES = 2 ** 20;

/** Size of a read that covers many struct pages. */
const MANY = 1024;

/** Read bytes of one page, and a map of them. */
interface Page {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly known: Uint8Array;
  /** Whether all bytes are known. */
  whole: boolean;
  /** Whether unknown bytes read as zeros in large reads. */
  filled: boolean;
}

/**
 * A kernel whose memory can be patched and restored at no cost: reads of the underlying kernel
 * are cached page by page, so that a case costs only the walk. The
 * underlying kernel must not change.
 */
export class OverlayKernel implements Kernel, FastReads {
  readonly fast: FastReads = this;
  readonly facts;
  readonly pages: PageMap;
  readonly #at = new Pointer();
  /** Called for every successful read. */
  onRead: ((address: bigint, length: number) => void) | undefined;
  readonly #kernel: Kernel;
  readonly #read = new Map<number, Page>();
  readonly #failures = new Map<string, unknown>();
  #patches: readonly Patch[] = [];
  /** Numbers of patched pages. */
  readonly #patched = new Set<number>();
  /** Whether caching has stopped: wild reads would never end. */
  #frozen = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.facts = kernel.facts;
    this.pages = kernel.pages;
    if (kernel.physicalOf) this.physicalOf = kernel.physicalOf.bind(kernel);
    if (kernel.pageTables) this.pageTables = kernel.pageTables.bind(kernel);
    if (kernel.cpuNotes) this.cpuNotes = kernel.cpuNotes;
    if (kernel.userPages) this.userPages = kernel.userPages.bind(kernel);
    if (kernel.physical) this.physical = kernel.physical;
    if (kernel.symbolAt) this.symbolAt = kernel.symbolAt.bind(kernel);
  }

  /**
   * What was not read by now is not remembered later. Of struct pages of which a part was read the
   * rest is zeros for whoever reads many at once: an extract has no more, and a scan takes what it has
   * in another, slower way.
   */
  freeze(): void {
    this.#frozen = true;
    const first = this.pages.pageOfFrame(0);
    const last = this.pages.pageOfFrame(MAX_FRAMES);
    for (const [number, page] of this.#read) {
      const address = BigInt(number) * BigInt(PAGE);
      if (address >= first && address < last) page.filled = true;
    }
  }

  patch(patches: readonly Patch[]): void {
    this.#patches = patches;
    forgetFound(this);
    this.#patched.clear();
    for (const { address, bytes } of patches) {
      for (let at = address & ~0xfffn; at < address + BigInt(bytes.length); at += 4096n)
        this.#patched.add(numberOf(highHalf(at), lowHalf(at)));
    }
  }

  read(address: bigint, length: number): DataView {
    const window: ByteWindow = { view: new DataView(new ArrayBuffer(0)), base: 0 };
    this.locate(this.#at.set(address), length, window);
    return new DataView(window.view.buffer, window.view.byteOffset + window.base, length);
  }

  locate(at: Pointer, length: number, window: ByteWindow): void {
    const { high, low, address } = at;
    const from = low % PAGE;
    const number = numberOf(high, low);
    if (from + length > PAGE || this.#patched.has(number)) {
      window.view = this.#assembled(address, length);
      window.base = 0;
    } else {
      const { bytes } = this.#page(high, low, from, length, number);
      window.view = new DataView(bytes.buffer);
      window.base = from;
    }
    this.onRead?.(address, length);
  }

  symbol = (name: string) => this.#kernel.symbol(name);
  struct = (name: string) => this.#kernel.struct(name);
  enumerators = (name: string) => this.#kernel.enumerators(name);
  noteReads = () => () => {};
  /** Data of page tables and symbols, and passes over all memory, are not patched. */
  readonly physical?: NonNullable<Kernel['physical']>;
  readonly physicalOf?: NonNullable<Kernel['physicalOf']>;
  readonly pageTables?: NonNullable<Kernel['pageTables']>;
  readonly userPages?: NonNullable<Kernel['userPages']>;
  readonly cpuNotes?: NonNullable<Kernel['cpuNotes']>;
  readonly symbolAt?: NonNullable<Kernel['symbolAt']>;
  close(): void {}

  /** The page of a read within one page, with the requested bytes filled. */
  #page(high: number, low: number, from: number, length: number, number: number): Page {
    let page = this.#read.get(number);
    if (page?.whole || (page?.filled && length >= MANY)) return page;
    if (page && isKnown(page, from, length)) return page;
    const view = this.#beneath(joinHalves(high, low), length);
    page ??= { bytes: new Uint8Array(PAGE), known: new Uint8Array(PAGE), whole: false, filled: false };
    page.bytes.set(new Uint8Array(view.buffer, view.byteOffset, length), from);
    if (this.#frozen) return page;
    page.known.fill(1, from, from + length);
    page.whole = isKnown(page, 0, PAGE);
    this.#read.set(number, page);
    return page;
  }

  #beneath(address: bigint, length: number): DataView {
    const key = `${address} ${length}`;
    const failure = this.#failures.get(key);
    // The same error again, since creating one costs more than everything else.
    if (failure !== undefined) throw failure;
    try {
      return this.#kernel.read(address, length);
    } catch (error) {
      if (!this.#frozen) this.#failures.set(key, error);
      throw error;
    }
  }

  /** Pieces of several pages, with the patches. */
  #assembled(address: bigint, length: number): DataView {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const [high, low] = [highHalf(at), lowHalf(at)];
      const from = low % PAGE;
      const count = Math.min(PAGE - from, length - done);
      const page = this.#page(high, low, from, count, numberOf(high, low));
      bytes.set(page.bytes.subarray(from, from + count), done);
      done += count;
    }
    for (const patch of this.#patches) {
      const at = Number(patch.address - address);
      for (let index = Math.max(0, -at); index < patch.bytes.length && at + index < length; index++)
        bytes[at + index] = patch.bytes[index]!;
    }
    return new DataView(bytes.buffer);
  }
}

function numberOf(high: number, low: number): number {
  return high * 2 ** 20 + Math.floor(low / PAGE);
}

function isKnown({ known }: Page, from: number, length: number): boolean {
  for (let at = from; at < from + length; at++) if (known[at] === 0) return false;
  return true;
}
