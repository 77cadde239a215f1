import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';

/** A protocol that sockets can be of: a `struct proto`. */
export interface Protocol {
  readonly address: bigint;
  /** `TCP`, `TCPv6`, `UNIX-STREAM` …; hostile. */
  readonly name: string;
  /** Its slab cache, which it may share with others; 0n: its socks come from kmalloc. */
  readonly cache: bigint;
}

/**
 * Every protocol the kernel has registered (net/core/sock.c, `proto_list`).
 *
 * @throws {KernelError} `no-symbols`; {@link TornList}, {@link ReadError}
 */
export function protocols(kernel: Kernel): Protocol[] {
  const head = kernel.symbol('proto_list');
  if (head === undefined) {
    throw new KernelError('no-symbols', 'protocols are unknown (no symbol proto_list)');
  }
  const reader = new StructReader(kernel, 'proto', ['name', 'slab', 'node']);
  const offset = BigInt(reader.offset('node'));
  return Array.from(listNodes(kernel, head), (node) => {
    const proto = reader.read(node - offset);
    return { address: node - offset, name: proto.text('name'), cache: proto.pointer('slab') };
  });
}
