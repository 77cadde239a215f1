import { damaged } from '../../base/errors.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { hlistNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';
import { netNamespaces } from './net-devices.js';

/** A ring that passes descriptors between an AF_XDP socket and its process (net/xdp/xsk_queue.h). */
export interface XdpRing {
  /** Address of its memory, in the direct map or the vmalloc address space. */
  readonly memory: bigint;
  /** Size of vmalloc'ed memory in bytes; undefined if the memory is one page allocation. */
  readonly vmalloced: number | undefined;
}

/**
 * Maximum size of an entry: `struct xdp_desc`; rings of addresses have 8 bytes per entry
 * (include/uapi/linux/if_xdp.h).
 */
const MOST_ENTRY_BYTES = 16;

/** Maximum size of the header before the entries: two indices and flags, each in separate cache lines. */
const MOST_HEADER_BYTES = 4096;

/**
 * Rings of all AF_XDP sockets, each once (net/xdp/xsk.c): the two of a socket; the two of the buffer pool
 * that it is bound to, which other sockets may share; and before it is bound, those that it will contribute.
 * Since 6.3 they are vmalloc'ed. Empty if the kernel has no AF_XDP.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link TornList}; {@link ReadError}
 */
export function* xdpRings(kernel: Kernel): Generator<XdpRing> {
  const sockets = kernel.struct('net')?.member('xdp.list');
  if (!sockets) return;
  let reader: XdpRingReader | undefined;
  const seen = new Set<bigint>();
  for (const namespace of netNamespaces(kernel)) {
    for (const node of hlistNodes(kernel, namespace + BigInt(sockets.offset))) {
      reader ??= new XdpRingReader(kernel);
      for (const queue of reader.ofNode(node)) {
        if (queue === 0n || seen.has(queue)) continue;
        seen.add(queue);
        yield reader.ring(queue);
      }
    }
  }
}

class XdpRingReader {
  readonly #kernel: Kernel;
  readonly #node;
  readonly #sock;
  readonly #pool;
  readonly #queue;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#node = new StructReader(kernel, 'sock', ['__sk_common.skc_node']);
    this.#sock = new StructReader(kernel, 'xdp_sock', ['rx', 'tx', 'pool', 'fq_tmp', 'cq_tmp']);
    this.#pool = new StructReader(kernel, 'xsk_buff_pool', ['fq', 'cq']);
    this.#queue = new StructReader(kernel, 'xsk_queue', ['nentries', 'ring']);
  }

  /**
   * Addresses of the `struct xsk_queue`s of a socket, by its node in the namespace's list; 0n for a missing
   * one.
   */
  *ofNode(node: bigint): Generator<bigint> {
    const view = this.#sock.read(this.#node.containerOf(node, '__sk_common.skc_node'));
    for (const name of ['rx', 'tx', 'fq_tmp', 'cq_tmp'] as const) yield view.pointer(name);
    const pool = view.pointer('pool');
    if (pool === 0n) return;
    const shared = this.#pool.read(pool);
    yield shared.pointer('fq');
    yield shared.pointer('cq');
  }

  ring(queue: bigint): XdpRing {
    const view = this.#queue.read(queue);
    const memory = view.pointer('ring');
    const size = StructReader.ifPresent(this.#kernel, 'xsk_queue', ['ring_vmalloc_size']);
    if (!size || this.#kernel.pages.pageOf(memory) !== undefined)
      return { memory, vmalloced: undefined };
    const bytes = size.read(queue).number('ring_vmalloc_size');
    const entries = view.number('nentries');
    const most = entries * MOST_ENTRY_BYTES + MOST_HEADER_BYTES + this.#kernel.facts.pageSize;
    if (bytes > most) {
      throw damaged(`the ring at ${hex(memory)} would have ${bytes} bytes for ${entries} entries`);
    }
    return { memory, vmalloced: bytes };
  }
}
