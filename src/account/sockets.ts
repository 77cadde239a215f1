import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import { Census, type CountedSocket } from '../walk/census.js';
import { CgroupReader } from '../walk/cgroup.js';
import type { Holder } from '../walk/descriptors.js';
import { incompleteness } from '../walk/incompleteness.js';
import { NetworkPages } from '../walk/network-pages.js';
import type { Task } from '../walk/tasks.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import type { CensusEntry, CensusHolder, CensusOwner, Group, Grouping } from './census-entry.js';
import { Deaths } from './deaths.js';
import type { Figures } from './figures.js';
import type { Held } from './held.js';
import { Owners } from './owners.js';
import { SocketAccountant } from './socket.js';
import { Tally } from './tally.js';
import { type Unexplained, unexplained } from './unexplained.js';

/** The answer to `sockets`: every socket of the machine, what pins most first. */
export interface CensusAnswer {
  readonly kernel: KernelFacts;
  readonly sockets: readonly CensusEntry[];
  /** What pins most first. Processes are always counted, since the headline names the first. */
  readonly groups: Readonly<Partial<Record<Grouping, readonly Group[]>>>;
  /** Over all of them; what several share is counted once. */
  readonly total: Figures;
  /** What of the network's memory is in no socket's queue. */
  readonly unexplained: readonly Unexplained[];
  readonly warnings: readonly Warning[];
}

export interface CensusOptions {
  readonly by?: Grouping | undefined;
  /** Which sockets are added up by that; all of them, unless told. */
  readonly select?: (entry: CensusEntry) => boolean;
  /** Told now and then which part of the search is done, 0 to 1. */
  readonly progress?: (part: number) => void;
}

/**
 * Every socket of the machine. One that cannot be read is a warning.
 *
 * @throws {KernelError} `unsupported-layout`, `no-symbols`
 */
export function accountAll(
  kernel: Kernel,
  { by, select = () => true, progress }: CensusOptions = {},
): CensusAnswer {
  const { pageSize } = kernel.facts;
  const warnings = new Warnings();
  const sum = new Tally(pageSize, warnings);
  const newTally = () => new Tally(pageSize, new Warnings());
  const processes = by === 'process' ? undefined : new Owners('process', newTally);
  const chosen = by && new Owners(by, newTally);
  const deaths = new Deaths(newTally);
  const sockets: CensusEntry[] = [];
  const missed = new Warnings();
  const seen = new NetworkPages(kernel);
  const all = new Census(kernel, missed).take(progress, seen);
  // Sockets that were not found are missing in every sum.
  for (const { code, message } of missed.list()) sum.incomplete(code, message);
  for (const { entry, found, held } of accountsOf(kernel, all, sum, warnings)) {
    sockets.push(entry);
    processes?.add(entry, held.all);
    if (select(entry)) chosen?.add(entry, held.all);
    deaths.add(found, held);
  }
  const anyMissed = missed.list().length > 0 || sockets.length < all.length;
  const groups: Partial<Record<Grouping, Group[]>> = {};
  for (const owners of [processes, chosen]) {
    if (owners) groups[owners.grouping] = owners.groups(anyMissed, (pid) => deaths.freed(pid));
  }
  sockets.sort(
    (a, b) =>
      b.total.pinnedBytes - a.total.pinnedBytes ||
      (a.socket.inode ?? 0) - (b.socket.inode ?? 0) ||
      (a.socket.sock < b.socket.sock ? -1 : 1),
  );
  return {
    kernel: kernel.facts,
    sockets,
    groups,
    total: sum.figures(),
    unexplained: unexplained(
      kernel,
      seen,
      sum,
      all.map(({ sock }) => sock),
    ),
    warnings: warnings.list(),
  };
}

/**
 * The same sockets one by one, as they are found, and nothing kept of them. Returns whether every one
 * was found and read whole.
 *
 * @param warnings take what could not be read
 * @throws as {@link accountAll}
 */
export function* accountEach(
  kernel: Kernel,
  warnings: Warnings,
  progress?: (part: number) => void,
): Generator<CensusEntry, boolean> {
  const sum = new Tally(kernel.facts.pageSize, warnings);
  const missed = new Warnings();
  const all = new Census(kernel, missed).take(progress);
  for (const { code, message } of missed.list()) sum.incomplete(code, message);
  let complete = true;
  for (const { entry } of accountsOf(kernel, all, sum, warnings, false)) {
    complete &&= entry.total.complete;
    yield entry;
  }
  return complete && sum.figures().complete;
}

interface Accounted {
  readonly found: CountedSocket;
  readonly entry: CensusEntry;
  readonly held: Held;
}

/** @param add false: `sum` takes only what is incomplete in whole */
function* accountsOf(
  kernel: Kernel,
  all: readonly CountedSocket[],
  sum: Tally,
  warnings: Warnings,
  add = true,
): Generator<Accounted> {
  const accountant = new SocketAccountant(kernel);
  const cgroups = new CgroupReader(kernel);
  const sums = add ? [sum] : [];
  const ownerOf = ({ address, pid, comm }: Task): CensusOwner => ({
    pid,
    comm,
    cgroup: cgroupOf(cgroups, address, warnings),
  });
  const holderOf = ({ task, fd }: Holder): CensusHolder => ({ ...ownerOf(task), fd });
  const connections = new Map<bigint, readonly Holder[]>();
  const subflows = new Set(all.map(({ subflowOf }) => subflowOf));
  for (const { sock, holders } of all) if (subflows.has(sock)) connections.set(sock, holders);
  for (const found of all) {
    let told: Accounted;
    try {
      const { file, sock, inode, fileReferences } = found;
      const socket = { file, sock, inode, fileReferences };
      const { account, held } = accountant.accountWithTallies(socket, { warnings, sums });
      const { foundBy, acceptedFrom, subflowOf, carriedBy, registeredWith } = found;
      const entry = {
        ...account,
        holders: found.holders.map(holderOf),
        mappedBy: found.mappedBy.map(ownerOf),
        connectionHolders: (connections.get(subflowOf ?? 0n) ?? []).map(holderOf),
        ...{ foundBy, acceptedFrom, subflowOf, carriedBy, registeredWith, fileReferences },
      };
      told = { found, entry, held };
    } catch (error) {
      const message = `sock 0x${found.sock.toString(16)}: ${(error as Error).message}`;
      sum.incomplete(incompleteness(error), message);
      continue;
    }
    yield told;
  }
}

function cgroupOf(reader: CgroupReader, task: bigint, warnings: Warnings): string | null {
  try {
    return reader.path(task);
  } catch (error) {
    const message = `the cgroup of task 0x${task.toString(16)}: ${(error as Error).message}`;
    warnings.add(incompleteness(error), message);
    return null;
  }
}
