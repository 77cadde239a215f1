import { KdumpMemError } from '../base/error.js';
import { WalkError } from '../base/errors/walk.js';
import type { Kernel, KernelFacts } from '../kernel/kernel.js';
import { incompleteness } from '../walk/incompleteness.js';
import { type Socket, SocketFinder, socketOfSock } from '../walk/sockets/socket.js';
import { findFile, openFiles } from '../walk/tasks/files.js';
import { contradictions, findTask, taskTable } from '../walk/tasks/task-table.js';
import type { Task } from '../walk/tasks/tasks.js';
import { type Warning, Warnings } from '../walk/warnings.js';
import type { Figures } from './figures.js';
import type { Freed } from './freed.js';
import type { Holdings } from './holdings.js';
import { freedOf, freedOfProcess } from './kill.js';
import { type SocketAccount, SocketAccountant } from './socket.js';
import { Tally } from './tally.js';

export interface ProcessName {
  readonly pid: number;
  /** Hostile. */
  readonly comm: string;
}

/** The answer to `skb --pid --fd`, and to `skb --sock`, which leads through no process. */
export interface SkbAnswer extends SocketAccount {
  readonly kernel: KernelFacts;
  readonly process: ProcessName | null;
  readonly fd: number | null;
  /**
   * What goes back if the process is killed, of this socket and of what hangs on it: nothing where
   * another process has it too, perhaps nothing where it is not known what refers to it. Null: no
   * process was asked for, or the way back to the socket could not be read.
   */
  readonly freedIfKilled: Freed | null;
  readonly warnings: readonly Warning[];
}

/** The answer to `skb --pid`: every socket of a process, what pins most first. */
export interface ProcessAnswer {
  readonly kernel: KernelFacts;
  readonly process: ProcessName;
  readonly sockets: readonly (SocketAccount & { readonly fds: readonly number[] })[];
  /** Over all of them; what two sockets share is counted once. */
  readonly total: Figures;
  /** What goes back if the process is killed, also of sockets that it has without a descriptor. */
  readonly freedIfKilled: Freed;
  readonly warnings: readonly Warning[];
}

/**
 * What waits in the queues of the socket behind one descriptor.
 *
 * @throws {WalkError} if the process or the descriptor is not there or is no socket;
 *   {@link ReadError} or {@link KernelError} if the way to the socket cannot be read.
 */
export function accountFd(kernel: Kernel, pid: number, fd: number, keepSkbs = false): SkbAnswer {
  const task = findTask(kernel, pid);
  const finder = new SocketFinder(kernel);
  const socket = findSocket(kernel, finder, task, fd);
  const warnings = new Warnings(kernel.doubts);
  // Which process has the socket is part of the answer.
  for (const { code, message } of contradictions(taskTable(kernel))) warnings.add(code, message);
  const isSound = warnings.complete;
  const accountant = new SocketAccountant(kernel);
  const { account, held } = accountant.accountWithTallies(socket, { warnings, keepSkbs });
  return {
    kernel: kernel.facts,
    process: nameOf(task),
    fd,
    ...account,
    total: { ...account.total, complete: account.total.complete && isSound },
    freedIfKilled: freedOf(kernel, accountant, task, socket, held, warnings),
    warnings: warnings.list(),
  };
}

/** @throws {WalkError} `no-such-fd` or `not-a-socket`, with descriptors of the process that are some */
function findSocket(kernel: Kernel, finder: SocketFinder, task: Task, fd: number): Socket {
  let open = false;
  try {
    const { file } = findFile(kernel, task, fd);
    open = true;
    const socket = finder.find(file);
    if (socket) return socket;
  } catch (error) {
    if (!(error instanceof WalkError) || error.code !== 'no-such-fd') throw error;
  }
  const what = open ? 'is open but is not a socket' : 'is not open';
  throw new WalkError(
    open ? 'not-a-socket' : 'no-such-fd',
    `fd ${fd} of pid ${task.pid} ${what}; ${socketsOf(kernel, finder, task)}`,
  );
}

/** Descriptors that are looked at to name those of sockets. */
const MOST_LOOKED_AT = 4096;

/** Which descriptors of a process are sockets, in a few words. */
function socketsOf(kernel: Kernel, finder: SocketFinder, task: Task): string {
  const fds = new Set<number>();
  let looked = 0;
  let unread = false;
  try {
    for (const { fd, file } of openFiles(kernel, task)) {
      if (++looked > MOST_LOOKED_AT) break;
      try {
        if (finder.find(file) !== undefined) fds.add(fd);
      } catch (error) {
        if (!(error instanceof KdumpMemError)) throw error;
        unread = true;
      }
    }
  } catch (error) {
    if (!(error instanceof KdumpMemError)) throw error;
    unread = true;
  }
  const incomplete =
    unread || looked > MOST_LOOKED_AT ? ' (some of its files could not be read)' : '';
  if (fds.size === 0) return `the process has no sockets${incomplete}`;
  return `its sockets: fd ${someOf([...fds])}${incomplete}`;
}

/**
 * What waits in the queues of a sock, whether or not a file leads to it.
 *
 * @throws {WalkError} `not-a-socket` if what is at the address is of no protocol that the kernel
 *   has; {@link ReadError} or {@link KernelError} if it cannot be read.
 */
export function accountSock(kernel: Kernel, sock: bigint, keepSkbs = false): SkbAnswer {
  const warnings = new Warnings(kernel.doubts);
  const isSound = warnings.complete;
  const socket = socketOfSock(kernel, sock);
  const account = new SocketAccountant(kernel).account(socket, { warnings, keepSkbs });
  const nobody = { process: null, fd: null, freedIfKilled: null };
  const total = { ...account.total, complete: account.total.complete && isSound };
  return { kernel: kernel.facts, ...nobody, ...account, total, warnings: warnings.list() };
}

/**
 * What waits in the queues of every socket of a process. Descriptors of one file are one socket.
 *
 * @throws as {@link accountFd}; one socket that cannot be read is a warning instead.
 */
export function accountProcess(kernel: Kernel, pid: number): ProcessAnswer {
  const task = findTask(kernel, pid);
  const warnings = new Warnings();
  const finder = new SocketFinder(kernel);
  const fdsByFile = new Map<bigint, number[]>();
  const accountant = new SocketAccountant(kernel);
  const sum = new Tally(kernel.facts.pageSize, warnings);
  sum.without(new Warnings(kernel.doubts));
  for (const { code, message } of contradictions(taskTable(kernel))) sum.incomplete(code, message);
  try {
    for (const { fd, file } of openFiles(kernel, task)) {
      const fds = fdsByFile.get(file);
      // Threads with tables of their own may have it at the same one.
      if (fds && !fds.includes(fd)) fds.push(fd);
      else if (fds) continue;
      else fdsByFile.set(file, [fd]);
    }
  } catch (error) {
    if (fdsByFile.size === 0) throw error;
    sum.incomplete(incompleteness(error), `its descriptors: ${(error as Error).message}`);
  }
  const sockets: (SocketAccount & { fds: number[] })[] = [];
  const helds = new Map<bigint, Holdings>();
  for (const [file, fds] of fdsByFile) {
    try {
      const socket = finder.find(file);
      if (!socket) continue;
      const { account, held } = accountant.accountWithTallies(socket, { warnings, sums: [sum] });
      sockets.push({ fds, ...account });
      helds.set(socket.sock, held);
    } catch (error) {
      sum.incomplete(incompleteness(error), `fd ${someOf(fds)}: ${(error as Error).message}`);
    }
  }
  if (!kernel.facts.live) sum.checkReferences();
  sockets.sort(
    (a, b) => b.total.pinnedBytes - a.total.pinnedBytes || (a.fds[0] ?? 0) - (b.fds[0] ?? 0),
  );
  const total = sum.figures();
  return {
    kernel: kernel.facts,
    process: nameOf(task),
    sockets,
    total,
    freedIfKilled: freedOfProcess(kernel, accountant, task, helds, total.complete, warnings),
    warnings: warnings.list(),
  };
}

function nameOf({ pid, comm }: Task): ProcessName {
  return { pid, comm };
}

/** Descriptors of one file, of which a damaged table may claim any number. */
function someOf(fds: readonly number[]): string {
  const more = fds.length > MOST_TOLD ? ` and ${fds.length - MOST_TOLD} more` : '';
  return `${fds.slice(0, MOST_TOLD).join(', ')}${more}`;
}

const MOST_TOLD = 8;
