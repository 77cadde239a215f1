import { accountMemory } from '../account/memory/memory.js';
import { surveyProcesses } from '../account/processes/kernel.js';
import { mappingsOf } from '../account/processes/mappings.js';
import { accountFd, accountProcess } from '../account/skb.js';
import { SocketAccountant } from '../account/socket.js';
import { accountAll } from '../account/sockets.js';
import { groupedStacks } from '../account/task-stacks.js';
import { KernelError, ReadError } from '../base/errors/kernel.js';
import { WalkError } from '../base/errors/walk.js';
import type { Kernel } from '../kernel/kernel.js';
import type { NativeKernel } from '../kernel/native/parts.js';
import type { NamePlace } from '../walk/files/paths.js';
import { kernelOrigin } from '../walk/machine/origin.js';
import { readTicks } from '../walk/machine/ticks.js';
import { Unknowns } from '../walk/machine/unknowns.js';
import { SocketFinder } from '../walk/sockets/socket.js';
import { isTcp, TcpWaitingReader } from '../walk/sockets/tcp-waiting.js';
import { StructReader } from '../walk/struct-reader.js';
import { openFiles } from '../walk/tasks/files.js';
import { findTask, taskTable } from '../walk/tasks/task-table.js';
import type { Task } from '../walk/tasks/tasks.js';
import { Warnings } from '../walk/warnings.js';

/** What the answers must be about. */
export interface Scope {
  readonly pid?: number;
  /** One descriptor of `pid`. */
  readonly fd?: number;
  /** Where all of the memory is, too: that takes every `struct page`, 1.6 % of the memory. */
  readonly memory?: boolean;
  /** What each process maps, too: every `struct page`, and page tables. */
  readonly processes?: boolean;
  /** What all threads were doing, too: stacks, and of the tables to unwind them what they take. */
  readonly stacks?: boolean;
}

/** A socket that was asked about, by the address of its `struct sock`. */
export interface VisitedSocket {
  readonly sock: bigint;
  readonly family: string;
  readonly protocol: string;
}

/** What was met while everything was asked. */
export interface Visited {
  readonly sockets: readonly VisitedSocket[];
  /** Where names in paths of files lie. */
  readonly fileNames: readonly NamePlace[];
  /** Addresses of `struct cgroup`s that memory is charged to: of dying ones no task leads to them. */
  readonly cgroups: readonly bigint[];
}

/**
 * Asks what the commands ask, so that everything that an answer takes is read. What cannot be read is
 * passed over: the same question will meet it again.
 *
 * @throws {WalkError} when the process or descriptor of `scope` is not there
 */
export function askEverything(kernel: NativeKernel, scope: Scope): Visited {
  const fileNames: NamePlace[] = [];
  const cgroups: bigint[] = [];
  const more = { fileNames, cgroups };
  if (scope.pid !== undefined) {
    const { pid, fd } = scope;
    if (fd !== undefined) return { sockets: [accountFd(kernel, pid, fd, true).socket], ...more };
    const { sockets } = accountProcess(kernel, pid);
    return { sockets: sockets.map(({ socket }) => socket), ...more };
  }
  const sockets = new Map<bigint, VisitedSocket>();
  kernelOrigin(kernel);
  attempt(() => {
    // A pid that nobody has makes it look through all threads too.
    findTask(kernel, -1);
  });
  const finder = new SocketFinder(kernel);
  const accountant = new SocketAccountant(kernel);
  for (const task of everyTask(kernel)) {
    if (task.kernelThread) continue;
    attempt(() => readSlots(kernel, task));
    attempt(() => {
      for (const { file } of openFiles(kernel, task)) {
        attempt(() => {
          const socket = finder.find(file);
          if (socket === undefined || sockets.has(socket.sock)) return;
          const account = accountant.account(socket, { warnings: new Warnings(), keepSkbs: true });
          sockets.set(socket.sock, account.socket);
        });
      }
    });
  }
  attempt(() => {
    const byMember = withoutScans(kernel);
    for (const { socket } of accountAll(byMember, { by: 'cgroup' }).sockets)
      sockets.set(socket.sock, socket);
  });
  // What the dump does not tell of it the extract does not tell either.
  new Unknowns().try('since when data waits', () => readWaiting(kernel, [...sockets.values()]));
  const asked = {
    files: true,
    cgroups: true,
    onFileName: (place: NamePlace) => void fileNames.push(place),
    onCgroup: (cgroup: bigint) => void cgroups.push(cgroup),
  };
  if (scope.processes) attempt(() => readProcesses(kernel, asked.onFileName));
  if (scope.memory) attempt(() => void accountMemory(kernel, undefined, asked));
  // What the dump does not tell of stacks the extract does not tell either.
  if (scope.stacks) new Unknowns().try('stacks', () => groupedStacks(kernel, {}));
  return { sockets: [...sockets.values()], ...more };
}

/** Asks since when data waits in connections of TCP. */
function readWaiting(kernel: NativeKernel, sockets: readonly VisitedSocket[]): void {
  const [ticks, reader] = [readTicks(kernel), new TcpWaitingReader(kernel)];
  for (const { sock, protocol } of sockets)
    if (isTcp(protocol)) attempt(() => void reader.read(sock, ticks));
}

/** Asks what every process maps, and keeps what tells that to be whole. */
function readProcesses(kernel: NativeKernel, onName: (place: NamePlace) => void): void {
  const survey = surveyProcesses(kernel, () => {});
  for (const space of survey.spaces)
    attempt(() => mappingsOf(kernel, space, survey, new Warnings(), onName));
}

/** A scan takes more than this of the array of struct pages at a time, in bytes. */
const LONGEST_READ = 4096;

/**
 * A kernel that refuses to read struct pages wholesale: the census then reads them member by member,
 * and no more of them is kept.
 */
function withoutScans(kernel: NativeKernel): Kernel {
  let first = 0n;
  // Where they cannot be found, nothing is read of them.
  attempt(() => {
    first = kernel.pages.pageOfFrame(0);
  });
  const struct = BigInt(kernel.struct('page')?.size ?? 0);
  const end = first + struct * 2n ** 36n;
  return {
    facts: kernel.facts,
    read(address, length) {
      if (length > LONGEST_READ && address >= first && address < end) {
        // A hole in the array is one for whoever asks the extract, too.
        const isHole = kernel.physicalOf(address) === undefined;
        throw new ReadError(isHole ? 'unmapped' : 'filtered', address);
      }
      return kernel.read(address, length);
    },
    symbol: (name) => kernel.symbol(name),
    struct: (name) => kernel.struct(name),
    enumerators: (name) => kernel.enumerators(name),
    pages: kernel.pages,
    noteReads: () => kernel.noteReads(),
    close: () => kernel.close(),
  };
}

/** Slots of a table of descriptors that are kept at most: of the first 65,536. */
const MOST_SLOTS = 65_536;

/** Reads the slots of closed descriptors too: who asks for one must be told that it is closed. */
function readSlots(kernel: Kernel, { files }: Task): void {
  if (files === 0n) return;
  const fdt = new StructReader(kernel, 'files_struct', ['fdt']).read(files).pointer('fdt');
  const table = new StructReader(kernel, 'fdtable', ['max_fds', 'fd']).read(fdt);
  const slots = Math.min(table.number('max_fds'), MOST_SLOTS);
  kernel.read(table.pointer('fd'), slots * 8);
}

/** Every process, as far as the list can be followed. */
export function everyTask(kernel: Kernel): Task[] {
  const found: Task[] = [];
  attempt(() => {
    found.push(...taskTable(kernel).processes);
  });
  return found;
}

/** The threads of a process, its leader among them, as far as the list can be followed. */
export function threadsOf(kernel: Kernel, process: Task): Task[] {
  const found: Task[] = [];
  attempt(() => {
    found.push(...taskTable(kernel).threads(process));
  });
  return found;
}

/** Runs a step that the dump may refuse. */
export function attempt(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (error instanceof ReadError || error instanceof WalkError) return;
    if (error instanceof KernelError && error.code !== 'no-symbols' && error.code !== 'no-types')
      return;
    throw error;
  }
}
