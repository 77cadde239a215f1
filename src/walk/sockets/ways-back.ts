import type { Kernel } from '../../kernel/kernel.js';
import { readOrNot } from '../read-or-not.js';
import { StructReader } from '../struct-reader.js';
import type { Protocol } from './protocols.js';

/**
 * Ways from a sock back to its socket (`sock.sk_socket`), seen from a socket's inode. The kernel's own
 * sockets have no file, and some of them a sock without a slab of its own: these two pointers are then
 * all that leads to it.
 */
export class WaysBack {
  readonly #sock;
  readonly #references: StructReader<'vfs_inode.i_count.counter'> | undefined;
  /** Protocols each of whose socks keeps the socket that it was made with. */
  readonly #keeping: ReadonlySet<bigint>;

  /** @param inode the type of a socket's inode */
  constructor(kernel: Kernel, inode: string, registered: readonly Protocol[]) {
    this.#sock = new StructReader(kernel, 'sock', ['sk_socket', '__sk_common.skc_prot']);
    this.#references = kernel.struct(inode)?.member('vfs_inode.i_count.counter')
      ? new StructReader(kernel, inode, ['vfs_inode.i_count.counter'])
      : undefined;
    // MPTCP gives the socks of its subflows to another socket, and leaves their first ones as they are.
    const keeping = registered.filter(({ name }) => !/^(?:MP)?TCP/.test(name));
    this.#keeping = new Set(keeping.map(({ address }) => address));
  }

  /** @throws {ReadError} */
  of(sock: bigint): bigint {
    return this.#sock.read(sock).pointer('sk_socket');
  }

  /** Whether there is a sock that names this socket. */
  isNamedBy(sock: bigint, socket: bigint): boolean {
    return readOrNot(() => this.of(sock) === socket) ?? false;
  }

  /** Whether the sock of a socket that is in use has to name that socket. */
  mustLead(inode: bigint, sock: bigint): boolean {
    const references = readOrNot(() => this.#references?.read(inode));
    // What was freed stays as it was.
    if (references?.number('vfs_inode.i_count.counter') === 0) return false;
    const protocol = readOrNot(() => this.#sock.read(sock).pointer('__sk_common.skc_prot'));
    // A sock has had a protocol from the moment it was made.
    return protocol === 0n || (protocol !== undefined && this.#keeping.has(protocol));
  }
}
