import { KernelError, ReadError } from '../kernel/error.js';
import type { Kernel } from '../kernel/kernel.js';
import { type Belongings, belongings, type Holder, openDescriptors } from './descriptors.js';
import { incompleteness } from './incompleteness.js';
import { RingReader } from './io-uring.js';
import { MappingReader } from './mappings.js';
import { pointerPartOf } from './named-read.js';
import { ProtocolCopies } from './protocol-copies.js';
import { type Protocol, protocols } from './protocols.js';
import { type PageLook, SlabScan } from './slab-scan.js';
import { MOST_INODE, type Socket, SocketFinder, SocketStructs } from './socket.js';
import { SocketLinks } from './socket-links.js';
import { StructReader } from './struct-reader.js';
import type { Task } from './tasks.js';
import type { Warnings } from './warnings.js';

/** How a socket was found. */
export type FoundBy = 'fd' | 'slab' | 'accept' | 'scm' | 'io_uring' | 'mptcp';

/** A ring of io_uring with which a socket's file is registered. */
export interface Ring {
  readonly holders: readonly Holder[];
  /** Processes that map the ring, once a mapping. */
  readonly mappedBy: readonly Task[];
  /** References to the ring's file: descriptors, mappings, system calls. */
  readonly fileReferences: number;
  /** The ring's own sock, whose messages are how it keeps files. */
  readonly sock: bigint | undefined;
}

/** A socket of the machine, how it was found and who keeps it. */
export interface CountedSocket {
  /** Address of its `struct sock`. */
  readonly sock: bigint;
  /** Address of its `struct file`; 0n: it has none. */
  readonly file: bigint;
  /** References to that file. */
  readonly fileReferences: number;
  /**
   * Number of its inode; 0: it has no `struct socket` of its own, since it waits to be accepted, is
   * closed or is part of another; null: the dump lacks that.
   */
  readonly inode: number | null;
  readonly foundBy: readonly FoundBy[];
  readonly holders: readonly Holder[];
  /** Processes that map its file, once a mapping. */
  readonly mappedBy: readonly Task[];
  /** The listener in whose accept queue it waits. */
  readonly acceptedFrom: bigint | undefined;
  /** The MPTCP connection that it is a subflow of. */
  readonly subflowOf: bigint | undefined;
  /** The sockets in whose queues messages wait that carry its file (SCM_RIGHTS), once a message. */
  readonly carriedBy: readonly bigint[];
  /** The rings with which its file is registered, once a slot. */
  readonly registeredWith: readonly Ring[];
}

interface Found {
  file: bigint;
  fileReferences: number;
  /** Undefined: not known yet. */
  inode: number | null | undefined;
  acceptedFrom: bigint | undefined;
  subflowOf: bigint | undefined;
  readonly by: Set<FoundBy>;
  readonly holders: Holder[];
  readonly mappedBy: Task[];
  readonly carriedBy: bigint[];
  readonly registeredWith: Ring[];
}

/**
 * What SLUB's debugging (slub_debug=P) leaves in objects never used, and in freed ones: POISON_INUSE,
 * POISON_FREE (include/linux/poison.h).
 */
const POISON: readonly bigint[] = [0x5a5a_5a5a_5a5a_5a5an, 0x6b6b_6b6b_6b6b_6b6bn];

/**
 * Finds every socket: through the descriptors of every process; through the slabs of sockets and of
 * each protocol's socks, so that those without a descriptor are there; through the accept queues of
 * listeners; through messages that carry files (SCM_RIGHTS), also where those are nested; and
 * through io_uring's tables of files.
 *
 * A part that cannot be read is a warning, and the other parts stand.
 */
export class Census {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #found = new Map<bigint, Found>();
  #mappingReader: MappingReader | undefined;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
  }

  /**
   * @param progress told now and then which part of the slabs is done, 0 to 1
   * @param look sees every page frame on the way
   */
  take(progress?: (part: number) => void, look?: PageLook): CountedSocket[] {
    const owned = belongings(this.#kernel, this.#warnings);
    this.#part('descriptors', () => this.#descriptors(owned));
    this.#part('slabs', () => this.#slabs(progress, look));
    return this.#follow(owned);
  }

  /**
   * Only those that a descriptor leads to, through accept queues and messages too: no slab is
   * searched, so that some that nothing keeps but each other may be missing.
   */
  takeReachable(): CountedSocket[] {
    const owned = belongings(this.#kernel, this.#warnings);
    this.#part('descriptors', () => this.#descriptors(owned));
    return this.#follow(owned);
  }

  #follow(owned: Belongings): CountedSocket[] {
    this.#part('accept queues and messages', () => this.#links());
    this.#part('what they say of themselves', () => this.#own());
    this.#part('mappings', () => this.#mappings(owned));
    return [...this.#found].map(([sock, { by, inode, ...found }]) => ({
      sock,
      foundBy: [...by],
      inode: inode ?? null,
      ...found,
    }));
  }

  #part(name: string, find: () => void): void {
    try {
      find();
    } catch (error) {
      const code = incompleteness(error);
      this.#warnings.add(code, `sockets found by ${name}: ${(error as Error).message}`);
    }
  }

  #note(sock: bigint, by: FoundBy): Found {
    const found = this.#found.get(sock) ?? {
      file: 0n,
      fileReferences: 0,
      inode: undefined,
      acceptedFrom: undefined,
      subflowOf: undefined,
      by: new Set<FoundBy>(),
      holders: [],
      mappedBy: [],
      carriedBy: [],
      registeredWith: [],
    };
    this.#found.set(sock, found);
    found.by.add(by);
    return found;
  }

  #descriptors(owned: Belongings): void {
    const finder = new SocketFinder(this.#kernel);
    const rings = new RingReader(this.#kernel);
    for (const [file, holders] of openDescriptors(this.#kernel, owned, this.#warnings)) {
      try {
        const socket = this.#settled(() => finder.find(file));
        if (socket) this.#noteFile(socket, 'fd').holders.push(...holders);
        else this.#ring(file, holders, rings, finder, owned);
      } catch (error) {
        const who = holders.map(({ task, fd }) => `pid ${task.pid} fd ${fd}`).join(', ');
        this.#warnings.add(incompleteness(error), `${who}: ${(error as Error).message}`);
      }
    }
  }

  /** On a live kernel, what does not agree may have changed between two reads: once more, then. */
  #settled<T>(read: () => T): T {
    const forget = this.#kernel.noteReads();
    try {
      return read();
    } catch (error) {
      if (!this.#kernel.facts.live) throw error;
      forget();
      return read();
    }
  }

  #noteFile(socket: Socket, by: FoundBy): Found {
    const found = this.#note(socket.sock, by);
    found.file = socket.file;
    found.fileReferences = socket.fileReferences;
    found.inode = socket.inode;
    return found;
  }

  /** Sockets that are registered with a ring, if the file is one. */
  #ring(
    file: bigint,
    holders: readonly Holder[],
    rings: RingReader,
    finder: SocketFinder,
    owned: Belongings,
  ): void {
    let registered: readonly bigint[] | undefined;
    try {
      registered = rings.registered(file);
    } catch (error) {
      if (!(error instanceof KernelError) || error.code !== 'unsupported-layout') throw error;
      this.#warnings.add(error.code, `files registered with io_uring: ${error.message}`);
    }
    if (!registered || registered.length === 0) return;
    const fileReferences = finder.references(file);
    const ring = {
      holders,
      mappedBy: fileReferences > holders.length ? this.#mappersOf(file, owned) : [],
      fileReferences,
      sock: rings.ownSock(file),
    };
    for (const one of registered) {
      const socket = finder.find(one);
      if (socket) this.#noteFile(socket, 'io_uring').registeredWith.push(ring);
    }
  }

  /**
   * Slots are taken for sockets by what is in them, in use or free: a free sock's reference count is
   * 0, and a closed socket has neither operations nor a sock that points back at it. Caches are
   * shared by what is alike in size, so a slot may hold something else altogether.
   */
  #slabs(progress?: (part: number) => void, look?: PageLook): void {
    const byCache = new Map<bigint, Protocol[]>();
    for (const protocol of protocols(this.#kernel)) {
      if (protocol.cache === 0n) continue;
      byCache.set(protocol.cache, [...(byCache.get(protocol.cache) ?? []), protocol]);
    }
    const inodes = this.#inodeCache();
    const caches = new Set(byCache.keys());
    if (inodes) caches.add(inodes.cache);
    const common = new StructReader(this.#kernel, 'sock_common', ['skc_refcnt', 'skc_prot']);
    const copies = new ProtocolCopies(this.#kernel);
    for (const { cache, object } of new SlabScan(this.#kernel, this.#warnings).slots(
      caches,
      progress,
      look,
    )) {
      try {
        if (cache === inodes?.cache) {
          inodes.look(object);
          continue;
        }
        const sock = common.read(object);
        const protocol = sock.pointer('skc_prot');
        if (sock.number('skc_refcnt') === 0) continue;
        const registered = byCache.get(cache)?.some(({ address }) => address === protocol);
        if (registered || copies.usesCache(protocol, cache)) {
          this.#note(object, 'slab');
        }
      } catch (error) {
        const message = `a slab slot at 0x${object.toString(16)}: ${(error as Error).message}`;
        this.#warnings.add(incompleteness(error), message);
      }
    }
  }

  /** Sockets by their inodes: finds those of protocols without a slab, and the kernel's own. */
  #inodeCache(): { cache: bigint; look: (object: bigint) => void } | undefined {
    const symbol = this.#kernel.symbol('sock_inode_cachep');
    if (symbol === undefined) return undefined;
    const cache = pointerPartOf(this.#kernel, 'sock_inode_cachep', symbol, symbol);
    // Since 7.x the socket_alloc lies inside a struct sockfs_inode.
    const type = this.#kernel.struct('sockfs_inode') ? 'sockfs_inode' : 'socket_alloc';
    const inode = new StructReader(this.#kernel, type, [
      ...(['socket.sk', 'socket.ops', 'socket.file', 'vfs_inode.i_ino', 'socket'] as const),
    ]);
    const sock = new StructReader(this.#kernel, 'sock', ['sk_socket']);
    const look = (object: bigint) => {
      const view = inode.read(object);
      const sk = view.pointer('socket.sk');
      if (sk === 0n || POISON.includes(sk) || view.pointer('socket.ops') === 0n) return;
      if (sock.read(sk).pointer('sk_socket') !== view.addressOf('socket')) return;
      const number = view.number('vfs_inode.i_ino');
      if (number > MOST_INODE) throw new KernelError('damaged', `inode number ${number}`);
      const found = this.#note(sk, 'slab');
      found.inode = number;
      if (found.file === 0n) found.file = view.pointer('socket.file');
    };
    return { cache, look };
  }

  /** Until nothing new turns up: what a message carries may have messages waiting itself. */
  #links(): void {
    const links = new SocketLinks(this.#kernel, this.#warnings);
    const finder = new SocketFinder(this.#kernel);
    const seen = new Set<bigint>();
    for (let waiting = [...this.#found.keys()]; waiting.length > 0; ) {
      for (const sock of waiting) {
        seen.add(sock);
        for (const child of links.accepting(sock)) this.#note(child, 'accept').acceptedFrom = sock;
        for (const one of links.subflows(sock)) this.#note(one, 'mptcp').subflowOf = sock;
        for (const file of links.carriedFiles(sock)) {
          const socket = finder.find(file);
          if (!socket) continue;
          const { registeredWith } = this.#found.get(socket.sock) ?? { registeredWith: [] };
          if (registeredWith.some((ring) => ring.sock === sock)) continue;
          this.#noteFile(socket, 'scm').carriedBy.push(sock);
        }
      }
      waiting = [...this.#found.keys()].filter((sock) => !seen.has(sock));
    }
  }

  /** Whether those that nothing else told of have a socket of their own, or none, or another's. */
  #own(): void {
    const sock = new StructReader(this.#kernel, 'sock', ['sk_socket']);
    const structs = new SocketStructs(this.#kernel);
    const finder = new SocketFinder(this.#kernel);
    for (const [address, found] of this.#found) {
      try {
        if (found.inode === undefined) {
          const at = sock.read(address).pointer('sk_socket');
          const socket = at === 0n ? undefined : structs.read(at);
          if (at === 0n) found.inode = 0;
          else if (!socket) throw new ReadError('filtered', at, 'its struct socket');
          else if (socket.sock === address) found.inode = socket.inode;
          else {
            found.inode = 0;
            found.subflowOf ??= socket.sock;
          }
        }
        if (found.file !== 0n && found.fileReferences === 0) {
          found.fileReferences = finder.references(found.file);
        }
      } catch (error) {
        const message = `sock 0x${address.toString(16)}: ${(error as Error).message}`;
        this.#warnings.add(incompleteness(error), message);
      }
    }
  }

  /** Who maps the files that have more references than were found. */
  #mappings(owned: Belongings): void {
    for (const found of this.#found.values()) {
      const { file, fileReferences, holders, carriedBy, registeredWith } = found;
      if (file === 0n) continue;
      if (fileReferences <= holders.length + carriedBy.length + registeredWith.length) continue;
      found.mappedBy.push(...this.#mappersOf(file, owned));
    }
  }

  #mappersOf(file: bigint, { memories }: Belongings): Task[] {
    try {
      this.#mappingReader ??= new MappingReader(this.#kernel);
      const mapped = this.#mappingReader.memories(file);
      return mapped.flatMap((memory) => [...(memories().get(memory) ?? [])]);
    } catch (error) {
      const message = `mappings of file 0x${file.toString(16)}: ${(error as Error).message}`;
      const unknown = error instanceof KernelError && error.code === 'unsupported-layout';
      this.#warnings.add(unknown ? 'unsupported-layout' : incompleteness(error), message);
      return [];
    }
  }
}
