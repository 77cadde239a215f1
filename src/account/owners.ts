import type { CensusHolder, CensusOwner, Freed, Group, ListedSocket } from '../contracts/sockets.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import { atLeastFreed } from './kill-impact.js';
import { portsOf } from './socket.js';
import type { Tally } from './tally.js';

interface Sum {
  /** The process of the group; null if the group is not a process. */
  readonly process: Process | null;
  sockets: number;
  readonly tally: Tally;
}

/** Sums sockets by a common property. */
export class Owners {
  readonly #grouping: Grouping;
  readonly #newTally: () => Tally;
  readonly #sums = new Map<string, Sum>();

  constructor(grouping: Grouping, newTally: () => Tally) {
    this.#grouping = grouping;
    this.#newTally = newTally;
  }

  add(entry: CensusEntry, held: Tally): void {
    for (const [key, process] of keysOf(entry, this.#grouping)) {
      const sum = this.#sums.get(key) ?? { process, sockets: 0, tally: this.#newTally() };
      this.#sums.set(key, sum);
      sum.sockets++;
      sum.tally.add(held);
    }
  }

  /**
   * Returns the groups, largest first.
   *
   * @param missed whether sockets or their holders are missing, possibly from any group
   * @param freed returns the memory freed if a process is killed
   */
  groups(missed: boolean, freed: (pid: number) => Freed): Group[] {
    const freedBy = (pid: number): Freed => {
      const bounds = freed(pid);
      return missed ? atLeastFreed(bounds) : bounds;
    };
    const groups = [...this.#sums].map(([key, { process, sockets, tally }]) => {
      const total = tally.figures();
      return {
        key,
        pid: process?.pid ?? null,
        comm: process?.comm ?? null,
        sockets,
        total: missed ? { ...total, complete: false } : total,
        freedIfKilled: process === null ? null : freedBy(process.pid),
        ...tally.ownership(),
      };
    });
    return groups.sort((a, b) => b.total.pinnedBytes - a.total.pinnedBytes || (a.key < b.key ? -1 : 1));
  }
}

/** `comm` is untrusted. */
type Process = Pick<CensusOwner, 'pid' | 'comm'>;

/**
 * Returns the group keys of a socket, with the process of each, if it is one. Keys are for display, and
 * untrusted if they contain a comm or a path.
 */
function keysOf(entry: CensusEntry, grouping: Grouping): ReadonlyMap<string, Process | null> {
  const single = (key: string) => new Map([[key, null]]);
  const { socket } = entry;
  const owners = ownersOf(entry);
  switch (grouping) {
    case 'process':
      if (owners.length === 0) return single(UNOWNED[entry.keeper]);
      return new Map(owners.map(({ pid, comm }) => [`${pid} ${comm}`, { pid, comm }]));
    case 'cgroup':
      if (owners.length === 0) return single(UNOWNED[entry.keeper]);
      return new Map(owners.map(({ cgroup }) => [cgroup ?? '(unreadable)', null]));
    case 'netns':
      return single(socket.netns === null ? 'unknown' : String(socket.netns));
    case 'port':
      return single(portsOf(socket)[0]?.toString() ?? '(none)');
    case 'family':
      return single(`${socket.family} ${socket.protocol}`);
    case 'state':
      return single(socket.state);
  }
}

/**
 * The processes that have it open; otherwise those that map it; otherwise those that have its MPTCP
 * connection open.
 */
export function ownersOf(entry: CensusEntry): readonly CensusOwner[] {
  const { holders, mappedBy, connectionHolders } = entry;
  return [holders, mappedBy, connectionHolders].find(({ length }) => length > 0) ?? [];
}

/** Kind of object that keeps a socket that no process has open or maps. */
export type Keeper = 'listener' | 'message' | 'io_uring' | 'connection' | 'nothing' | 'kernel' | 'unknown';

/** Returns the keeper of a socket; `nothing` only if the sock itself records that it has no socket. */
export function keptBy(socket: CountedSocket): Keeper {
  if (socket.acceptedFrom !== undefined) return 'listener';
  if (socket.carriedBy.length > 0) return 'message';
  if (socket.registeredWith.length > 0) return 'io_uring';
  if (socket.subflowOf !== undefined) return 'connection';
  if (socket.inode === 0) return 'nothing';
  return socket.inode !== null && socket.file === 0n ? 'kernel' : 'unknown';
}

/** Group keys of sockets without an owner process. */
export const UNOWNED: Readonly<Record<Keeper, string>> = {
  listener: '(in accept queue)',
  message: '(sockets in an unread message)',
  io_uring: '(registered with io_uring)',
  connection: '(MPTCP subflow)',
  nothing: '(orphan)',
  kernel: '(kernel)',
  unknown: '(owner unknown)',
};

/** One socket of the machine, and what only groups and text need. */
export interface CensusEntry extends ListedSocket {
  readonly keeper: Keeper;
  /** For a subflow: processes that have its MPTCP connection open. */
  readonly connectionHolders: readonly CensusHolder[];
}

/** Returns what JSON has. */
export const listedSocket = ({ keeper: _, connectionHolders: __, ...listed }: CensusEntry): ListedSocket => listed;

/** Ways to group sockets. */
const GROUPINGS = ['process', 'cgroup', 'netns', 'port', 'family', 'state'] as const;
export type Grouping = (typeof GROUPINGS)[number];
