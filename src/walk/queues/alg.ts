import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';
import type { Entry } from './entry.js';
import type { Queue, QueueFinder } from './queue.js';
import { scatterlistPage } from './sk-msg.js';

/** `af_alg_type.name` of those that keep what is sent until somebody asks for the result. */
const CIPHERS = ['skcipher', 'aead'];

/**
 * What a process has given an AF_ALG socket to encrypt or decrypt, and not asked for: the lists of
 * pages in `af_alg_ctx.tsgl_list` (crypto/af_alg.c). Only accepted sockets have any; hashes and random
 * numbers keep nothing from call to call.
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
    for (const node of listNodes(this.#kernel, lists.read(context).addressOf('tsgl_list'))) {
      const address = node - BigInt(list.offset('list'));
      yield { kind: 'object', address, payload: 0 };
      // It fits in a page (MAX_SGL_ENTS); its last entry is for chaining.
      const most = Math.floor(this.#kernel.facts.pageSize / entry.size);
      const given = Math.min(list.read(address).number('cur'), most);
      for (let index = 0; index < given; index++) {
        const at = address + BigInt(list.offset('sg') + index * entry.size);
        const one = entry.read(at);
        const page = scatterlistPage(one.pointer('page_link'));
        // What has been worked on already is given back.
        if (page !== undefined) yield { kind: 'page', page, payload: one.number('length') };
      }
    }
  }
}
