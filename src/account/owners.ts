import type { CensusEntryJson } from '../answers/schema.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import { atLeastFreed, type Freed } from './kill-impact.js';
import { portsOf, type SocketAccount } from './socket.js';
import type { Figures, Ownership, Tally } from './tally.js';

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
        ownership: tally.ownership(),
        freedIfKilled: process === null ? null : freedBy(process.pid),
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
  const one = (key: string) => new Map([[key, null]]);
  const { socket } = entry;
  const owners = ownersOf(entry);
  switch (grouping) {
    case 'process':
      if (owners.length === 0) return one(unownedKey(entry));
      return new Map(owners.map(({ pid, comm }) => [`${pid} ${comm}`, { pid, comm }]));
    case 'cgroup':
      if (owners.length === 0) return one(unownedKey(entry));
      return new Map(owners.map(({ cgroup }) => [cgroup ?? '(unreadable)', null]));
    case 'netns':
      return one(socket.netns === null ? 'unknown' : String(socket.netns));
    case 'port':
      return one(portsOf(socket).local ?? '(none)');
    case 'family':
      return one(`${socket.family} ${socket.protocol}`);
    case 'state':
      return one(socket.state);
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

function unownedKey(entry: CensusEntry): string {
  return UNOWNED[keptBy(entry)];
}

/** Kind of object that keeps a socket that no process has open or maps. */
export type Keeper = 'listener' | 'message' | 'io_uring' | 'connection' | 'nothing' | 'kernel' | 'unknown';

/** Returns the keeper of a socket; `nothing` only if the sock itself records that it has no socket. */
export function keptBy(entry: CensusEntry): Keeper {
  if (entry.acceptedFrom !== undefined) return 'listener';
  if (entry.carriedBy.length > 0) return 'message';
  if (entry.registeredWith.length > 0) return 'io_uring';
  if (entry.subflowOf !== undefined) return 'connection';
  if (entry.socket.inode === 0) return 'nothing';
  return entry.socket.inode !== null && entry.socket.file === 0n ? 'kernel' : 'unknown';
}

/** Group keys of sockets without an owner process. */
export const UNOWNED: Readonly<Record<Keeper, string>> = {
  listener: '(in accept queue)',
  message: '(in unread message: SCM_RIGHTS)',
  io_uring: '(registered with io_uring)',
  connection: '(MPTCP subflow)',
  nothing: '(orphan)',
  kernel: '(kernel)',
  unknown: '(owner unknown)',
};

/** A process that references a socket. */
export type CensusOwner = CensusEntryJson['mappedBy'][number];

/** A process that holds a socket. */
export type CensusHolder = CensusEntryJson['holders'][number];

/** One socket of the machine, with its memory. */
export interface CensusEntry
  extends SocketAccount,
    Pick<CountedSocket, 'foundBy' | 'acceptedFrom' | 'subflowOf' | 'carriedBy' | 'registeredWith' | 'fileReferences'> {
  readonly holders: readonly CensusHolder[];
  /** Processes that map its file, once for each mapping. */
  readonly mappedBy: readonly CensusOwner[];
  /** For a subflow: processes that have its MPTCP connection open. */
  readonly connectionHolders: readonly CensusHolder[];
}

/** Ways to group sockets. */
const GROUPINGS = ['process', 'cgroup', 'netns', 'port', 'family', 'state'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** Memory that the sockets of a group pin together. A socket that two processes hold is in both groups. */
export interface Group {
  readonly key: string;
  /** Process; comm is untrusted. Null: the group is not a process. */
  readonly pid: number | null;
  readonly comm: string | null;
  readonly sockets: number;
  readonly total: Figures;
  readonly ownership: Ownership;
  /** Memory freed if it is killed; null: the group is not a process. */
  readonly freedIfKilled: Freed | null;
}
