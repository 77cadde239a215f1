import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import { Census, type CountedSocket } from '../walk/census.js';
import { incompleteness } from '../walk/incompleteness.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import type { Figures } from './figures.js';
import { type SocketAccount, SocketAccountant } from './socket.js';
import { Tally } from './tally.js';

/** One socket of the machine, accounted for. */
export interface CensusEntry extends SocketAccount, Pick<CountedSocket, 'holders' | 'foundBy'> {
  readonly acceptedFrom: bigint | undefined;
  readonly carriedBy: readonly bigint[];
}

/** The answer to `sockets`: every socket of the machine, what pins most first. */
export interface CensusAnswer {
  readonly kernel: KernelFacts;
  readonly sockets: readonly CensusEntry[];
  /** Over all of them; what several share is counted once. */
  readonly total: Figures;
  readonly warnings: readonly Warning[];
}

/**
 * Every socket of the machine. One that cannot be read is a warning.
 *
 * @param progress told now and then which part of the search is done, 0 to 1
 * @throws {KernelError} `unsupported-layout`, `no-symbols`
 */
export function accountAll(kernel: Kernel, progress?: (part: number) => void): CensusAnswer {
  const warnings = new Warnings();
  const accountant = new SocketAccountant(kernel);
  const sum = new Tally(kernel.facts.pageSize, warnings);
  const sockets: CensusEntry[] = [];
  for (const found of new Census(kernel, warnings).take(progress)) {
    try {
      const { holders, foundBy, acceptedFrom, carriedBy, ...socket } = found;
      const account = accountant.account(socket, { warnings, sum });
      sockets.push({ ...account, holders, foundBy, acceptedFrom, carriedBy });
    } catch (error) {
      const message = `sock 0x${found.sock.toString(16)}: ${(error as Error).message}`;
      sum.incomplete(incompleteness(error), message);
    }
  }
  sockets.sort(
    (a, b) =>
      b.total.pinnedBytes - a.total.pinnedBytes ||
      a.socket.inode - b.socket.inode ||
      (a.socket.sock < b.socket.sock ? -1 : 1),
  );
  return { kernel: kernel.facts, sockets, total: sum.figures(), warnings: warnings.list() };
}
