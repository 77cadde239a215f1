import type { Holder } from '../tasks/descriptors.js';
import type { Task } from '../tasks/tasks.js';
import type { Socket } from './socket.js';

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

/** What is known so far of a socket. */
export interface FoundSocket {
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

/** The sockets that were found so far, each once, however many ways led to it. */
export class FoundSockets {
  readonly #bySock = new Map<bigint, FoundSocket>();

  /** A sock that was found in this way; more may become known of it. */
  note(sock: bigint, by: FoundBy): FoundSocket {
    const found = this.#bySock.get(sock) ?? {
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
    this.#bySock.set(sock, found);
    found.by.add(by);
    return found;
  }

  /** The same of a socket that has a file. */
  noteFile(socket: Socket, by: FoundBy): FoundSocket {
    const found = this.note(socket.sock, by);
    found.file = socket.file;
    found.fileReferences = socket.fileReferences;
    found.inode = socket.inode;
    return found;
  }

  get(sock: bigint): FoundSocket | undefined {
    return this.#bySock.get(sock);
  }

  /** Addresses of the socks, in the order in which they were found. */
  socks(): bigint[] {
    return [...this.#bySock.keys()];
  }

  [Symbol.iterator](): IterableIterator<[bigint, FoundSocket]> {
    return this.#bySock.entries();
  }

  counted(): CountedSocket[] {
    return [...this.#bySock].map(([sock, { by, inode, ...found }]) => ({
      sock,
      foundBy: [...by],
      inode: inode ?? null,
      ...found,
    }));
  }
}
