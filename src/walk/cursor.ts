import { type ByteWindow, type FastReads, fastReads } from '../kernel/bytes.js';
import type { Kernel } from '../kernel/kernel.js';
import { Pointer } from '../kernel/pointer.js';
import { named } from './named-read.js';

/**
 * Shows bytes of one object after the other without allocating: for loops over hundreds of thousands. A view
 * is valid until the kernel reads something else.
 */
export class Cursor {
  /** Address of the current object. */
  readonly at = new Pointer();
  readonly #reads: FastReads;
  readonly #what: string;
  readonly #from = new Pointer();
  readonly #window: ByteWindow = { view: new DataView(new ArrayBuffer(0)), base: 0 };

  /** @param what name of the object in errors: `struct page` */
  constructor(kernel: Kernel, what: string) {
    this.#reads = fastReads(kernel);
    this.#what = what;
  }

  /** Moves to an object without reading it. */
  to(address: bigint): this {
    this.at.set(address);
    return this;
  }

  /** Moves to `bytes` behind a pointer, which may be its own. */
  follow(pointer: Pointer, bytes = 0): this {
    this.at.after(pointer, bytes);
    return this;
  }

  /**
   * Reads bytes of the object. In the view, the byte at `offset` of the object is at `base + offset`.
   *
   * @throws {ReadError}, naming the object
   */
  look(offset: number, length: number): Readonly<ByteWindow> {
    const window = this.#window;
    try {
      this.#reads.locate(this.#from.after(this.at, offset), length, window);
      window.base -= offset;
      return window;
    } catch (error) {
      throw named(error, this.#what, this.at.address);
    }
  }
}
