import type { CensusEntryJson } from '../answers/schema.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import type { Figures } from './figures.js';
import type { Freed } from './freed.js';
import type { SocketAccount } from './socket.js';
import type { Ownership } from './tally.js';

/** A process that references a socket. */
export type CensusOwner = CensusEntryJson['mappedBy'][number];

/** A process that holds a socket. */
export type CensusHolder = CensusEntryJson['holders'][number];

/** One socket of the machine, with its memory. */
export interface CensusEntry
  extends SocketAccount,
    Pick<
      CountedSocket,
      'foundBy' | 'acceptedFrom' | 'subflowOf' | 'carriedBy' | 'registeredWith' | 'fileReferences'
    > {
  readonly holders: readonly CensusHolder[];
  /** Processes that map its file, once for each mapping. */
  readonly mappedBy: readonly CensusOwner[];
  /** For a subflow: processes that have its MPTCP connection open. */
  readonly connectionHolders: readonly CensusHolder[];
}

/** Ways to group sockets. */
export const GROUPINGS = ['process', 'cgroup', 'netns', 'port', 'family', 'state'] as const;
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
