import { hex } from '../kernel/hex.js';
import type { Kernel } from '../kernel/kernel.js';
import { incompleteness } from '../walk/incompleteness.js';
import { Census } from '../walk/sockets/census.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import type { Socket } from '../walk/sockets/socket.js';
import { SocketLinks } from '../walk/sockets/socket-links.js';
import { belongings, type Holder } from '../walk/tasks/descriptors.js';
import { FileTables } from '../walk/tasks/files.js';
import type { Task } from '../walk/tasks/tasks.js';
import { Warnings } from '../walk/warnings.js';
import { Deaths, type Freed, keepersOf } from './deaths.js';
import type { Held } from './held.js';
import type { SocketAccountant } from './socket.js';
import { Tally } from './tally.js';

/**
 * What a kill of a process gives back of one of its sockets and of those that hang on it: connections
 * that wait at it, and what its messages carry. What the other ends of connections hold is left out.
 * Null: the socket was not found again among the process's.
 */
export function freedOf(
  kernel: Kernel,
  accountant: SocketAccountant,
  task: Task,
  socket: Socket,
  held: Held,
  warnings: Warnings,
): Freed | null {
  const missed = new Warnings();
  const all = aloneOf(kernel, task, socket, missed) ?? new Census(kernel, missed).takeReachable();
  if (!all.some(({ sock }) => sock === socket.sock)) {
    missed.add(
      'unreadable',
      'what a kill would give back is not known: who has the socket was not found',
    );
    warnings.merge(missed);
    return null;
  }
  const newTally = () => new Tally(kernel.facts.pageSize, new Warnings());
  const nothing: Held = { all: newTally(), atClose: newTally() };
  const deaths = new Deaths(newTally);
  const counted = hangingOn(socket.sock, all);
  const heldOf = (one: CountedSocket): Held => {
    if (one.sock === socket.sock) return { all: held.all, atClose: held.atClose };
    if (!counted.has(one.sock)) return nothing;
    const { all, atClose } = accountant.accountWithTallies(one, { warnings: missed }).held;
    return { all, atClose };
  };
  for (const one of all) {
    try {
      deaths.add(one, heldOf(one));
    } catch (error) {
      missed.add(incompleteness(error), `sock ${hex(one.sock)}: ${(error as Error).message}`);
    }
  }
  const freed = deaths.freed(task.pid);
  if (missed.list().length === 0) return freed;
  warnings.merge(missed);
  return { ...freed, high: null };
}

/**
 * The socket by itself, if descriptors of this process are all that refers to it, and nothing hangs on
 * it: what other processes have open need not be known then.
 */
function aloneOf(
  kernel: Kernel,
  task: Task,
  socket: Socket,
  missed: Warnings,
): CountedSocket[] | undefined {
  const { tables } = belongings(kernel, missed);
  const links = new SocketLinks(kernel, missed);
  const reader = new FileTables(kernel);
  const holders: Holder[] = [];
  try {
    for (const [files, owners] of tables) {
      if (![...owners].some(({ pid }) => pid === task.pid)) continue;
      if (owners.size > 1) return undefined;
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
  const nothing = {
    acceptedFrom: undefined,
    subflowOf: undefined,
    carriedBy: [],
    registeredWith: [],
  };
  return [{ ...socket, ...nothing, foundBy: ['fd'], holders, mappedBy: [] }];
}

/** The socks that a socket keeps: directly, or through others that it keeps. */
function hangingOn(sock: bigint, all: readonly CountedSocket[]): Set<bigint> {
  const kept = new Map<bigint, bigint[]>();
  for (const one of all) {
    for (const keeper of keepersOf(one)) {
      kept.set(keeper, [...(kept.get(keeper) ?? []), one.sock]);
    }
  }
  const hanging = new Set<bigint>();
  for (let next = [sock]; next.length > 0; ) {
    const more = next.flatMap((one) => kept.get(one) ?? []).filter((one) => !hanging.has(one));
    for (const one of more) hanging.add(one);
    next = [...new Set(more)];
  }
  return hanging;
}
