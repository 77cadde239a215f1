import { KernelError, ReadError } from '../../base/errors/kernel.js';
import { WalkError } from '../../base/errors/walk.js';
import { hex } from '../../base/hex.js';
import type { Kernel } from '../../kernel/kernel.js';
import { PageReader } from '../pages/pages.js';
import { SlabScan } from '../pages/slab-scan.js';
import { StructReader, type StructView } from '../struct-reader.js';
import { Warnings } from '../warnings.js';
import { ProtocolCopies } from './protocol-copies.js';
import { protocols } from './protocols.js';
import { AF_SMC, FAMILIES, miniSock } from './sock-words.js';

/** A socket and what identifies it. */
export interface Socket {
  /** Address of its `struct file`. */
  readonly file: bigint;
  /** Address of its `struct sock`. */
  readonly sock: bigint;
  /** References to its file: descriptors (those of one table once), messages, system calls. */
  readonly fileReferences: number;
  /**
   * Its inode's number, as /proc/PID/fd and `ss -e` show it; 0: it has no `struct socket` of its own;
   * null: the dump lacks that.
   */
  readonly inode: number | null;
}

/** `s_magic` of the file system that every socket's inode lives in (include/uapi/linux/magic.h). */
const SOCKFS_MAGIC = 0x534f434bn;

/** Tells which files are sockets, and finds their `struct sock`. */
export class SocketFinder {
  readonly #isSocket: (file: bigint) => boolean;
  readonly #file;
  readonly #inode;
  readonly #socket;
  readonly #sock;
  readonly #toInode: bigint | undefined;
  readonly #references: (file: bigint) => number;
  readonly #kernel: Kernel;
  #bySocket: ReadonlyMap<bigint, bigint> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#file = new StructReader(kernel, 'file', ['f_inode', 'f_op', 'private_data']);
    this.#inode = new StructReader(kernel, 'inode', ['i_ino']);
    this.#socket = new StructReader(kernel, 'socket', ['sk', 'ops']);
    this.#sock = new StructReader(kernel, 'sock', ['sk_socket', '__sk_common.skc_family']);
    this.#toInode = toInode(kernel);
    this.#references = referenceCounter(kernel);
    const operations = kernel.symbol('socket_file_ops');
    this.#isSocket =
      operations === undefined
        ? inSockfs(kernel)
        : (file) => this.#file.read(file).pointer('f_op') === operations;
  }

  /**
   * The socket behind an open file, or undefined if the file is something else, or a socket whose
   * `sock` is gone already.
   *
   * @throws {ReadError} if the file, its inode or its socket cannot be read; {@link KernelError}
   *   `damaged` where these do not belong together.
   */
  find(file: bigint): Socket | undefined {
    const isSocket = this.#isSocket(file);
    const view = this.#file.read(file);
    const socket = view.pointer('private_data');
    const inode = view.pointer('f_inode');
    // A socket and its inode are one object (struct socket_alloc in include/net/sock.h).
    if (view.pointer('f_op') >> 56n !== 0xffn) {
      throw damaged(`file ${hex(file)} is not a socket (f_op ${hex(view.pointer('f_op'))})`);
    }
    const together = this.#toInode === undefined || inode === socket + this.#toInode;
    if (!isSocket) {
      if (this.#toInode === undefined || !together) return undefined;
      throw damaged(
        `file ${hex(file)} has a socket inode, but its operations are not those of sockets`,
      );
    }
    if (!together && !this.#isFallback(inode)) {
      throw damaged(`file ${hex(file)} has socket ${hex(socket)}, but the inode ${hex(inode)}`);
    }
    const held = this.#heldBy(file, socket);
    if ('sock' in held) return held;
    const sock = held.pointer('sk');
    if (sock === 0n) {
      // One that a live kernel closes meanwhile; a dump's files are open.
      if (held.pointer('ops') === 0n && this.#kernel.facts.live) return undefined;
      throw damaged(`socket ${hex(socket)} has no sock, but its file ${hex(file)} is open`);
    }
    const back = this.#sock.read(sock).pointer('sk_socket');
    if (back !== socket) {
      throw damaged(
        `socket ${hex(socket)} has sock ${hex(sock)}, but that points to socket ${hex(back)}`,
      );
    }
    const number = this.#inode.read(inode).number('i_ino');
    // get_next_ino (fs/inode.c) gives numbers of 32 bits, and never 0.
    if (number > MOST_INODE || (number === 0 && !this.#kernel.facts.live))
      throw damaged(`inode ${hex(inode)} has an invalid number (${number})`);
    const fileReferences = this.#references(file);
    if (!isInUse(fileReferences) && !this.#kernel.facts.live) {
      throw damaged(`file ${hex(file)} counts ${fileReferences} references`);
    }
    return { file, sock, fileReferences, inode: number };
  }

  /** References to any open file: descriptors (those of one table once), mappings, system calls. */
  references(file: bigint): number {
    return this.#references(file);
  }

  /**
   * The `struct socket`; or, where a filter left it out of the dump, the socket as its sock tells of
   * it, which points back: without an inode's number, which lay in the same object.
   */
  #heldBy(file: bigint, socket: bigint): StructView<'sk' | 'ops'> | Socket {
    try {
      return this.#socket.read(socket);
    } catch (error) {
      if (!(error instanceof ReadError) || this.#kernel.facts.live) throw error;
      this.#bySocket ??= socksBySocket(this.#kernel);
      const sock = this.#bySocket.get(socket);
      if (sock === undefined) throw error;
      return { file, sock, fileReferences: this.#references(file), inode: null };
    }
  }

  /** An SMC socket that fell back to TCP: its file has the TCP socket, and the inode is its own. */
  #isFallback(inode: bigint): boolean {
    const own = this.#socket.read(inode - (this.#toInode ?? 0n)).pointer('sk');
    return this.#sock.read(own).number('__sk_common.skc_family') === AF_SMC;
  }
}

/**
 * The socket of a sock: one that waits to be accepted, or was closed, has neither file nor inode.
 *
 * @throws {WalkError} `not-a-socket` if what is at the address is of no protocol that the kernel has,
 *   was freed, or only begins like a sock; {@link ReadError}, {@link KernelError} as
 *   {@link SocketFinder.find}
 */
export function socketOfSock(kernel: Kernel, sock: bigint): Socket {
  const view = new StructReader(kernel, 'sock', [
    '__sk_common.skc_prot',
    '__sk_common.skc_family',
    '__sk_common.skc_state',
    'sk_socket',
  ]).read(sock);
  const is = (what: string) => new WalkError('not-a-socket', `${hex(sock)} is ${what}`);
  if (!hasProtocol(kernel, sock, view.pointer('__sk_common.skc_prot'))) throw is('no sock');
  const family = FAMILIES[view.number('__sk_common.skc_family')] ?? '';
  const mini = miniSock(family, view.number('__sk_common.skc_state'));
  if (mini !== undefined) throw is(`${mini}, which has no queues`);
  const none = { file: 0n, sock, fileReferences: 0 };
  const at = view.pointer('sk_socket');
  if (at === 0n) {
    // The allocator leaves most of a freed object as it was.
    const common = new StructReader(kernel, 'sock', ['__sk_common.skc_refcnt']).read(sock);
    if (common.number('__sk_common.skc_refcnt') === 0) throw is('a sock that was freed');
    return { ...none, inode: 0 };
  }
  const socket = new SocketStructs(kernel).readOrNot(at);
  if (socket === undefined) return { ...none, inode: null };
  // A subflow of MPTCP's is part of the connection's socket, which has another sock.
  if (socket.sock !== sock) return { ...none, inode: 0 };
  const found = socket.file === 0n ? undefined : new SocketFinder(kernel).find(socket.file);
  return found?.sock === sock ? found : { ...none, inode: socket.inode };
}

/** Registered, or a copy of one that is and came from the same slab cache. */
function hasProtocol(kernel: Kernel, sock: bigint, protocol: bigint): boolean {
  if (protocols(kernel).some(({ address }) => address === protocol)) return true;
  const page = kernel.pages.pageOf(sock);
  if (page === undefined) return false;
  const block = new PageReader(kernel).block(page);
  return (
    block.kind === 'slab' && new ProtocolCopies(kernel).usesCache(protocol, block.cache.address)
  );
}

/** Its sock, its file, and its inode's number; null: not known. */
interface SocketFields {
  readonly sock: bigint;
  readonly file: bigint;
  readonly inode: number | null;
}

/** Reads what a `struct socket` tells of itself. */
export class SocketStructs {
  readonly #kernel: Kernel;
  readonly #socket;
  readonly #inode;
  readonly #toInode: bigint | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#socket = new StructReader(kernel, 'socket', ['sk', 'file']);
    this.#inode = new StructReader(kernel, 'inode', ['i_ino']);
    this.#toInode = toInode(kernel);
  }

  /** @throws {ReadError} */
  read(socket: bigint): SocketFields {
    const view = this.#socket.read(socket);
    const number =
      this.#toInode === undefined ? null : this.#inode.read(socket + this.#toInode).number('i_ino');
    return {
      sock: view.pointer('sk'),
      file: view.pointer('file'),
      inode: number !== null && number > MOST_INODE ? null : number,
    };
  }

  /**
   * The same; undefined where the dump lacks it.
   *
   * @throws {ReadError} if a live kernel's cannot be read
   */
  readOrNot(socket: bigint): SocketFields | undefined {
    try {
      return this.read(socket);
    } catch (error) {
      if (!(error instanceof ReadError) || this.#kernel.facts.live) throw error;
      return undefined;
    }
  }
}

/** Bytes from a `struct socket` to its inode, or undefined where the types don't tell. */
function toInode(kernel: Kernel): bigint | undefined {
  const both = kernel.struct('socket_alloc');
  const [inode, socket] = [both?.member('vfs_inode'), both?.member('socket')];
  return inode && socket && BigInt(inode.offset - socket.offset);
}

/** Socks in use by the `struct socket` they point at: through the slabs, so that none is needed. */
function socksBySocket(kernel: Kernel): Map<bigint, bigint> {
  const found = new Map<bigint, bigint>();
  const sock = new StructReader(kernel, 'sock', ['sk_socket', '__sk_common.skc_refcnt']);
  const caches = new Set(protocols(kernel).map(({ cache }) => cache));
  caches.delete(0n);
  for (const { object } of new SlabScan(kernel, new Warnings()).slots(caches)) {
    try {
      const view = sock.read(object);
      const socket = view.pointer('sk_socket');
      if (socket !== 0n && view.number('__sk_common.skc_refcnt') > 0) found.set(socket, object);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
    }
  }
  return found;
}

/** Whether so many references are those of an open file: each takes a pointer, and memory ends. */
export function isInUse(references: number): boolean {
  return references >= 1 && references < 2 ** 40;
}

/** Sockets get their numbers from get_next_ino (fs/inode.c), which counts in 32 bits. */
export const MOST_INODE = 2 ** 32 - 1;

function damaged(message: string): KernelError {
  return new KernelError('damaged', message);
}

/** For kernels whose kallsyms lacks data symbols: a file is a socket if its superblock is sockfs. */
function inSockfs(kernel: Kernel): (file: bigint) => boolean {
  const file = new StructReader(kernel, 'file', ['f_inode']);
  const inode = new StructReader(kernel, 'inode', ['i_sb']);
  const superBlock = new StructReader(kernel, 'super_block', ['s_magic']);
  const known = new Map<bigint, boolean>();
  return (address) => {
    const block = inode.read(file.read(address).pointer('f_inode')).pointer('i_sb');
    let sockfs = known.get(block);
    if (sockfs === undefined) {
      sockfs = superBlock.read(block).pointer('s_magic') === SOCKFS_MAGIC;
      known.set(block, sockfs);
    }
    return sockfs;
  };
}

/**
 * `f_count`, or since 6.13 `f_ref`, which counts from 0 for one reference (include/linux/file_ref.h).
 */
function referenceCounter(kernel: Kernel): (file: bigint) => number {
  const layout = kernel.struct('file');
  if (layout?.member('f_ref.refcnt.counter')) {
    const reader = new StructReader(kernel, 'file', ['f_ref.refcnt.counter']);
    return (file) => reader.read(file).number('f_ref.refcnt.counter') + 1;
  }
  const reader = new StructReader(kernel, 'file', ['f_count.counter']);
  return (file) => reader.read(file).number('f_count.counter');
}
