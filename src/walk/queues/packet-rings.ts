import { damaged, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { QueueName } from '../../records/queues.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import type { HeldPage, Queue, QueueFinder } from './queue.js';

/**
 * Maximum number of blocks of a ring: `tp_block_nr` is an int, and each block takes 8 bytes of one kmalloc
 * (at most 4 MiB).
 */
const MAX_BLOCKS = 2 ** 19;

/**
 * The mmap'ed rings of AF_PACKET: `pg_vec[pg_vec_len]`. Each entry is a block of `1 << pg_vec_order` pages: a
 * compound page, or vmalloc'ed memory if the buddy allocator had no such page (net/packet/af_packet.c).
 */
export class PacketRings implements QueueFinder {
  readonly #kernel: Kernel;
  readonly #sock;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    // A kernel without CONFIG_PACKET_MMAP would lack them; there is none since 2010.
    this.#sock = new StructReader(kernel, 'packet_sock', [
      'rx_ring.pg_vec',
      'rx_ring.pg_vec_len',
      'rx_ring.pg_vec_order',
      'tx_ring.pg_vec',
      'tx_ring.pg_vec_len',
      'tx_ring.pg_vec_order',
    ]);
  }

  queues(sock: bigint): Queue[] {
    return [this.#ring('rxRing', sock, 'rx_ring'), this.#ring('txRing', sock, 'tx_ring')];
  }

  #ring(name: QueueName, sock: bigint, member: 'rx_ring' | 'tx_ring'): Queue {
    return { name, expected: undefined, entries: () => this.#blocks(sock, member) };
  }

  *#blocks(sock: bigint, member: 'rx_ring' | 'tx_ring'): Generator<HeldPage> {
    const view = this.#sock.read(sock);
    const vector = view.pointer(`${member}.pg_vec`);
    if (vector === 0n) return;
    const count = view.number(`${member}.pg_vec_len`);
    const order = view.number(`${member}.pg_vec_order`);
    if (count > MAX_BLOCKS || order > 30) {
      throw damaged(`a ring has an invalid size (${count} blocks of order ${order})`);
    }
    const blocks = readPartOf(this.#kernel, 'the ring', vector, vector, count * 8);
    let elsewhere = 0;
    for (let index = 0; index < count; index++) {
      const page = this.#kernel.pages.pageOf(blocks.getBigUint64(index * 8, true));
      if (page === undefined) elsewhere++;
      else yield { kind: 'page', page, payload: 0 };
    }
    if (elsewhere > 0) {
      const bytes = elsewhere * this.#kernel.facts.pageSize * 2 ** order;
      throw unsupportedLayout(
        `${elsewhere} of its ${count} blocks are vmalloc'ed: their ${bytes} bytes were not counted`,
      );
    }
  }
}

/**
 * Maximum number of pages of a umem: it has less than 4 GiB worth of descriptors, and 2^32 bytes of pointers
 * would be corrupt.
 */
const MAX_PAGES = 2 ** 24;

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
    if (count > MAX_PAGES) throw damaged(`a umem of ${count} pages`);
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
