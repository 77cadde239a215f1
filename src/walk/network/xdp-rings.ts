import { KernelError } from '../../base/errors/kernel.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { hlistNodes } from '../list.js';
import { pointerPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { netNamespaces } from './net-namespaces.js';

/** A ring through which an AF_XDP socket and its process pass descriptors (net/xdp/xsk_queue.h). */
export interface XdpRing {
  /** Address of its memory, in the direct map or vmalloc'ed. */
  readonly memory: bigint;
  /** Bytes of that where it is vmalloc'ed; undefined where it is one allocation of pages. */
  readonly vmalloced: number | undefined;
}

/** `struct xdp_desc`; the rings of addresses have 8 bytes an entry (include/uapi/linux/if_xdp.h). */
const MOST_ENTRY_BYTES = 16;

/** Before the entries come two indices and flags, each in cache lines of its own. */
const MOST_HEADER_BYTES = 4096;

/**
 * The rings of all AF_XDP sockets, each once: a socket's own two, those of what it is bound to, which
 * others can be as well, and before it is bound those that it will bring (net/xdp/xsk.c). Since 6.3
 * they are vmalloc'ed. None where the kernel has no AF_XDP.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link TornList};
 *   {@link ReadError}
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
  readonly #node: bigint;
  readonly #sock;
  readonly #pool;
  readonly #queue;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    const node = new StructReader(kernel, 'sock', ['__sk_common.skc_node']);
    this.#node = BigInt(node.offset('__sk_common.skc_node'));
    this.#sock = new StructReader(kernel, 'xdp_sock', ['rx', 'tx', 'pool', 'fq_tmp', 'cq_tmp']);
    this.#pool = new StructReader(kernel, 'xsk_buff_pool', ['fq', 'cq']);
    this.#queue = new StructReader(kernel, 'xsk_queue', ['nentries', 'ring']);
  }

  /** Addresses of the `struct xsk_queue`s of a socket in the list of its namespace; 0n for none. */
  *ofNode(node: bigint): Generator<bigint> {
    const view = this.#sock.read(node - this.#node);
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
    const size = this.#kernel.struct('xsk_queue')?.member('ring_vmalloc_size');
    if (!size || this.#kernel.pages.pageOf(memory) !== undefined)
      return { memory, vmalloced: undefined };
    const at = queue + BigInt(size.offset);
    const bytes = Number(pointerPartOf(this.#kernel, 'struct xsk_queue', queue, at));
    const entries = view.number('nentries');
    const most = entries * MOST_ENTRY_BYTES + MOST_HEADER_BYTES + this.#kernel.facts.pageSize;
    if (bytes > most) {
      const message = `the ring at ${hex(memory)} would have ${bytes} bytes for ${entries} entries`;
      throw new KernelError('damaged', message);
    }
    return { memory, vmalloced: bytes };
  }
}
