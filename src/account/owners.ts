import { Deaths, type Held } from './deaths.js';
import type { CensusEntry, Group, Grouping } from './sockets.js';
import type { Tally } from './tally.js';

/** Between so many bytes go back to the allocators. */
export interface Freed {
  /** All references to these were found on what would go. */
  readonly low: number;
  /** All that hangs on what would go, if whoever shares it lets go as well. */
  readonly high: number;
  /** Of what lies between: page pools of drivers take this back, and may keep it for new packets. */
  readonly toPools: number;
}

interface Sum {
  sockets: number;
  readonly tally: Tally;
}

/** Adds sockets up by what they have in common. */
export class Owners {
  readonly #groupings: readonly Grouping[];
  readonly #newTally: () => Tally;
  readonly #sums = new Map<Grouping, Map<string, Sum>>();
  readonly #deaths: Deaths;

  constructor(groupings: readonly Grouping[], newTally: () => Tally) {
    this.#groupings = groupings;
    this.#newTally = newTally;
    this.#deaths = new Deaths(newTally);
  }

  add(entry: CensusEntry, held: Held): void {
    for (const grouping of this.#groupings) {
      const sums = this.#sums.get(grouping) ?? new Map<string, Sum>();
      this.#sums.set(grouping, sums);
      for (const key of keysOf(entry, grouping)) {
        const sum = sums.get(key) ?? { sockets: 0, tally: this.#newTally() };
        sums.set(key, sum);
        sum.sockets++;
        sum.tally.add(held.all);
      }
    }
    this.#deaths.add(entry, held);
  }

  /** Each grouping's groups, what pins most first. */
  groups(): Partial<Record<Grouping, Group[]>> {
    const all: Partial<Record<Grouping, Group[]>> = {};
    for (const [grouping, sums] of this.#sums) {
      all[grouping] = [...sums]
        .map(([key, { sockets, tally }]) => ({
          key,
          sockets,
          total: tally.figures(),
          ownership: tally.ownership(),
          freedIfKilled:
            grouping === 'process' ? this.#deaths.freed(Number.parseInt(key, 10)) : null,
        }))
        .sort((a, b) => b.total.pinnedBytes - a.total.pinnedBytes || (a.key < b.key ? -1 : 1));
    }
    return all;
  }
}

/** Under which keys a socket counts. Keys are for people, and hostile where comm or path are. */
function keysOf(entry: CensusEntry, grouping: Grouping): Iterable<string> {
  const { socket, holders, acceptedFrom, subflowOf, carriedBy, registeredWith } = entry;
  const nobody =
    acceptedFrom !== undefined
      ? '(waiting to be accepted)'
      : subflowOf !== undefined
        ? '(part of an MPTCP connection)'
        : carriedBy.length > 0
          ? '(in a message: SCM_RIGHTS)'
          : registeredWith.length > 0
            ? '(registered with io_uring)'
            : socket.inode === 0
              ? '(no process: orphan)'
              : socket.file === 0n
                ? '(kernel)'
                : '(no descriptor)';
  switch (grouping) {
    case 'process':
      if (holders.length === 0) return [nobody];
      return new Set(holders.map(({ pid, comm }) => `${pid} ${comm}`));
    case 'cgroup':
      if (holders.length === 0) return [nobody];
      return new Set(holders.map(({ cgroup }) => cgroup ?? '(unreadable)'));
    case 'netns':
      return [socket.netns === null ? 'not known' : String(socket.netns)];
    case 'port':
      return [/:(\d+)$/.exec(socket.local ?? '')?.[1] ?? '(none)'];
    case 'family':
      return [`${socket.family} ${socket.protocol}`];
    case 'state':
      return [socket.state];
  }
}
