import { ReadError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { CONTENT_KINDS, type ContentKind } from '../../records/references.js';
import { contentOf, type MemoryFacts } from '../../walk/memory/contents.js';

/** Judges allocations by their pages. */
export class Contents {
  readonly #kernel: Kernel;
  readonly #facts: MemoryFacts;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const { arch, pageSize } = kernel.facts;
    const memoryEnd = kernel.memoryEnd?.() ?? Number.POSITIVE_INFINITY;
    this.#facts = { arch, pageSize, memoryEnd };
  }

  /** The most frequent kind of the pages that are not zero, and the ports in all pages. */
  of(address: bigint, length: number): { kind: ContentKind; ports: Set<number>; unread: number } {
    const { pageSize } = this.#facts;
    const pages = new Map<ContentKind, number>();
    const ports = new Set<number>();
    let unread = 0;
    for (let at = 0; at < length; at += pageSize) {
      let kind: ContentKind = 'unreadable';
      try {
        const view = this.#kernel.read(address + BigInt(at), Math.min(pageSize, length - at));
        const page = contentOf(view, this.#facts);
        ({ kind } = page);
        for (const port of page.ports) ports.add(port);
      } catch (error) {
        if (!(error instanceof ReadError)) throw error;
        unread += Math.min(pageSize, length - at);
      }
      pages.set(kind, (pages.get(kind) ?? 0) + 1);
    }
    const many = (kind: ContentKind) => pages.get(kind) ?? 0;
    // Only a block whose pages were all read and are all zero is zero.
    const kinds = CONTENT_KINDS.filter((kind) => kind !== 'zero' && many(kind) > 0);
    const [kind = 'zero'] = kinds.toSorted((a, b) => many(b) - many(a));
    return { kind, ports, unread };
  }
}
