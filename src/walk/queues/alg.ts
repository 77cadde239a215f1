import type { Kernel } from '../../kernel/kernel.js';
import { StructReader } from '../struct-reader.js';
import { scatterlistPage } from './psock.js';
import type { Entry, Queue, QueueFinder } from './queue.js';

/** Values of `af_alg_type.name` whose sockets keep sent data until the result is read. */
const CIPHERS = ['skcipher', 'aead'];

/**
 * Data that a process sent to an AF_ALG socket for encryption or decryption, until its result is read: lists
 * of pages in `af_alg_ctx.tsgl_list` (crypto/af_alg.c). Only accepted sockets hold such data; hashes and
 * random number generators keep none between calls.
 */
export class AlgQueues implements QueueFinder {
  readonly #kernel: Kernel;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  queues(sock: bigint): Queue[] {
    return [{ name: 'cipher', expected: undefined, entries: () => this.#given(sock) }];
  }

  *#given(sock: bigint): Generator<Entry> {
    const view = new StructReader(this.#kernel, 'alg_sock', ['parent', 'type', 'private']).read(
      sock,
    );
    const [type, context] = [view.pointer('type'), view.pointer('private')];
    if (view.pointer('parent') === 0n || type === 0n || context === 0n) return;
    const name = new StructReader(this.#kernel, 'af_alg_type', ['name']).read(type).text('name');
    if (!CIPHERS.includes(name)) return;
    const lists = new StructReader(this.#kernel, 'af_alg_ctx', ['tsgl_list']);
    const list = new StructReader(this.#kernel, 'af_alg_tsgl', ['list', 'cur', 'sg']);
    const entry = new StructReader(this.#kernel, 'scatterlist', ['page_link', 'length']);
    const head = lists.read(context).addressOf('tsgl_list');
    for (const address of list.entryAddresses(head, 'list')) {
      yield { kind: 'object', address, payload: 0 };
      // The list fits in a page (MAX_SGL_ENTS); its last entry is for chaining.
      const most = Math.floor(this.#kernel.facts.pageSize / entry.size);
      const given = Math.min(list.read(address).number('cur'), most);
      for (let index = 0; index < given; index++) {
        const one = entry.read(entry.element(list.addressOf(address, 'sg'), index));
        const page = scatterlistPage(one.pointer('page_link'));
        // Processed pages are already released.
        if (page !== undefined) yield { kind: 'page', page, payload: one.number('length') };
      }
    }
  }
}
