import { KdumpMemError, WalkError } from '../base/errors.js';
import type { ProcessSockets, SkbAnswer } from '../contracts/sockets.js';
import { kernelIdentity } from '../kernel/identity.js';
import type { Kernel } from '../kernel/kernel.js';
import { type Socket, SocketFinder, socketOfSock } from '../walk/sockets/socket.js';
import { findFile, openFiles } from '../walk/tasks/files.js';
import { contradictions, findTask, taskTable } from '../walk/tasks/task-table.js';
import type { Task } from '../walk/tasks/tasks.js';
import { incompleteness, Warnings } from '../walk/warnings.js';
import type { Holdings } from './holdings.js';
import { freedOf, freedOfProcess } from './kill.js';
import { SocketAccountant } from './socket.js';
import { Tally } from './tally.js';

/**
 * Queues of the socket behind one descriptor.
 *
 * @throws {WalkError} if the process or descriptor does not exist, or is no socket; {@link ReadError} or
 * {@link KernelError} if the path to the socket cannot be read.
 */
export function accountFd(kernel: Kernel, pid: number, fd: number, keepSkbs = false): SkbAnswer {
  const task = findTask(kernel, pid);
  const finder = new SocketFinder(kernel);
  const socket = findSocket(kernel, finder, task, fd);
  const warnings = new Warnings(kernel.doubts);
  // The answer names the process of the socket, so contradictions in the task table matter.
  for (const { code, message } of contradictions(taskTable(kernel))) warnings.add(code, message);
  const isSound = warnings.complete;
  const accountant = new SocketAccountant(kernel);
  const { account, held, ...skbs } = accountant.account(socket, { warnings, keepSkbs });
  return {
    schema: 'kdump-mem.skb/1',
    kernel: kernelIdentity(kernel.facts),
    process: nameOf(task),
    fd,
    ...account,
    total: { ...account.total, complete: account.total.complete && isSound },
    freedIfKilled: freedOf(kernel, accountant, task, socket, held, warnings),
    ...skbs,
    warnings: warnings.list(),
  };
}

/** @throws {WalkError} `no-such-fd` or `not-a-socket`, with the socket descriptors of the process */
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

/** Maximum number of descriptors read to list those that are sockets. */
const MAX_LOOKED_AT = 4096;

/** Describes the descriptors of a process that are sockets. */
function socketsOf(kernel: Kernel, finder: SocketFinder, task: Task): string {
  const fds = new Set<number>();
  let looked = 0;
  let unread = false;
  try {
    for (const { fd, file } of openFiles(kernel, task)) {
      if (++looked > MAX_LOOKED_AT) break;
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
  const incomplete = unread || looked > MAX_LOOKED_AT ? ' (some of its files could not be read)' : '';
  if (fds.size === 0) return `the process has no sockets${incomplete}`;
  return `its sockets: fd ${someOf([...fds])}${incomplete}`;
}

/**
 * Queues of a sock, whether or not a file refers to it.
 *
 * @throws {WalkError} `not-a-socket` if the address is of no known protocol; {@link ReadError} or {@link
 * KernelError} if it cannot be read.
 */
export function accountSock(kernel: Kernel, sock: bigint, keepSkbs = false): SkbAnswer {
  const warnings = new Warnings(kernel.doubts);
  const isSound = warnings.complete;
  const socket = socketOfSock(kernel, sock);
  const { account, held: _, ...skbs } = new SocketAccountant(kernel).account(socket, { warnings, keepSkbs });
  return {
    schema: 'kdump-mem.skb/1',
    kernel: kernelIdentity(kernel.facts),
    process: null,
    fd: null,
    ...account,
    total: { ...account.total, complete: account.total.complete && isSound },
    freedIfKilled: null,
    ...skbs,
    warnings: warnings.list(),
  };
}

/**
 * Queues of every socket of a process. Descriptors of one file are one socket.
 *
 * @throws as {@link accountFd}; one socket that cannot be read is a warning instead.
 */
export function accountProcess(kernel: Kernel, pid: number): ProcessSockets {
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
      // Threads with their own descriptor tables may use the same descriptor number.
      if (fds && !fds.includes(fd)) fds.push(fd);
      else if (fds) continue;
      else fdsByFile.set(file, [fd]);
    }
  } catch (error) {
    if (fdsByFile.size === 0) throw error;
    sum.incomplete(incompleteness(error), `its descriptors: ${(error as Error).message}`);
  }
  const sockets: ProcessSockets['sockets'][number][] = [];
  const helds = new Map<bigint, Holdings>();
  for (const [file, fds] of fdsByFile) {
    try {
      const socket = finder.find(file);
      if (!socket) continue;
      const { account, held } = accountant.account(socket, { warnings, sums: [sum] });
      sockets.push({ fds, ...account });
      helds.set(socket.sock, held);
    } catch (error) {
      sum.incomplete(incompleteness(error), `fd ${someOf(fds)}: ${(error as Error).message}`);
    }
  }
  if (!kernel.facts.live) sum.checkReferences();
  sockets.sort((a, b) => b.total.pinnedBytes - a.total.pinnedBytes || (a.fds[0] ?? 0) - (b.fds[0] ?? 0));
  const total = sum.figures();
  return {
    schema: 'kdump-mem.skb-process/1',
    kernel: kernelIdentity(kernel.facts),
    process: nameOf(task),
    sockets,
    total,
    freedIfKilled: freedOfProcess(kernel, accountant, task, helds, total.complete, warnings),
    warnings: warnings.list(),
  };
}

function nameOf({ pid, comm }: Task): ProcessSockets['process'] {
  return { pid, comm };
}

/** Descriptors of one file; a damaged table may claim any number. */
function someOf(fds: readonly number[]): string {
  const more = fds.length > MAX_TOLD ? ` and ${fds.length - MAX_TOLD} more` : '';
  return `${fds.slice(0, MAX_TOLD).join(', ')}${more}`;
}

const MAX_TOLD = 8;
