import type { Holder } from '../tasks/descriptors.js';
import type { Task } from '../tasks/tasks.js';
import type { Socket } from './socket.js';

/** How a socket was found. */
export type FoundBy = 'fd' | 'slab' | 'accept' | 'scm' | 'io_uring' | 'mptcp';

/** An io_uring instance with which a socket's file is registered. */
export interface Ring {
  readonly holders: readonly Holder[];
  /** Processes that map the ring, once per mapping. */
  readonly mappedBy: readonly Task[];
  /** References to the ring's file: descriptors, mappings, system calls. */
  readonly fileReferences: number;
  /** The ring's internal sock, whose messages hold the registered files. */
  readonly sock: bigint | undefined;
}

/** A socket of the machine, how it was found, and its holders. */
export interface CountedSocket {
  /** Address of its `struct sock`. */
  readonly sock: bigint;
  /** Address of its `struct file`; 0n if it has none. */
  readonly file: bigint;
  /** References to that file. */
  readonly fileReferences: number;
  /**
   * Inode number; 0: it has no `struct socket` of its own, because it is not accepted yet, is closed, or is
   * part of another socket; null: the dump lacks it.
   */
  readonly inode: number | null;
  readonly foundBy: readonly FoundBy[];
  readonly holders: readonly Holder[];
  /** Processes that map its file, once per mapping. */
  readonly mappedBy: readonly Task[];
  /** The listener whose accept queue contains it. */
  readonly acceptedFrom: bigint | undefined;
  /** The MPTCP connection that it is a subflow of. */
  readonly subflowOf: bigint | undefined;
  /** Sockets with queued messages that carry its file (SCM_RIGHTS), once per message. */
  readonly carriedBy: readonly bigint[];
  /** The rings with which its file is registered, once per slot. */
  readonly registeredWith: readonly Ring[];
}

/** Known facts about a socket so far. */
export interface FoundSocket {
  file: bigint;
  fileReferences: number;
  /** Undefined: not determined yet. */
  inode: number | null | undefined;
  acceptedFrom: bigint | undefined;
  subflowOf: bigint | undefined;
  readonly by: Set<FoundBy>;
  readonly holders: Holder[];
  readonly mappedBy: Task[];
  readonly carriedBy: bigint[];
  readonly registeredWith: Ring[];
}

/** The sockets found so far, each once, even if found in several ways. */
export class FoundSockets {
  readonly #bySock = new Map<bigint, FoundSocket>();

  /** Records a sock found in this way; more details may be added later. */
  note(sock: bigint, by: FoundBy): FoundSocket {
    const entry = this.#bySock.get(sock) ?? {
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
    this.#bySock.set(sock, entry);
    entry.by.add(by);
    return entry;
  }

  /** Records a socket that has a file, like {@link note}. */
  noteFile(socket: Socket, by: FoundBy): FoundSocket {
    const entry = this.note(socket.sock, by);
    entry.file = socket.file;
    entry.fileReferences = socket.fileReferences;
    entry.inode = socket.inode;
    return entry;
  }

  get(sock: bigint): FoundSocket | undefined {
    return this.#bySock.get(sock);
  }

  /** Returns the addresses of the socks, in the order in which they were found. */
  socks(): bigint[] {
    return [...this.#bySock.keys()];
  }

  [Symbol.iterator](): IterableIterator<[bigint, FoundSocket]> {
    return this.#bySock.entries();
  }

  counted(): CountedSocket[] {
    return [...this.#bySock].map(([sock, { by, inode, ...rest }]) => ({
      sock,
      foundBy: [...by],
      inode: inode ?? null,
      ...rest,
    }));
  }
}
