import { damaged, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { needSymbol } from '../cpus.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';

/** PAGE_EXT_INVALID of `mem_section.page_ext`, since 6.1. */
const INVALID = 1n;

const MOST_SIZE = 1024;

/** Data beside each `struct page`, in an array for each memory section (mm/page_ext.c). */
export class PageExtensions {
  /** Bytes of a page's extension. */
  readonly size: number;
  readonly #kernel: Kernel;
  readonly #section: StructReader<'page_ext'>;
  readonly #bases = new Map<number, bigint>();

  /** @throws {KernelError} `unsupported-layout`, `no-symbols`, `damaged`; {@link ReadError} */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    if (!kernel.sections)
      throw unsupportedLayout('page extensions: the memory sections of this kernel are unknown');
    this.#section = new StructReader(kernel, 'mem_section', ['page_ext']);
    const at = needSymbol(kernel, 'page_ext_size');
    const size = pointerPartOf(kernel, 'page_ext_size', at, at);
    if (size > MOST_SIZE || size % 8n !== 0n) throw damaged(`page_ext_size is ${size}`);
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

  /** Address of a frame's extension; undefined: its section has none. @throws {ReadError} */
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
