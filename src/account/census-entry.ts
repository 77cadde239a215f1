import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import type { Figures } from './figures.js';
import type { Freed } from './freed.js';
import type { SocketAccount } from './socket.js';
import type { Ownership } from './tally.js';

/** A process that has a socket. */
export interface CensusOwner {
  readonly pid: number;
  /** Hostile. */
  readonly comm: string;
  /** Path of its cgroup; null where it could not be read. Hostile. */
  readonly cgroup: string | null;
}

/** A process that holds a socket. */
export interface CensusHolder extends CensusOwner {
  readonly fd: number;
}

/** One socket of the machine, accounted for. */
export interface CensusEntry
  extends SocketAccount,
    Pick<
      CountedSocket,
      'foundBy' | 'acceptedFrom' | 'subflowOf' | 'carriedBy' | 'registeredWith' | 'fileReferences'
    > {
  readonly holders: readonly CensusHolder[];
  /** Those that map its file, once a mapping. */
  readonly mappedBy: readonly CensusOwner[];
  /** Of a subflow: who has its connection open. */
  readonly connectionHolders: readonly CensusHolder[];
}

/** What sockets can be grouped by. */
export const GROUPINGS = ['process', 'cgroup', 'netns', 'port', 'family', 'state'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** What the sockets of a group pin together. A socket that two processes hold is in both groups. */
export interface Group {
  readonly key: string;
  /** Of a process; comm is hostile. Null: the group is none. */
  readonly pid: number | null;
  readonly comm: string | null;
  readonly sockets: number;
  readonly total: Figures;
  readonly ownership: Ownership;
  /** What goes back if it is killed; null: the group is no process. */
  readonly freedIfKilled: Freed | null;
}
