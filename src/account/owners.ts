import type { CensusEntry, Group, Grouping } from './sockets.js';
import type { Tally } from './tally.js';

/** Between so many bytes go back to the allocators. */
export interface Freed {
  /** All references to these were found on what would go. */
  readonly low: number;
  /** All that hangs on what would go, if whoever shares it lets go as well. */
  readonly high: number;
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
  /** By pid, as the key of a group: what would go with the process. */
  readonly #dying = new Map<string, Tally>();
  readonly #listeners = new Map<bigint, string>();
  readonly #pending: { readonly listener: bigint; readonly tally: Tally }[] = [];

  constructor(groupings: readonly Grouping[], newTally: () => Tally) {
    this.#groupings = groupings;
    this.#newTally = newTally;
  }

  add(entry: CensusEntry, tally: Tally): void {
    for (const grouping of this.#groupings) {
      const sums = this.#sums.get(grouping) ?? new Map<string, Sum>();
      this.#sums.set(grouping, sums);
      for (const key of keysOf(entry, grouping)) {
        const sum = sums.get(key) ?? { sockets: 0, tally: this.#newTally() };
        sums.set(key, sum);
        sum.sockets++;
        sum.tally.add(tally);
      }
    }
    const only = soleProcess(entry);
    if (only !== undefined) {
      this.#dies(only, tally);
      if (entry.socket.state === 'LISTEN') this.#listeners.set(entry.socket.sock, only);
    }
    if (entry.acceptedFrom !== undefined) {
      this.#pending.push({ listener: entry.acceptedFrom, tally });
    }
  }

  /** Each grouping's groups, what pins most first. */
  groups(): Partial<Record<Grouping, Group[]>> {
    // Connections that nobody has accepted go with their listener.
    for (const { listener, tally } of this.#pending.splice(0)) {
      const owner = this.#listeners.get(listener);
      if (owner !== undefined) this.#dies(owner, tally);
    }
    const all: Partial<Record<Grouping, Group[]>> = {};
    for (const [grouping, sums] of this.#sums) {
      all[grouping] = [...sums]
        .map(([key, { sockets, tally }]) => ({
          key,
          sockets,
          total: tally.figures(),
          ownership: tally.ownership(),
          freedIfKilled: grouping === 'process' ? this.#freed(key) : null,
        }))
        .sort((a, b) => b.total.pinnedBytes - a.total.pinnedBytes || (a.key < b.key ? -1 : 1));
    }
    return all;
  }

  #dies(process: string, tally: Tally): void {
    const dying = this.#dying.get(process) ?? this.#newTally();
    this.#dying.set(process, dying);
    dying.add(tally);
  }

  #freed(process: string): Freed {
    const dying = this.#dying.get(process);
    return dying
      ? { low: dying.ownership().exclusiveBytes, high: dying.figures().pinnedBytes }
      : { low: 0, high: 0 };
  }
}

/**
 * The process with which a socket goes: the only one that holds it, at as many descriptors as its
 * file has references. One more reference is another process's table, a message or a system call.
 */
function soleProcess(entry: CensusEntry): string | undefined {
  const [first] = keysOf(entry, 'process');
  if (first === undefined || entry.holders.length === 0) return undefined;
  const alone = entry.holders.every(({ pid }) => pid === entry.holders[0]?.pid);
  return alone && entry.fileReferences <= entry.holders.length ? first : undefined;
}

/** Under which keys a socket counts. Keys are for people, and hostile where comm or path are. */
function keysOf(entry: CensusEntry, grouping: Grouping): Iterable<string> {
  const { socket, holders, acceptedFrom } = entry;
  const nobody =
    acceptedFrom !== undefined
      ? '(waiting to be accepted)'
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
