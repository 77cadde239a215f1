import { hex } from '../base/util.js';
import type { Freed } from '../contracts/sockets.js';
import type { Kernel } from '../kernel/kernel.js';
import { Census } from '../walk/sockets/census.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import type { Socket } from '../walk/sockets/socket.js';
import { SocketLinks } from '../walk/sockets/socket-links.js';
import { type Holder, sharedTables } from '../walk/tasks/descriptors.js';
import { FileTables } from '../walk/tasks/files.js';
import type { Task } from '../walk/tasks/tasks.js';
import { addError, incompleteness, Warnings } from '../walk/warnings.js';
import type { Holdings } from './holdings.js';
import { atLeastFreed, KillImpact, keepersOf } from './kill-impact.js';
import type { SocketAccountant } from './socket.js';
import { Tally } from './tally.js';

/**
 * Memory that a kill of a process frees of one of its sockets and of its dependents: connections in its
 * accept queue, and files in its messages. Data of the peers is excluded. Null: the socket is not among the
 * process's.
 */
export function freedOf(
  kernel: Kernel,
  accountant: SocketAccountant,
  task: Task,
  socket: Socket,
  held: Holdings,
  warnings: Warnings,
): Freed | null {
  const missed = new Warnings();
  const all = aloneOf(kernel, task, socket, missed) ?? new Census(kernel, missed).takeReachable();
  if (!all.some(({ sock }) => sock === socket.sock)) {
    missed.add('unreadable', 'what a kill frees is unknown: the holders of the socket were not found');
    warnings.merge(missed);
    return null;
  }
  // Omits the connection's names, by which peers are found.
  const known = new Map([[socket.sock, { all: held.all, atClose: held.atClose }]]);
  return new KillOfProcess(kernel, accountant, all, missed).freed(task, known, [socket.sock], warnings);
}

/**
 * The same for the complete process, including sockets without a descriptor: mapped, or registered with
 * io_uring. Of local peers only its own count.
 *
 * @param known holdings of its sockets, by sock
 * @param whole whether these are all that it has open
 */
export function freedOfProcess(
  kernel: Kernel,
  accountant: SocketAccountant,
  task: Task,
  known: ReadonlyMap<bigint, Holdings>,
  whole: boolean,
  warnings: Warnings,
): Freed {
  const missed = new Warnings();
  const all = new Census(kernel, missed).takeReachable();
  const isOwn = ({ sock, holders, mappedBy, registeredWith }: CountedSocket) =>
    known.has(sock) ||
    [...holders.map((holder) => holder.task), ...mappedBy].some(({ pid }) => pid === task.pid) ||
    registeredWith.some((ring) => ring.holders.some((holder) => holder.task.pid === task.pid));
  const own = all.filter(isOwn).map(({ sock }) => sock);
  const freed = new KillOfProcess(kernel, accountant, all, missed).freed(task, known, own, warnings);
  const released = new Set(own);
  return whole && [...known.keys()].every((sock) => released.has(sock)) ? freed : atLeastFreed(freed);
}

/** Memory that a kill of a process frees, by all reachable sockets. */
class KillOfProcess {
  readonly #kernel: Kernel;
  readonly #accountant: SocketAccountant;
  readonly #all: readonly CountedSocket[];
  readonly #missed: Warnings;

  constructor(kernel: Kernel, accountant: SocketAccountant, all: readonly CountedSocket[], missed: Warnings) {
    this.#kernel = kernel;
    this.#accountant = accountant;
    this.#all = all;
    this.#missed = missed;
  }

  /** @param socks socks to count, together with their dependents */
  freed(task: Task, known: ReadonlyMap<bigint, Holdings>, socks: readonly bigint[], warnings: Warnings): Freed {
    const { pageSize } = this.#kernel.facts;
    const newTally = () => new Tally(pageSize, new Warnings());
    const nothing: Holdings = { all: newTally(), atClose: newTally() };
    const impact = new KillImpact(newTally);
    const counted = dependentsOf(socks, this.#all);
    for (const socket of this.#all) {
      try {
        const isCounted = known.has(socket.sock) || counted.has(socket.sock);
        impact.add(socket, isCounted ? this.#heldOf(socket, known) : nothing);
      } catch (error) {
        addError(this.#missed, `sock ${hex(socket.sock)}`, error);
      }
    }
    const freed = impact.freed(task.pid);
    if (this.#missed.list().length === 0) return freed;
    warnings.merge(this.#missed);
    return atLeastFreed(freed);
  }

  #heldOf(socket: CountedSocket, known: ReadonlyMap<bigint, Holdings>): Holdings {
    const held = known.get(socket.sock);
    return held ?? this.#accountant.account(socket, { warnings: this.#missed }).held;
  }
}

/**
 * Returns the socket alone if only descriptors of this process reference it and nothing depends on it: the
 * open files of other processes are not needed then.
 */
function aloneOf(kernel: Kernel, task: Task, socket: Socket, missed: Warnings): CountedSocket[] | undefined {
  const { tables } = sharedTables(kernel, missed);
  const links = new SocketLinks(kernel, missed);
  const reader = new FileTables(kernel);
  const holders: Holder[] = [];
  try {
    for (const [files, { processes }] of tables) {
      if (![...processes].some(({ pid }) => pid === task.pid)) continue;
      if (processes.size > 1) return undefined;
      for (const { fd, file } of reader.open(files)) {
        if (file === socket.file) holders.push({ task, fd });
      }
    }
  } catch (error) {
    incompleteness(error);
    return undefined;
  }
  if (socket.fileReferences > holders.length) return undefined;
  if (links.accepting(socket.sock).length + links.carriedFiles(socket.sock).length > 0) {
    return undefined;
  }
  const nothing = { acceptedFrom: undefined, subflowOf: undefined, carriedBy: [], registeredWith: [] };
  return [{ ...socket, ...nothing, foundBy: ['fd'], holders, mappedBy: [] }];
}

/** Returns these socks and all socks that they keep, directly or indirectly. */
function dependentsOf(socks: readonly bigint[], all: readonly CountedSocket[]): Set<bigint> {
  const kept = new Map<bigint, bigint[]>();
  for (const socket of all) {
    for (const keeper of keepersOf(socket)) {
      kept.set(keeper, [...(kept.get(keeper) ?? []), socket.sock]);
    }
  }
  const hanging = new Set(socks);
  for (let next = [...socks]; next.length > 0; ) {
    const more = next.flatMap((sock) => kept.get(sock) ?? []).filter((child) => !hanging.has(child));
    for (const child of more) hanging.add(child);
    next = [...new Set(more)];
  }
  return hanging;
}
