import { type ByteWindow, type FastReads, fastReads } from '../kernel/fast-reads.js';
import type { Kernel } from '../kernel/kernel.js';
import { Pointer } from '../kernel/pointer.js';
import { named } from './named-read.js';

/**
 * Stands on one object after the other and shows bytes of it, without making anything: for loops over
 * hundreds of thousands. What it shows holds until the kernel reads something else.
 */
export class Cursor {
  /** Where the object lies that it stands on. */
  readonly at = new Pointer();
  readonly #reads: FastReads;
  readonly #what: string;
  readonly #from = new Pointer();
  readonly #window: ByteWindow = { view: new DataView(new ArrayBuffer(0)), base: 0 };

  /** @param what what errors call the object: `struct page` */
  constructor(kernel: Kernel, what: string) {
    this.#reads = fastReads(kernel);
    this.#what = what;
  }

  /** Moves to an object; nothing is read yet. */
  to(address: bigint): this {
    this.at.set(address);
    return this;
  }

  /** Moves so many bytes behind a pointer, which may be its own. */
  follow(pointer: Pointer, bytes = 0): this {
    this.at.after(pointer, bytes);
    return this;
  }

  /**
   * Reads bytes of the object. Its first byte is then byte `base` of the view, if that was read: the
   * byte at `offset` is byte `base + offset`.
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
