import { damaged, ReadError, WalkError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import { PageReader } from '../pages/pages.js';
import { SlabScan } from '../pages/slab-scan.js';
import { StructReader, type StructView } from '../struct-reader.js';
import { Warnings } from '../warnings.js';
import { AF_SMC, FAMILIES, miniSock, ProtocolCopies, protocols } from './sock-words.js';

/** A socket and its identity. */
export interface Socket {
  /** Address of its `struct file`. */
  readonly file: bigint;
  /** Address of its `struct sock`. */
  readonly sock: bigint;
  /** References to its file: descriptors (once per descriptor table), messages, system calls. */
  readonly fileReferences: number;
  /**
   * Inode number, as shown by /proc/PID/fd and `ss -e`; 0: it has no `struct socket` of its own; null: the
   * dump lacks it.
   */
  readonly inode: number | null;
}

/** `s_magic` of the file system of every socket inode (include/uapi/linux/magic.h). */
const SOCKFS_MAGIC = 0x534f434bn;

/** Determines which files are sockets, and finds their `struct sock`. */
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
      operations === undefined ? inSockfs(kernel) : (file) => this.#file.read(file).pointer('f_op') === operations;
  }

  /**
   * Returns the socket of an open file; undefined if the file is something else, or a socket whose `sock` was
   * already released.
   *
   * @throws {ReadError} if the file, its inode or its socket cannot be read; {@link KernelError} `damaged` if
   * they are inconsistent.
   */
  find(file: bigint): Socket | undefined {
    const isSocket = this.#isSocket(file);
    const view = this.#file.read(file);
    const socket = view.pointer('private_data');
    const inode = view.pointer('f_inode');
    // A socket and its inode are in one object (struct socket_alloc in include/net/sock.h).
    if (view.pointer('f_op') >> 56n !== 0xffn) {
      throw damaged(`file ${hex(file)} is not a socket (f_op ${hex(view.pointer('f_op'))})`);
    }
    const together = this.#toInode === undefined || inode === socket + this.#toInode;
    if (!isSocket) {
      if (this.#toInode === undefined || !together) return undefined;
      throw damaged(`file ${hex(file)} has a socket inode, but its operations are not those of sockets`);
    }
    if (!together && !this.#isFallback(inode)) {
      throw damaged(`file ${hex(file)} has socket ${hex(socket)}, but the inode ${hex(inode)}`);
    }
    const held = this.#heldBy(file, socket);
    if ('sock' in held) return held;
    const sock = held.pointer('sk');
    if (sock === 0n) {
      // A live kernel is closing the socket; files in a dump are open.
      if (held.pointer('ops') === 0n && this.#kernel.facts.live) return undefined;
      throw damaged(`socket ${hex(socket)} has no sock, but its file ${hex(file)} is open`);
    }
    const back = this.#sock.read(sock).pointer('sk_socket');
    if (back !== socket) {
      throw damaged(`socket ${hex(socket)} has sock ${hex(sock)}, but that points to socket ${hex(back)}`);
    }
    const number = this.#inode.read(inode).number('i_ino');
    // get_next_ino (fs/inode.c) returns 32-bit numbers, never 0.
    if (number > MAX_INODE || (number === 0 && !this.#kernel.facts.live))
      throw damaged(`inode ${hex(inode)} has an invalid number (${number})`);
    const fileReferences = this.#references(file);
    if (!isInUse(fileReferences) && !this.#kernel.facts.live) {
      throw damaged(`file ${hex(file)} counts ${fileReferences} references`);
    }
    return { file, sock, fileReferences, inode: number };
  }

  /**
   * Number of references to any open file: descriptors (once per descriptor table), mappings, system calls.
   */
  references(file: bigint): number {
    return this.#references(file);
  }

  /**
   * Returns the `struct socket`. If a filter removed it from the dump, returns the socket found by its sock,
   * without an inode number, because the inode was in the same object.
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

  /**
   * Whether this is an SMC socket that fell back to TCP: its file points to the TCP socket, but the inode is
   * its own.
   */
  #isFallback(inode: bigint): boolean {
    const own = this.#socket.read(inode - (this.#toInode ?? 0n)).pointer('sk');
    return this.#sock.read(own).number('__sk_common.skc_family') === AF_SMC;
  }
}

/**
 * Returns the socket of a sock; one that is not accepted yet, or was closed, has neither file nor inode.
 *
 * @throws {WalkError} `not-a-socket` if the object at the address has no protocol of this kernel, was freed,
 * or only begins like a sock; {@link ReadError}, {@link KernelError} as {@link SocketFinder.find}
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
    // The allocator leaves most of a freed object unchanged.
    const common = new StructReader(kernel, 'sock', ['__sk_common.skc_refcnt']).read(sock);
    if (common.number('__sk_common.skc_refcnt') === 0) throw is('a sock that was freed');
    return { ...none, inode: 0 };
  }
  const socket = new SocketStructs(kernel).readOrNot(at);
  if (socket === undefined) return { ...none, inode: null };
  // An MPTCP subflow is part of the connection's socket, which has another sock.
  if (socket.sock !== sock) return { ...none, inode: 0 };
  const ofFile = socket.file === 0n ? undefined : new SocketFinder(kernel).find(socket.file);
  return ofFile?.sock === sock ? ofFile : { ...none, inode: socket.inode };
}

/** Whether a protocol is registered, or is a copy from the same slab cache as a registered one. */
function hasProtocol(kernel: Kernel, sock: bigint, protocol: bigint): boolean {
  if (protocols(kernel).some(({ address }) => address === protocol)) return true;
  const page = kernel.pages.pageOf(sock);
  if (page === undefined) return false;
  const block = new PageReader(kernel).block(page);
  return block.kind === 'slab' && new ProtocolCopies(kernel).usesCache(protocol, block.cache.address);
}

/** Sock, file and inode number of a socket; null: unknown. */
interface SocketFields {
  readonly sock: bigint;
  readonly file: bigint;
  readonly inode: number | null;
}

/** Reads a `struct socket`. */
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

  read(socket: bigint): SocketFields {
    const view = this.#socket.read(socket);
    const number = this.#toInode === undefined ? null : this.#inode.read(socket + this.#toInode).number('i_ino');
    return {
      sock: view.pointer('sk'),
      file: view.pointer('file'),
      inode: number !== null && number > MAX_INODE ? null : number,
    };
  }

  /**
   * Reads a `struct socket`; undefined if the dump lacks it.
   *
   * @throws {ReadError} if a live kernel's socket cannot be read
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

/** Returns the offset from a `struct socket` to its inode; undefined if the types lack it. */
function toInode(kernel: Kernel): bigint | undefined {
  const both = kernel.struct('socket_alloc');
  const [inode, socket] = [both?.member('vfs_inode'), both?.member('socket')];
  return inode && socket && BigInt(inode.offset - socket.offset);
}

/**
 * Returns the socks in use by the address of their `struct socket`; scans the slabs, so the `struct socket`
 * itself is not needed.
 */
function socksBySocket(kernel: Kernel): Map<bigint, bigint> {
  const socks = new Map<bigint, bigint>();
  const sock = new StructReader(kernel, 'sock', ['sk_socket', '__sk_common.skc_refcnt']);
  const caches = new Set(protocols(kernel).map(({ cache }) => cache));
  caches.delete(0n);
  for (const { object } of new SlabScan(kernel, new Warnings()).slots(caches)) {
    try {
      const view = sock.read(object);
      const socket = view.pointer('sk_socket');
      if (socket !== 0n && view.number('__sk_common.skc_refcnt') > 0) socks.set(socket, object);
    } catch (error) {
      if (!(error instanceof ReadError)) throw error;
    }
  }
  return socks;
}

/**
 * Whether this can be the reference count of an open file: each reference takes a pointer, and memory is
 * finite.
 */
export function isInUse(references: number): boolean {
  return references >= 1 && references < 2 ** 40;
}

/** Maximum inode number of a socket: get_next_ino (fs/inode.c) counts in 32 bits. */
export const MAX_INODE = 2 ** 32 - 1;

/**
 * Returns a test for kernels whose kallsyms lacks data symbols: a file is a socket if its superblock is
 * sockfs.
 */
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
 * Returns a reader of `f_count`, or since 6.13 of `f_ref`, where 0 means one reference
 * (include/linux/file_ref.h).
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
