import { hex } from '../base/util.js';
import type { CensusHolder, CensusOwner, Group, SocketsAnswer } from '../contracts/sockets.js';
import { kernelIdentity } from '../kernel/identity.js';
import type { Kernel } from '../kernel/kernel.js';
import { FreeLists } from '../walk/memory/zones.js';
import { NetworkPages } from '../walk/network/network-pages.js';
import type { FramesTest } from '../walk/pages/slab-scan.js';
import { Census } from '../walk/sockets/census.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import { LoopbackConnections } from '../walk/sockets/loopback.js';
import { CgroupReader } from '../walk/tasks/cgroup.js';
import type { Holder } from '../walk/tasks/descriptors.js';
import type { Task } from '../walk/tasks/tasks.js';
import { addError, incompleteness, Warnings } from '../walk/warnings.js';
import type { Holdings } from './holdings.js';
import { type KilledWith, KillImpact } from './kill-impact.js';
import { outsideQueues } from './outside-queues/outside-queues.js';
import type { OutsideRow } from './outside-queues/row.js';
import { type CensusEntry, type Grouping, keptBy, Owners } from './owners.js';
import { SocketAccountant } from './socket.js';
import { Tally } from './tally.js';

/** Machine-wide part of a census. */
export interface CensusWhole extends Pick<SocketsAnswer, 'kernel' | 'totals' | 'warnings'> {
  /** Network memory outside socket queues. */
  readonly outsideQueues: readonly OutsideRow[];
  /** Nothing is missing, in the total or outside queues. */
  readonly complete: boolean;
}

/** The answer to `sockets`: every socket of the machine, largest first. */
export interface CensusAnswer extends CensusWhole {
  readonly sockets: readonly CensusEntry[];
  /** Every process with sockets, and other keepers; the largest first. */
  readonly processes: readonly Group[];
  /** Groups of the selected sockets, largest first; undefined without grouping. */
  readonly groups: readonly Group[] | undefined;
}

export interface CensusOptions {
  readonly by?: Grouping | undefined;
  /** Returns whether a socket is included in the groups; undefined: all are. */
  readonly select?: ((entry: CensusEntry) => boolean) | undefined;
  /** Group that is killed together, for `freedIfKilled`; undefined: each process alone. */
  readonly killedWith?: KilledWith | undefined;
  /** Called now and then with the completed part of the search, 0 to 1. */
  readonly progress?: ((part: number) => void) | undefined;
  /** Frames that an earlier scan found to be neither slabs nor pages of the network. */
  readonly isKnown?: FramesTest | undefined;
  /** Whether `onSocket` receives the address of every slot. */
  readonly keepsSlots?: boolean | undefined;
  /** Receives the holdings of each socket as they are found. */
  readonly onSocket?: (entry: CensusEntry, tally: Tally) => void;
  /** Receives the holdings of all sockets, then the additional ones of each row. */
  readonly onHeld?: (by: 'sockets' | OutsideRow, tally: Tally) => void;
}

/** Returns every socket of the machine. An unreadable socket is a warning. */
export function accountAll(
  kernel: Kernel,
  { by, select, killedWith, progress, isKnown, keepsSlots, onSocket, onHeld }: CensusOptions = {},
): CensusAnswer {
  const newTally = () => new Tally(kernel.facts.pageSize, new Warnings());
  const processes = new Owners('process', newTally);
  const isSame = by === 'process' && select === undefined;
  const chosen = by === undefined || isSame ? undefined : new Owners(by, newTally);
  const impact = new KillImpact(newTally, killedWith);
  const sockets: CensusEntry[] = [];
  const census = new AccountedCensus(kernel, { progress, isKnown });
  for (const { entry, found: socket, held } of census.accounts(keepsSlots)) {
    sockets.push(entry);
    onSocket?.(entry, held.all);
    processes.add(entry, held.all);
    if (select === undefined || select(entry)) chosen?.add(entry, held.all);
    impact.add(socket, held);
  }
  const groupsOf = (owners: Owners) => owners.groups(census.anyMissed, (pid) => impact.freed(pid));
  const everyProcess = groupsOf(processes);
  sockets.sort(
    (a, b) =>
      b.total.pinnedBytes - a.total.pinnedBytes ||
      (a.socket.inode ?? 0) - (b.socket.inode ?? 0) ||
      (a.socket.sock < b.socket.sock ? -1 : 1),
  );
  return {
    ...census.whole(onHeld),
    sockets,
    processes: everyProcess,
    groups: isSame ? everyProcess : chosen && groupsOf(chosen),
  };
}

/**
 * Yields the same sockets as they are found, and stores only what the totals need.
 *
 * @throws as {@link accountAll}
 */
export function* accountEach(kernel: Kernel, progress?: (part: number) => void): Generator<CensusEntry, CensusWhole> {
  const census = new AccountedCensus(kernel, { progress });
  for (const { entry } of census.accounts()) yield entry;
  return census.whole();
}

interface Accounted {
  readonly found: CountedSocket;
  readonly entry: CensusEntry;
  readonly held: Holdings;
}

/** Accounts for each socket in turn, and sums them. */
class AccountedCensus {
  readonly #kernel: Kernel;
  readonly #seen: NetworkPages;
  readonly #all: readonly CountedSocket[];
  readonly #missed: Warnings;
  readonly #warnings = new Warnings();
  readonly #sum: Tally;
  readonly #loopback = new LoopbackConnections();
  #count = 0;

  constructor(kernel: Kernel, scan: Pick<CensusOptions, 'progress' | 'isKnown'>) {
    this.#kernel = kernel;
    this.#missed = new Warnings(kernel.doubts);
    this.#sum = new Tally(kernel.facts.pageSize, this.#warnings);
    this.#seen = new NetworkPages(kernel);
    const free = scan.isKnown ? undefined : FreeLists.of(kernel);
    const isKnown = scan.isKnown ?? (free && ((frame, count) => free.around(frame, count).length > 0));
    this.#all = new Census(kernel, this.#missed).take({ ...scan, isKnown, look: this.#seen });
    // Sockets that were not found are missing from every sum.
    this.#sum.without(this.#missed);
  }

  /** Whether some sockets were not found or not read, or have unknown holders. */
  get anyMissed(): boolean {
    return !this.#missed.complete || this.#count < this.#all.length;
  }

  *accounts(keepsSlots?: boolean): Generator<Accounted> {
    const accountant = new SocketAccountant(this.#kernel);
    const cgroups = new CgroupReader(this.#kernel);
    const options = { warnings: this.#warnings, sums: [this.#sum], keepsSlots };
    const ownerOf = ({ address, pid, comm }: Task): CensusOwner => ({
      pid,
      comm,
      cgroup: cgroupOf(cgroups, address, this.#warnings),
    });
    const holderOf = ({ task, fd }: Holder): CensusHolder => ({ ...ownerOf(task), fd });
    const connections = new Map<bigint, readonly Holder[]>();
    const subflows = new Set(this.#all.map(({ subflowOf }) => subflowOf));
    for (const { sock, holders } of this.#all) if (subflows.has(sock)) connections.set(sock, holders);
    for (const socket of this.#all) {
      let accounted: Accounted;
      try {
        const { account, held } = accountant.account(socket, options);
        const { acceptedFrom, subflowOf } = socket;
        const entry = {
          ...account,
          holders: socket.holders.map(holderOf),
          mappedBy: socket.mappedBy.map(ownerOf),
          foundBy: socket.foundBy,
          acceptedFrom: acceptedFrom ?? null,
          subflowOf: subflowOf ?? null,
          carriedBy: socket.carriedBy,
          registeredWith: socket.registeredWith.flatMap(({ holders }) =>
            holders.map(({ task: { pid, comm }, fd }) => ({ pid, comm, fd })),
          ),
          keeper: keptBy(socket),
          connectionHolders: (connections.get(subflowOf ?? 0n) ?? []).map(holderOf),
        };
        accounted = { found: socket, entry, held };
      } catch (error) {
        const message = `sock ${hex(socket.sock)}: ${(error as Error).message}`;
        this.#sum.incomplete(incompleteness(error), message);
        continue;
      }
      this.#count++;
      this.#loopback.add(socket.sock, accounted.entry.socket);
      yield accounted;
    }
  }

  /** Returns the totals; complete only after the last socket was accounted for. */
  whole(onHeld?: CensusOptions['onHeld']): CensusWhole {
    // The pages of a live kernel are read at other times than the skbs that reference them.
    if (!this.#kernel.facts.live) {
      this.#sum.checkReferences();
      for (const message of this.#loopback.contradictions(this.#kernel)) this.#sum.incomplete('corrupt', message);
    }
    const socks = this.#all.map(({ sock }) => sock);
    const total = this.#sum.figures();
    onHeld?.('sockets', this.#sum);
    const rows: OutsideRow[] = [];
    for (const { row, holds } of outsideQueues(this.#kernel, this.#seen, this.#sum, socks)) {
      rows.push(row);
      if (holds) onHeld?.(row, holds);
    }
    return {
      kernel: kernelIdentity(this.#kernel.facts),
      totals: { sockets: this.#count, ...total },
      outsideQueues: rows,
      complete: total.complete && rows.every(({ complete }) => complete),
      warnings: this.#warnings.list(),
    };
  }
}

function cgroupOf(reader: CgroupReader, task: bigint, warnings: Warnings): string | null {
  try {
    return reader.path(task);
  } catch (error) {
    addError(warnings, `the cgroup of task ${hex(task)}`, error);
    return null;
  }
}
