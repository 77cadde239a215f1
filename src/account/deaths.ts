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
 * the queue of a socket that goes as well (also its own: the kernel collects such cycles when the next
 * unix socket is closed), a ring of io_uring that goes, the listener that it waits at, the MPTCP
 * connection that it is part of; a reference that nothing explains may be a system call of the same
 * process, which ends with it, or somebody else's.
 */
export class Deaths {
  readonly #newTally: () => Tally;
  /** By pid: what goes for sure, and the socks that it came from. */
  readonly #plain = new Map<number, Held & { readonly socks: Set<bigint> }>();
  /** By pid: connections that keep some of it after their close, unless they are reset. */
  readonly #lingering = new Map<number, Waiting[]>();
  /** Socks with unread data, which reset their peer when they are closed, by the peer's name. */
  readonly #resetting = new Map<string, bigint>();
  /** Those that depend on others, by sock. */
  readonly #waiting = new Map<bigint, Waiting>();
  /** From a carrier or listener, or a process, to the waiting ones that may go with it. */
  readonly #bySock = new Map<bigint, bigint[]>();
  readonly #byPid = new Map<number, bigint[]>();

  constructor(newTally: () => Tally) {
    this.#newTally = newTally;
  }

  add(entry: CensusEntry, held: Held): void {
    if (entry.socket.protocol === 'TCP' && (entry.queues.receive?.payloadBytes ?? 0) > 0) {
      const { netns, local, peer } = entry.socket;
      this.#resetting.set(`${netns} ${peer} ${local}`, entry.socket.sock);
    }
    const { socket, holders, acceptedFrom, subflowOf, fileReferences } = entry;
    const { carriedBy, registeredWith } = entry;
    const pid = holders[0]?.pid;
    const alone = holders.every((one) => one.pid === pid);
    if (!alone) return;
    if (pid !== undefined && fileReferences <= holders.length && carriedBy.length === 0) {
      const plain = this.#plain.get(pid) ?? { ...this.#newHeld(), socks: new Set() };
      this.#plain.set(pid, plain);
      plain.all.add(held.all);
      plain.socks.add(socket.sock);
      if (held.atClose === held.all) plain.atClose.add(held.all);
      else push(this.#lingering, pid, { entry, held });
      return;
    }
    if (pid !== undefined) push(this.#byPid, pid, socket.sock);
    const parent = acceptedFrom ?? subflowOf;
    if (parent !== undefined) push(this.#bySock, parent, socket.sock);
    for (const carrier of carriedBy) push(this.#bySock, carrier, socket.sock);
    for (const ring of registeredWith) {
      for (const holder of ring.holders) push(this.#byPid, holder.task.pid, socket.sock);
    }
    const kept = parent !== undefined || carriedBy.length > 0 || registeredWith.length > 0;
    if (pid === undefined && !kept) return;
    this.#waiting.set(socket.sock, { entry, held });
  }

  /** What goes back if a process is killed. */
  freed(pid: number): Freed {
    const plain = this.#plain.get(pid) ?? { ...this.#newHeld(), socks: new Set<bigint>() };
    const reached = this.#reachedFrom(pid, plain.socks);
    const lingering = this.#lingering.get(pid) ?? [];
    if (reached.size === 0 && lingering.length === 0) return bounds(plain.atClose, plain.all);
    const possible = this.#remaining(pid, plain.socks, reached, false);
    const certain = this.#remaining(pid, plain.socks, possible, true);
    const sum = this.#newHeld();
    sum.all.add(plain.all);
    sum.atClose.add(plain.atClose);
    const closing = new Set([...plain.socks, ...certain]);
    for (const one of lingering) sum.atClose.add(this.#atClose(one, closing));
    for (const sock of possible) {
      const waiting = this.#waiting.get(sock);
      if (!waiting) continue;
      sum.all.add(waiting.held.all);
      if (certain.has(sock)) sum.atClose.add(this.#atClose(waiting, closing));
    }
    return bounds(sum.atClose, sum.all);
  }

  /** A peer on the same machine that closes with unread data resets the connection: all of it goes. */
  #atClose({ entry, held }: Waiting, closing: ReadonlySet<bigint>): Tally {
    const { netns, local, peer } = entry.socket;
    const resetBy = this.#resetting.get(`${netns} ${local} ${peer}`);
    return resetBy !== undefined && closing.has(resetBy) ? held.all : held.atClose;
  }

  #newHeld(): Held {
    return { all: this.#newTally(), atClose: this.#newTally() };
  }

  /** Waiting sockets that something of the process leads to. */
  #reachedFrom(pid: number, socks: Iterable<bigint>): Set<bigint> {
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
    plain: Iterable<bigint>,
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
  const { holders, acceptedFrom, subflowOf, carriedBy, registeredWith, fileReferences } = entry;
  const parent = acceptedFrom ?? subflowOf;
  if (parent !== undefined) return going.has(parent);
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

/** Nothing goes back: somebody else keeps it. */
export const NOTHING: Freed = { low: 0, high: 0, toPools: 0 };

/** @param atClose what goes at once and for sure  @param all what may go */
export function bounds(atClose: Tally, all: Tally): Freed {
  return {
    low: atClose.ownership().exclusiveBytes,
    high: all.figures().pinnedBytes,
    toPools: all.pooledBytes(),
  };
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
