import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { HeldPage, Queue, QueueFinder } from './queue.js';

/**
 * Maximum number of pages of a umem: it has less than 4 GiB worth of descriptors, and 2^32 bytes of pointers
 * would be corrupt.
 */
const MOST_PAGES = 2 ** 24;

/** Number of pointers per read. */
const CHUNK = 8192;

/**
 * Pages of an AF_XDP socket's umem: user-space pages that the kernel pins (net/xdp/xdp_umem.c). Sockets can
 * share a umem.
 */
export class XdpUmem implements QueueFinder {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  queues(sock: bigint): Queue[] {
    if (!this.#kernel.struct('xdp_sock')) return [];
    return [{ name: 'umem', expected: undefined, entries: () => this.#pages(sock) }];
  }

  *#pages(sock: bigint): Generator<HeldPage> {
    const umem = new StructReader(this.#kernel, 'xdp_sock', ['umem']).read(sock).pointer('umem');
    if (umem === 0n) return;
    const view = new StructReader(this.#kernel, 'xdp_umem', ['pgs', 'npgs']).read(umem);
    const count = view.number('npgs');
    if (count > MOST_PAGES) throw damaged(`a umem of ${count} pages`);
    for (let from = 0; from < count; from += CHUNK) {
      const many = Math.min(CHUNK, count - from);
      const at = view.pointer('pgs') + BigInt(from * 8);
      const pages = readPartOf(this.#kernel, 'the array of pages', at, at, many * 8);
      for (let index = 0; index < many; index++) {
        yield { kind: 'page', page: pages.getBigUint64(index * 8, true), payload: 0 };
      }
    }
  }
}
