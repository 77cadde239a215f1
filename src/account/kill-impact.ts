import type { Freed } from '../contracts/sockets.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import type { Connection, Holdings } from './holdings.js';
import type { Tally } from './tally.js';

/** Returns the same number for all processes that are killed together. */
export type KilledWith = (pid: number) => number;

interface Waiting {
  readonly socket: CountedSocket;
  readonly held: Holdings;
}

/**
 * Determines which sockets the kernel frees when a process is killed. A socket is freed if all references to
 * its file come from descriptors and mappings of that process. Otherwise its other references decide: a
 * message in the queue of a socket that is freed as well (including its own queue: the kernel collects such
 * cycles when the next unix socket is closed), an io_uring instance that is freed, the listener whose accept
 * queue it is in, or its MPTCP connection. A reference of unknown origin may be a system call of the same
 * process, which ends with it, or belong to another holder.
 */
export class KillImpact {
  readonly #newTally: () => Tally;
  readonly #killedWith: KilledWith;
  /** By pid: memory that is certainly freed, and the socks that hold it. */
  readonly #plain = new Map<number, Holdings & { readonly socks: Set<bigint> }>();
  /** By pid: connections that keep part of their memory after close, unless they are reset. */
  readonly #lingering = new Map<number, Waiting[]>();
  readonly #connections = new Map<bigint, Connection>();
  /** Socks with unread data, which reset their peer on close, by the peer's name. */
  readonly #resetting = new Map<string, bigint>();
  /** Socks with unsent data, by their name without the namespace. */
  readonly #sending = new Map<string, bigint[]>();
  /** Sockets that depend on others, by sock. */
  readonly #dependents = new Map<bigint, Waiting>();
  /** Dependents of a carrier, a listener, an MPTCP socket or a process. */
  readonly #bySock = new Map<bigint, bigint[]>();
  readonly #byPid = new Map<number, bigint[]>();

  /**
   * @param killedWith returns the id of the group that is killed together, by pid: a process alone, or
   * several
   */
  constructor(newTally: () => Tally, killedWith: KilledWith = (pid) => pid) {
    this.#newTally = newTally;
    this.#killedWith = killedWith;
  }

  add(socket: CountedSocket, held: Holdings): void {
    const { sock, acceptedFrom, subflowOf, carriedBy, registeredWith } = socket;
    if (held.connection) this.#noteConnection(sock, held.connection);
    const pids = ownersOf(socket, this.#killedWith);
    if (pids.size > 1) return;
    const [pid] = pids;
    if (pid !== undefined && isPlain(socket)) {
      const plain = this.#plain.get(pid) ?? { ...this.#newHeld(), socks: new Set() };
      this.#plain.set(pid, plain);
      plain.all.add(held.all);
      plain.socks.add(sock);
      if (held.atClose === held.all) plain.atClose.add(held.all);
      else push(this.#lingering, pid, { socket, held });
      return;
    }
    if (pid !== undefined) push(this.#byPid, pid, sock);
    for (const keeper of keepersOf(socket)) push(this.#bySock, keeper, sock);
    for (const ring of registeredWith) {
      for (const holder of ring.holders) push(this.#byPid, this.#killedWith(holder.task.pid), sock);
    }
    const kept = acceptedFrom ?? subflowOf ?? carriedBy[0];
    if (pid === undefined && kept === undefined && !registeredWith.length) return;
    this.#dependents.set(sock, { socket, held });
  }

  /** Returns the memory that is freed if a process is killed. */
  freed(process: number): Freed {
    const pid = this.#killedWith(process);
    const plain = this.#plain.get(pid) ?? { ...this.#newHeld(), socks: new Set<bigint>() };
    const reached = this.#reachedFrom(pid, plain.socks);
    const lingering = this.#lingering.get(pid) ?? [];
    const possible = this.#remaining(pid, plain.socks, reached, false);
    const certain = this.#remaining(pid, plain.socks, possible, true);
    const ends = this.#otherEnds(new Set([...plain.socks, ...possible]));
    if (reached.size + lingering.length + ends.length === 0) {
      const own = droppedBytes(plain.all);
      return freedOfStages({ ...plain, own, possible: own });
    }
    const { all, atClose } = this.#newHeld();
    all.add(plain.all);
    atClose.add(plain.atClose);
    const closing = new Set([...plain.socks, ...certain]);
    for (const waiting of lingering) atClose.add(this.#atClose(waiting, closing));
    for (const sock of certain) {
      const waiting = this.#dependents.get(sock);
      if (!waiting) continue;
      all.add(waiting.held.all);
      atClose.add(this.#atClose(waiting, closing));
    }
    const own = droppedBytes(all);
    for (const sock of possible) {
      const waiting = this.#dependents.get(sock);
      if (waiting && !certain.has(sock)) all.add(waiting.held.all);
    }
    const most = possible.size > certain.size ? droppedBytes(all) : own;
    for (const tally of ends) all.add(tally);
    return freedOfStages({ atClose, own, possible: most, all });
  }

  #noteConnection(sock: bigint, connection: Connection): void {
    this.#connections.set(sock, connection);
    const { netns, local, peer, resets, sending } = connection;
    if (resets) this.#resetting.set(`${netns} ${peer} ${local}`, sock);
    if (sending && local && peer) push(this.#sending, `${local} ${peer}`, sock);
  }

  /**
   * Returns the memory freed at close: all of it if a peer on the same machine closes with unread data, which
   * resets the connection.
   */
  #atClose({ held }: Waiting, closing: ReadonlySet<bigint>): Tally {
    if (!held.connection) return held.atClose;
    const { netns, local, peer } = held.connection;
    const resetBy = this.#resetting.get(`${netns} ${local} ${peer}`);
    return resetBy !== undefined && closing.has(resetBy) ? held.all : held.atClose;
  }

  /**
   * Unsent data of local peers of sockets that may close: a reset frees it, too. The peer may be in another
   * namespace, and have the same name in a third.
   */
  #otherEnds(going: ReadonlySet<bigint>): Tally[] {
    const ends = new Map<bigint, Tally>();
    for (const sock of going) {
      const connection = this.#connections.get(sock);
      if (!connection) continue;
      for (const end of this.#sending.get(`${connection.peer} ${connection.local}`) ?? []) {
        const { sending } = this.#connections.get(end) ?? {};
        if (sending && !going.has(end)) ends.set(end, sending);
      }
    }
    return [...ends.values()];
  }

  #newHeld(): Holdings {
    return { all: this.#newTally(), atClose: this.#newTally() };
  }

  /** Returns the dependent sockets that can be reached from the process. */
  #reachedFrom(pid: number, socks: Iterable<bigint>): Set<bigint> {
    const reached = new Set<bigint>();
    const next = [...(this.#byPid.get(pid) ?? [])];
    for (const sock of socks) next.push(...(this.#bySock.get(sock) ?? []));
    for (let sock = next.pop(); sock !== undefined; sock = next.pop()) {
      if (reached.has(sock) || !this.#dependents.has(sock)) continue;
      reached.add(sock);
      next.push(...(this.#bySock.get(sock) ?? []));
    }
    return reached;
  }

  /** The largest subset that can be closed together, because nothing outside keeps any of it. */
  #remaining(pid: number, plain: Iterable<bigint>, from: ReadonlySet<bigint>, certain: boolean): Set<bigint> {
    const going = new Set([...plain, ...from]);
    const isKilled = (other: number) => this.#killedWith(other) === pid;
    for (let changed = true; changed; ) {
      changed = false;
      for (const sock of from) {
        const waiting = this.#dependents.get(sock);
        if (!waiting || !going.has(sock) || isFreed(waiting.socket, isKilled, going, certain)) continue;
        going.delete(sock);
        changed = true;
      }
    }
    return new Set([...from].filter((sock) => going.has(sock)));
  }
}

/** Returns the socks that keep a socket: those whose messages carry it, its listener, or its MPTCP socket. */
export function keepersOf({ acceptedFrom, subflowOf, carriedBy }: CountedSocket): bigint[] {
  const parent = acceptedFrom ?? subflowOf;
  return parent === undefined ? [...carriedBy] : [parent, ...carriedBy];
}

function ownersOf({ holders, mappedBy }: CountedSocket, killedWith: KilledWith): Set<number> {
  const pids = [...holders.map(({ task }) => task.pid), ...mappedBy.map(({ pid }) => pid)];
  return new Set(pids.map(killedWith));
}

function isPlain(socket: CountedSocket): boolean {
  const { holders, mappedBy, registeredWith, fileReferences } = socket;
  if (keepersOf(socket).length > 0 || registeredWith.length > 0) return false;
  return fileReferences <= holders.length + mappedBy.length;
}

/** @param certain whether every reference must be attributed */
function isFreed(
  socket: CountedSocket,
  isKilled: (pid: number) => boolean,
  going: ReadonlySet<bigint>,
  certain: boolean,
): boolean {
  const { holders, mappedBy, acceptedFrom, subflowOf, carriedBy, registeredWith } = socket;
  const whole = acceptedFrom ?? subflowOf;
  if (whole !== undefined) return going.has(whole);
  if ([...ownersOf(socket, (pid) => pid)].some((pid) => !isKilled(pid))) return false;
  if (!carriedBy.every((carrier) => going.has(carrier))) return false;
  const rings = registeredWith.filter(
    (ring) => ring.holders.every(({ task }) => isKilled(task.pid)) && ring.mappedBy.every(({ pid }) => isKilled(pid)),
  );
  if (rings.length < registeredWith.length) return false;
  if (!certain) return true;
  const sure = rings.filter((ring) => ring.fileReferences <= ring.holders.length + ring.mappedBy.length);
  if (sure.length < rings.length) return false;
  const references = holders.length + mappedBy.length + carriedBy.length + rings.length;
  return references >= socket.fileReferences;
}

function push<Key, Value>(map: Map<Key, Value[]>, key: Key, value: Value): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

/** Successive stages of memory that may be freed. */
interface Stages {
  /** Freed at once. */
  readonly atClose: Tally;
  /** Bytes of all sockets that are freed, including data that their connections keep for a while. */
  readonly own: number;
  /** The same, including sockets that may be freed. */
  readonly possible: number;
  /** The same, including unsent data of the peers. */
  readonly all: Tally;
}

/** Bytes freed if every holder drops all of it. */
function droppedBytes(tally: Tally): number {
  return tally.figures().pinnedBytes - tally.shares().pooled.keptOfAll;
}

function freedOfStages({ atClose, own, possible, all }: Stages): Freed {
  const { exclusiveBytes: low, sharedBytes, pooled } = atClose.shares();
  const { pinnedBytes, complete } = all.figures();
  const { keptOfAll, keptAtMost, bytes } = all.shares().pooled;
  const high = pinnedBytes - keptOfAll;
  const first = atClose === all ? high : droppedBytes(atClose);
  const shared = sharedBytes - (pooled.bytes - pooled.freed);
  const between = {
    shared,
    pools: first - low - shared,
    unsent: own - first,
    uncertain: possible - own,
    peers: high - possible,
  };
  return {
    low,
    high: complete ? high : null,
    toPools: (keptAtMost ?? bytes) - keptOfAll,
    keptByPools: { low: pooled.kept, high: complete ? keptAtMost : null },
    between: complete ? between : null,
  };
}

/** The result of a kill that is partly unknown: more may be freed. */
export function atLeastFreed(freed: Freed): Freed {
  return { ...freed, high: null, between: null, keptByPools: { ...freed.keptByPools, high: null } };
}
