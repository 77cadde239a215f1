import { hex } from '../base/hex.js';
import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import type { Origin } from '../records/sample-origin.js';
import { incompleteness } from '../walk/incompleteness.js';
import { NetworkPages } from '../walk/pages/network-pages.js';
import { Census } from '../walk/sockets/census.js';
import type { CountedSocket } from '../walk/sockets/found-sockets.js';
import { CgroupReader } from '../walk/tasks/cgroup.js';
import type { Holder } from '../walk/tasks/descriptors.js';
import type { Task } from '../walk/tasks/tasks.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import type { CensusEntry, CensusHolder, CensusOwner, Group, Grouping } from './census-entry.js';
import type { Figures } from './figures.js';
import type { Holdings } from './holdings.js';
import { type KilledWith, KillImpact } from './kill-impact.js';
import { ledger } from './ledger/ledger.js';
import type { LedgerRow } from './ledger/row.js';
import { Owners } from './owners.js';
import { SocketAccountant } from './socket.js';
import { Tally } from './tally.js';

/** What a census says of the machine as a whole. */
export interface CensusWhole {
  readonly kernel: KernelFacts;
  /** When, and of which boot; undefined: nobody asked. */
  readonly origin?: Origin;
  /** How many sockets were read. */
  readonly count: number;
  /** Over all of them; what several share is counted once. */
  readonly total: Figures;
  /** What of the network's memory is in no socket's queue. */
  readonly outsideQueues: readonly LedgerRow[];
  /** Nothing of all this is missing: neither of the total nor of what is in no queue. */
  readonly complete: boolean;
  readonly warnings: readonly Warning[];
}

/** The answer to `sockets`: every socket of the machine, what pins most first. */
export interface CensusAnswer extends CensusWhole {
  readonly sockets: readonly CensusEntry[];
  /** Every process that has sockets, and what else keeps some; what pins most first. */
  readonly processes: readonly Group[];
  /** The chosen sockets by what was asked for, what pins most first; undefined: nothing was. */
  readonly groups: readonly Group[] | undefined;
}

export interface CensusOptions {
  readonly by?: Grouping | undefined;
  /** Which sockets are added up by that; undefined: all of them. */
  readonly select?: ((entry: CensusEntry) => boolean) | undefined;
  /** What is killed as one, for `freedIfKilled`; undefined: each process by itself. */
  readonly killedWith?: KilledWith | undefined;
  /** Told now and then which part of the search is done, 0 to 1. */
  readonly progress?: (part: number) => void;
  /** Whether what `onSocket` is told has the address of every slot. */
  readonly keepsSlots?: boolean | undefined;
  /** Told what each socket holds, as they are found. */
  readonly onSocket?: (entry: CensusEntry, tally: Tally) => void;
  /** Told what all sockets hold, then what each row of the ledger holds that nothing before does. */
  readonly onHeld?: (by: 'sockets' | LedgerRow, tally: Tally) => void;
}

/**
 * Every socket of the machine. One that cannot be read is a warning.
 *
 * @throws {KernelError} `unsupported-layout`, `no-symbols`
 */
export function accountAll(
  kernel: Kernel,
  { by, select, killedWith, progress, keepsSlots, onSocket, onHeld }: CensusOptions = {},
): CensusAnswer {
  const newTally = () => new Tally(kernel.facts.pageSize, new Warnings());
  const processes = new Owners('process', newTally);
  const isSame = by === 'process' && select === undefined;
  const chosen = by === undefined || isSame ? undefined : new Owners(by, newTally);
  const impact = new KillImpact(newTally, killedWith);
  const sockets: CensusEntry[] = [];
  const census = new AccountedCensus(kernel, progress);
  for (const { entry, found, held } of census.accounts(keepsSlots)) {
    sockets.push(entry);
    onSocket?.(entry, held.all);
    processes.add(entry, held.all);
    if (select === undefined || select(entry)) chosen?.add(entry, held.all);
    impact.add(found, held);
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
 * The same sockets one by one, as they are found, and nothing kept of them but what is needed to tell
 * the whole in the end.
 *
 * @throws as {@link accountAll}
 */
export function* accountEach(
  kernel: Kernel,
  progress?: (part: number) => void,
): Generator<CensusEntry, CensusWhole> {
  const census = new AccountedCensus(kernel, progress);
  for (const { entry } of census.accounts()) yield entry;
  return census.whole();
}

interface Accounted {
  readonly found: CountedSocket;
  readonly entry: CensusEntry;
  readonly held: Holdings;
}

/** Accounts for every socket in turn, and adds them up. */
class AccountedCensus {
  readonly #kernel: Kernel;
  readonly #seen: NetworkPages;
  readonly #all: readonly CountedSocket[];
  readonly #missed: Warnings;
  readonly #warnings = new Warnings();
  readonly #sum: Tally;
  #count = 0;

  constructor(kernel: Kernel, progress: ((part: number) => void) | undefined) {
    this.#kernel = kernel;
    this.#missed = new Warnings(kernel.doubts);
    this.#sum = new Tally(kernel.facts.pageSize, this.#warnings);
    this.#seen = new NetworkPages(kernel);
    this.#all = new Census(kernel, this.#missed).take(progress, this.#seen);
    // Sockets that were not found are missing in every sum.
    this.#sum.without(this.#missed);
  }

  /** Sockets were not found, or not read, or who has them is not known. */
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
    for (const { sock, holders } of this.#all)
      if (subflows.has(sock)) connections.set(sock, holders);
    for (const found of this.#all) {
      let told: Accounted;
      try {
        const { file, sock, inode, fileReferences } = found;
        const socket = { file, sock, inode, fileReferences };
        const { account, held } = accountant.accountWithTallies(socket, options);
        const { foundBy, acceptedFrom, subflowOf, carriedBy, registeredWith } = found;
        const entry = {
          ...account,
          holders: found.holders.map(holderOf),
          mappedBy: found.mappedBy.map(ownerOf),
          connectionHolders: (connections.get(subflowOf ?? 0n) ?? []).map(holderOf),
          foundBy,
          acceptedFrom,
          subflowOf,
          carriedBy,
          registeredWith,
          fileReferences,
        };
        told = { found, entry, held };
      } catch (error) {
        const message = `sock ${hex(found.sock)}: ${(error as Error).message}`;
        this.#sum.incomplete(incompleteness(error), message);
        continue;
      }
      this.#count++;
      yield told;
    }
  }

  /** To be asked for when all accounts were taken. */
  whole(onHeld?: CensusOptions['onHeld']): CensusWhole {
    // A live kernel's pages were read at other times than some of the skbs that lead to them.
    if (!this.#kernel.facts.live) this.#sum.checkReferences();
    const socks = this.#all.map(({ sock }) => sock);
    const total = this.#sum.figures();
    onHeld?.('sockets', this.#sum);
    const rows: LedgerRow[] = [];
    for (const { row, holds } of ledger(this.#kernel, this.#seen, this.#sum, socks)) {
      rows.push(row);
      if (holds) onHeld?.(row, holds);
    }
    return {
      kernel: this.#kernel.facts,
      count: this.#count,
      total,
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
    const message = `the cgroup of task ${hex(task)}: ${(error as Error).message}`;
    warnings.add(incompleteness(error), message);
    return null;
  }
}
