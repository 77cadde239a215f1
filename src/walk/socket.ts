import type { Kernel } from '../kernel/kernel.js';
import { StructReader } from './struct-reader.js';

/** A socket and what identifies it. */
export interface Socket {
  /** Address of its `struct file`. */
  readonly file: bigint;
  /** Address of its `struct sock`. */
  readonly sock: bigint;
  /** Its inode's number, as /proc/PID/fd and `ss -e` show it. */
  readonly inode: number;
}

/** `s_magic` of the file system that every socket's inode lives in (include/uapi/linux/magic.h). */
const SOCKFS_MAGIC = 0x534f434bn;

/**
 * Tells which files are sockets, and finds their `struct sock`.
 *
 * A file is a socket if its superblock is sockfs: that holds also on kernels whose kallsyms lacks
 * data symbols such as `socket_file_ops`.
 */
export class SocketFinder {
  readonly #file;
  readonly #inode;
  readonly #superBlock;
  readonly #socket;
  readonly #isSockfs = new Map<bigint, boolean>();

  constructor(kernel: Kernel) {
    this.#file = new StructReader(kernel, 'file', ['f_inode', 'private_data']);
    this.#inode = new StructReader(kernel, 'inode', ['i_sb', 'i_ino']);
    this.#superBlock = new StructReader(kernel, 'super_block', ['s_magic']);
    this.#socket = new StructReader(kernel, 'socket', ['sk', 'file']);
  }

  /**
   * The socket behind an open file, or undefined if the file is something else, or a socket whose
   * `sock` is gone already.
   *
   * @throws {ReadError} if the file, its inode or its socket cannot be read.
   */
  find(file: bigint): Socket | undefined {
    const view = this.#file.read(file);
    const inode = this.#inode.read(view.pointer('f_inode'));
    if (!this.#sockfs(inode.pointer('i_sb'))) return undefined;
    const sock = this.#socket.read(view.pointer('private_data')).pointer('sk');
    if (sock === 0n) return undefined;
    return { file, sock, inode: inode.number('i_ino') };
  }

  #sockfs(superBlock: bigint): boolean {
    let known = this.#isSockfs.get(superBlock);
    if (known === undefined) {
      known = this.#superBlock.read(superBlock).pointer('s_magic') === SOCKFS_MAGIC;
      this.#isSockfs.set(superBlock, known);
    }
    return known;
  }
}
