import { KernelError } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import type { Kernel } from '../../kernel/kernel.js';
import type { SlotsOptions } from '../pages/slab-scan.js';
import { StructReader } from '../struct-reader.js';
import { type Belongings, type Holder, MappingReader, OpenFiles, sharedTables } from '../tasks/descriptors.js';
import { RingReader } from '../tasks/io-uring.js';
import type { Task } from '../tasks/tasks.js';
import { addError, incompleteness, type Warnings } from '../warnings.js';
import { type CountedSocket, FoundSockets } from './found-sockets.js';
import { findInSlabs } from './slab-sockets.js';
import { AF_SMC, IPPROTO_MPTCP } from './sock-words.js';
import { isInUse, type Socket, SocketFinder, SocketStructs } from './socket.js';
import { SocketLinks } from './socket-links.js';

/**
 * Finds every socket: through the descriptors of every process; through the slabs of sockets and of each
 * protocol's socks, which also finds sockets without a descriptor; through the accept queues of listeners;
 * through messages that carry files (SCM_RIGHTS), even nested ones; and through io_uring's file tables.
 *
 * A part that cannot be read causes a warning; the other parts remain valid.
 */
export class Census {
  readonly #kernel: Kernel;
  readonly #warnings: Warnings;
  readonly #found = new FoundSockets();
  #mappingReader: MappingReader | undefined;

  constructor(kernel: Kernel, warnings: Warnings) {
    this.#kernel = kernel;
    this.#warnings = warnings;
  }

  take(options?: SlotsOptions): CountedSocket[] {
    const owned = sharedTables(this.#kernel, this.#warnings);
    this.#part('descriptors', () => this.#descriptors(owned));
    this.#part('slabs', () => findInSlabs(this.#kernel, this.#found, this.#warnings, options));
    return this.#follow(owned);
  }

  /**
   * Returns only sockets reachable from a descriptor, including through accept queues and messages. No slab
   * is scanned, so sockets that only reference each other may be missing.
   */
  takeReachable(): CountedSocket[] {
    const owned = sharedTables(this.#kernel, this.#warnings);
    this.#part('descriptors', () => this.#descriptors(owned));
    return this.#follow(owned);
  }

  #follow(owned: Belongings): CountedSocket[] {
    this.#part('accept queues and queued messages', () => this.#links());
    this.#part('scanned socks', () => this.#resolveSockets());
    this.#part('mappings', () => this.#mappings(owned));
    return this.#found.counted();
  }

  #part(name: string, find: () => void): void {
    try {
      find();
    } catch (error) {
      const code = incompleteness(error);
      this.#warnings.add(code, `sockets found by ${name}: ${(error as Error).message}`);
    }
  }

  #descriptors(owned: Belongings): void {
    const finder = new SocketFinder(this.#kernel);
    const rings = new RingReader(this.#kernel);
    const { live } = this.#kernel.facts;
    const files = new OpenFiles(this.#kernel, owned, (processes, error) => {
      const who = [...processes].map(({ pid }) => pid).join(', ');
      addError(this.#warnings, `files of pid ${who}`, error);
    });
    for (const [file, { holders, slots }] of files) {
      try {
        const result = files.read(file, () => ({ socket: finder.find(file) }));
        if (!result) continue;
        const { socket } = result;
        if (socket) this.#found.noteFile(socket, 'fd').holders.push(...holders);
        if (socket && !live && socket.fileReferences < slots.length) {
          const message = `file ${hex(file)} counts ${socket.fileReferences} references, but ${slots.length} descriptors refer to it`;
          this.#warnings.add('corrupt', message);
        }
        if (!socket) this.#ring(file, { files, holders, rings }, finder, owned);
      } catch (error) {
        const who = holders.map(({ task, fd }) => `pid ${task.pid} fd ${fd}`).join(', ');
        addError(this.#warnings, `${who}`, error);
      }
    }
    files.note('sockets', this.#warnings);
  }

  /** Records the sockets registered with a ring, if the file is one. */
  #ring(
    file: bigint,
    {
      files,
      holders,
      rings,
    }: { readonly files: OpenFiles; readonly holders: readonly Holder[]; readonly rings: RingReader },
    finder: SocketFinder,
    owned: Belongings,
  ): void {
    let registered: readonly bigint[] | undefined;
    try {
      registered = files.read(file, () => rings.registered(file));
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
    for (const address of registered) {
      const socket = this.#socketOf(address, finder, `the ring at ${hex(file)}`);
      if (socket) this.#found.noteFile(socket, 'io_uring').registeredWith.push(ring);
    }
  }

  /** The socket of a kept file, if it is one; a warning if unknown. */
  #socketOf(file: bigint, finder: SocketFinder, keeper: string): Socket | undefined {
    try {
      return finder.find(file);
    } catch (error) {
      addError(this.#warnings, `a file in ${keeper}`, error);
      return undefined;
    }
  }

  /** Repeats until nothing new is found: a message may contain sockets with messages. */
  #links(): void {
    const links = new SocketLinks(this.#kernel, this.#warnings);
    const finder = new SocketFinder(this.#kernel);
    const seen = new Set<bigint>();
    for (let waiting = this.#found.socks(); waiting.length > 0; ) {
      for (const sock of waiting) {
        seen.add(sock);
        for (const child of links.accepting(sock)) this.#accepted(child, sock);
        for (const subflow of links.subflows(sock)) this.#found.note(subflow, 'mptcp').subflowOf = sock;
        for (const file of links.carriedFiles(sock)) {
          const socket = this.#socketOf(file, finder, `a message queued at sock ${hex(sock)}`);
          if (!socket) continue;
          const { registeredWith } = this.#found.get(socket.sock) ?? { registeredWith: [] };
          if (registeredWith.some((ring) => ring.sock === sock)) continue;
          this.#found.noteFile(socket, 'scm').carriedBy.push(sock);
        }
      }
      waiting = this.#found.socks().filter((sock) => !seen.has(sock));
    }
  }

  #accepted(child: bigint, listener: bigint): void {
    const entry = this.#found.note(child, 'accept');
    if (entry.acceptedFrom !== undefined && entry.acceptedFrom !== listener) {
      const message = `sock ${hex(child)} is in two accept queues, of ${hex(entry.acceptedFrom)} and ${hex(listener)}`;
      this.#warnings.add('corrupt', message);
    }
    entry.acceptedFrom = listener;
  }

  /** Determines whether each sock found only by slab has its own socket, none, or that of another sock. */
  #resolveSockets(): void {
    const sock = new StructReader(this.#kernel, 'sock', ['sk_socket']);
    const structs = new SocketStructs(this.#kernel);
    const finder = new SocketFinder(this.#kernel);
    const { live } = this.#kernel.facts;
    const isConnection = connectionTest(this.#kernel);
    for (const [address, entry] of this.#found) {
      try {
        if (entry.inode === undefined) {
          const at = sock.read(address).pointer('sk_socket');
          const socket = at === 0n ? undefined : structs.read(at);
          if (socket?.sock === address) {
            entry.inode = socket.inode;
          } else {
            if (socket?.sock === 0n && this.#isOpen(socket.file, finder)) {
              const message = `sock ${hex(address)} points to the socket ${hex(at)}, which has no sock`;
              this.#warnings.add('corrupt', message);
            }
            if (socket && socket.sock !== 0n && !live && !isConnection(socket.sock)) {
              const message = `sock ${hex(address)} points to the socket ${hex(at)}, which belongs to sock ${hex(socket.sock)}`;
              this.#warnings.add('corrupt', message);
            }
            entry.inode = 0;
            entry.subflowOf ??= socket?.sock;
          }
        }
        if (entry.file !== 0n && entry.fileReferences === 0) {
          entry.fileReferences = finder.references(entry.file);
        }
      } catch (error) {
        addError(this.#warnings, `sock ${hex(address)}`, error);
      }
    }
  }

  /**
   * Whether a socket without a sock is still in use while being closed: a lingering task has released its
   * file. Kernel sockets have no file.
   */
  #isOpen(file: bigint, finder: SocketFinder): boolean {
    if (this.#kernel.facts.live) return false;
    return file === 0n || isInUse(finder.references(file));
  }

  /** Mappers of files that have more references than were found. */
  #mappings(owned: Belongings): void {
    for (const [, entry] of this.#found) {
      const { file, fileReferences, holders, carriedBy, registeredWith } = entry;
      if (file === 0n) continue;
      // Each message and each slot of a ring has a reference. Descriptors of several processes may share one.
      const kept = carriedBy.length + registeredWith.length + Math.min(holders.length, 1);
      if (carriedBy.length > 0 && fileReferences < kept && !this.#kernel.facts.live)
        this.#warnings.add(
          'corrupt',
          `file ${hex(file)} counts ${fileReferences} references, but messages and others have ${kept}`,
        );
      if (fileReferences <= holders.length + carriedBy.length + registeredWith.length) continue;
      entry.mappedBy.push(...this.#mappersOf(file, owned));
    }
  }

  #mappersOf(file: bigint, { memories }: Belongings): Task[] {
    try {
      this.#mappingReader ??= new MappingReader(this.#kernel);
      const mapped = this.#mappingReader.memories(file);
      return mapped.flatMap((memory) => [...(memories().get(memory) ?? [])]);
    } catch (error) {
      const message = `mappings of file ${hex(file)}: ${(error as Error).message}`;
      const unknown = error instanceof KernelError && error.code === 'unsupported-layout';
      this.#warnings.add(unknown ? 'unsupported-layout' : incompleteness(error), message);
      return [];
    }
  }
}

/** Whether a sock's connection consists of other socks: MPTCP, and SMC that fell back to TCP. */
function connectionTest(kernel: Kernel): (sock: bigint) => boolean {
  const sock = new StructReader(kernel, 'sock', ['__sk_common.skc_family', 'sk_protocol']);
  return (address) => {
    const view = sock.read(address);
    return view.number('sk_protocol') === IPPROTO_MPTCP || view.number('__sk_common.skc_family') === AF_SMC;
  };
}
