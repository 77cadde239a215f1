import type { Freed } from './owners.js';
import type { CensusEntry } from './sockets.js';
import type { Tally } from './tally.js';

/** What a socket holds: all of it, and what of it goes as soon as the socket is closed. */
export interface Held {
  readonly all: Tally;
  readonly atClose: Tally;
}

interface Waiting {
  readonly entry: CensusEntry;
  readonly held: Held;
}

/**
 * Which sockets go with a process. One that a single process has open, at as many descriptors as its
 * file has references, goes for sure. What else refers to it decides about the others: a message in
 * the queue of a socket that goes as well (also its own: the kernel collects such cycles), a ring of
 * io_uring that goes, the listener that it waits at; a reference that nothing explains may be a
 * system call of the same process, which ends with it, or somebody else's.
 */
export class Deaths {
  readonly #newTally: () => Tally;
  /** By pid: what goes for sure, and the socks that it came from. */
  readonly #plain = new Map<number, Held & { readonly socks: bigint[] }>();
  /** Those that depend on others, by sock. */
  readonly #waiting = new Map<bigint, Waiting>();
  /** From a carrier or listener, or a process, to the waiting ones that may go with it. */
  readonly #bySock = new Map<bigint, bigint[]>();
  readonly #byPid = new Map<number, bigint[]>();

  constructor(newTally: () => Tally) {
    this.#newTally = newTally;
  }

  add(entry: CensusEntry, held: Held): void {
    const { socket, holders, acceptedFrom, carriedBy, registeredWith, fileReferences } = entry;
    const pid = holders[0]?.pid;
    const alone = holders.every((one) => one.pid === pid);
    if (!alone) return;
    if (pid !== undefined && fileReferences <= holders.length && carriedBy.length === 0) {
      const plain = this.#plain.get(pid) ?? { ...this.#newHeld(), socks: [] };
      this.#plain.set(pid, plain);
      plain.all.add(held.all);
      plain.atClose.add(held.atClose);
      plain.socks.push(socket.sock);
      return;
    }
    if (pid !== undefined) push(this.#byPid, pid, socket.sock);
    if (acceptedFrom !== undefined) push(this.#bySock, acceptedFrom, socket.sock);
    for (const carrier of carriedBy) push(this.#bySock, carrier, socket.sock);
    for (const ring of registeredWith) {
      for (const holder of ring.holders) push(this.#byPid, holder.task.pid, socket.sock);
    }
    if (pid === undefined && !acceptedFrom && !carriedBy.length && !registeredWith.length) return;
    this.#waiting.set(socket.sock, { entry, held });
  }

  /** What goes back if a process is killed. */
  freed(pid: number): Freed {
    const plain = this.#plain.get(pid);
    const reached = this.#reachedFrom(pid, plain?.socks ?? []);
    if (reached.size === 0) return plain ? bounds(plain.atClose, plain.all) : { low: 0, high: 0 };
    const possible = this.#remaining(pid, plain?.socks ?? [], reached, false);
    const certain = this.#remaining(pid, plain?.socks ?? [], possible, true);
    const sum = this.#newHeld();
    if (plain) {
      sum.all.add(plain.all);
      sum.atClose.add(plain.atClose);
    }
    for (const sock of possible) {
      const held = this.#waiting.get(sock)?.held;
      if (!held) continue;
      sum.all.add(held.all);
      if (certain.has(sock)) sum.atClose.add(held.atClose);
    }
    return bounds(sum.atClose, sum.all);
  }

  #newHeld(): Held {
    return { all: this.#newTally(), atClose: this.#newTally() };
  }

  /** Waiting sockets that something of the process leads to. */
  #reachedFrom(pid: number, socks: readonly bigint[]): Set<bigint> {
    const reached = new Set<bigint>();
    const next = [...(this.#byPid.get(pid) ?? [])];
    for (const sock of socks) next.push(...(this.#bySock.get(sock) ?? []));
    for (let sock = next.pop(); sock !== undefined; sock = next.pop()) {
      if (reached.has(sock) || !this.#waiting.has(sock)) continue;
      reached.add(sock);
      next.push(...(this.#bySock.get(sock) ?? []));
    }
    return reached;
  }

  /** Of these, the most that can go together, with none kept by anything outside. */
  #remaining(
    pid: number,
    plain: readonly bigint[],
    from: ReadonlySet<bigint>,
    certain: boolean,
  ): Set<bigint> {
    const going = new Set([...plain, ...from]);
    for (let changed = true; changed; ) {
      changed = false;
      for (const sock of from) {
        const waiting = this.#waiting.get(sock);
        if (!waiting || !going.has(sock) || goes(waiting.entry, pid, going, certain)) continue;
        going.delete(sock);
        changed = true;
      }
    }
    return new Set([...from].filter((sock) => going.has(sock)));
  }
}

/** @param certain every reference is to be explained */
function goes(
  entry: CensusEntry,
  pid: number,
  going: ReadonlySet<bigint>,
  certain: boolean,
): boolean {
  const { holders, acceptedFrom, carriedBy, registeredWith, fileReferences } = entry;
  if (acceptedFrom !== undefined) return going.has(acceptedFrom);
  if (holders.some((one) => one.pid !== pid)) return false;
  if (!carriedBy.every((carrier) => going.has(carrier))) return false;
  const rings = registeredWith.filter((ring) => ring.holders.every(({ task }) => task.pid === pid));
  if (rings.length < registeredWith.length) return false;
  if (!certain) return true;
  // A ring's other references may be mappings of another process.
  const sure = rings.filter((ring) => ring.fileReferences <= ring.holders.length);
  if (sure.length < rings.length) return false;
  return holders.length + carriedBy.length + rings.length >= fileReferences;
}

function bounds(atClose: Tally, all: Tally): Freed {
  return { low: atClose.ownership().exclusiveBytes, high: all.figures().pinnedBytes };
}

function push<Key>(map: Map<Key, bigint[]>, key: Key, value: bigint): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
