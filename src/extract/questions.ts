import { blockedTasks } from '../account/blocked.js';
import { accountMemory } from '../account/memory/memory.js';
import { surveyProcesses } from '../account/processes/kernel.js';
import { mappingsOf } from '../account/processes/mappings.js';
import { accountFd, accountProcess } from '../account/skb.js';
import { SocketAccountant } from '../account/socket.js';
import { accountAll } from '../account/sockets.js';
import { groupedStacks } from '../account/task-stacks.js';
import { KernelError, ReadError, WalkError } from '../base/errors.js';
import type { Kernel } from '../kernel/kernel.js';
import type { NativeKernel } from '../kernel/native/parts.js';
import type { NamePlace } from '../walk/files/paths.js';
import { readCpuTimes, readTicks } from '../walk/machine/clock.js';
import { kernelOrigin } from '../walk/machine/origin.js';
import { SocketFinder } from '../walk/sockets/socket.js';
import { isTcp, TcpWaitingReader } from '../walk/sockets/tcp.js';
import { StructReader } from '../walk/struct-reader.js';
import { openFiles } from '../walk/tasks/files.js';
import { findTask, taskTable } from '../walk/tasks/task-table.js';
import type { Task } from '../walk/tasks/tasks.js';
import { Unknowns, Warnings } from '../walk/warnings.js';

/** Subject of the answers. */
export interface Scope {
  readonly pid?: number;
  /** A single descriptor of `pid`. */
  readonly fd?: number;
  /** Whether to include the memory breakdown: it needs every `struct page`, 1.6 % of the memory. */
  readonly memory?: boolean;
  /** Include mappings of processes: every `struct page`, and page tables. */
  readonly processes?: boolean;
  /** Include stacks of all threads, and the needed parts of the unwind tables. */
  readonly stacks?: boolean;
}

/** A requested socket, by the address of its `struct sock`. */
export interface VisitedSocket {
  readonly sock: bigint;
  readonly family: string;
  readonly protocol: string;
}

/** Errors that occurred while the answers were computed. */
export interface Visited {
  readonly sockets: readonly VisitedSocket[];
  /** Addresses of names in file paths. */
  readonly fileNames: readonly NamePlace[];
  /** Addresses of charged `struct cgroup`s: no task leads to dying ones. */
  readonly cgroups: readonly bigint[];
}

/**
 * Asks the questions of all commands, so that all data of the answers is read. Unreadable data is skipped:
 * the same question will fail again.
 *
 * @param original the same dump: what is read of it is not kept
 * @throws {WalkError} if the process or descriptor of `scope` does not exist
 */
export function readEverything(kernel: NativeKernel, scope: Scope, original: NativeKernel): Visited {
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
    // With an unused pid it also searches all threads.
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
          const { account } = accountant.account(socket, { warnings: new Warnings(), keepSkbs: true });
          sockets.set(socket.sock, account.socket);
        });
      }
    });
  }
  attempt(() => {
    const byMember = withoutScans(kernel);
    for (const { socket } of accountAll(byMember, { by: 'cgroup' }).sockets) sockets.set(socket.sock, socket);
  });
  // Data that the dump lacks is missing from the extract too.
  new Unknowns().try('since when data waits', () => readWaiting(kernel, [...sockets.values()]));
  new Unknowns().try('CPU time', () => readCpuTimes(kernel));
  const visited = {
    files: true,
    cgroups: true,
    onFileName: (place: NamePlace) => void fileNames.push(place),
    onCgroup: (cgroup: bigint) => void cgroups.push(cgroup),
  };
  if (scope.processes) attempt(() => readProcesses(kernel, visited.onFileName));
  if (scope.memory) attempt(() => void accountMemory(kernel, undefined, visited));
  // Stacks that the dump lacks are missing from the extract too.
  if (scope.stacks) {
    new Unknowns().try('stacks', () => groupedStacks(kernel, {}));
    new Unknowns().try('waiting tasks', () => readWaits(kernel, original, visited.onFileName));
  }
  return { sockets: [...sockets.values()], ...more };
}

/** Reads what tasks wait for. Of stacks, words that are addresses of the kernel are kept; others may be user data. */
function readWaits(kernel: NativeKernel, original: NativeKernel, onFileName: (place: NamePlace) => void): void {
  const readStack = (address: bigint, length: number): DataView => {
    const words = original.read(address, length);
    for (let at = 0; at + 8 <= length; at += 8)
      // The highest byte of addresses of the kernel; no text in UTF-8 has it.
      if (words.getUint8(at + 7) === 0xff) attempt(() => void kernel.read(address + BigInt(at), 8));
    return words;
  };
  blockedTasks(kernel, { readStack, onFileName });
}

/** Reads the age of queued data of TCP connections. */
function readWaiting(kernel: NativeKernel, sockets: readonly VisitedSocket[]): void {
  const [ticks, reader] = [readTicks(kernel), new TcpWaitingReader(kernel)];
  for (const { sock, protocol } of sockets) if (isTcp(protocol)) attempt(() => void reader.read(sock, ticks));
}

/** Reads the mappings of every process, and keeps the data that proves them complete. */
function readProcesses(kernel: NativeKernel, onName: (place: NamePlace) => void): void {
  const survey = surveyProcesses(kernel, () => {});
  for (const space of survey.spaces) attempt(() => mappingsOf(kernel, space, survey, new Warnings(), onName));
}

/** Maximum length in bytes of a read of struct pages that is not a scan. */
const LONGEST_READ = 4096;

/**
 * A kernel that refuses bulk reads of struct pages: the census then reads single members, and only these are
 * kept.
 */
function withoutScans(kernel: NativeKernel): Kernel {
  let first = 0n;
  // If the struct pages cannot be located, none of them is read.
  attempt(() => {
    first = kernel.pages.pageOfFrame(0);
  });
  const struct = BigInt(kernel.struct('page')?.size ?? 0);
  const end = first + struct * 2n ** 36n;
  return {
    facts: kernel.facts,
    read(address, length) {
      if (length > LONGEST_READ && address >= first && address < end) {
        // A hole in the array is also a hole in the extract.
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

/** Maximum number of kept slots of a descriptor table. */
const MAX_SLOTS = 65_536;

/** Reads the slots of closed descriptors as well: a query for one must find that it is closed. */
function readSlots(kernel: Kernel, { files }: Task): void {
  if (files === 0n) return;
  const fdt = new StructReader(kernel, 'files_struct', ['fdt']).read(files).pointer('fdt');
  const table = new StructReader(kernel, 'fdtable', ['max_fds', 'fd']).read(fdt);
  const slots = Math.min(table.number('max_fds'), MAX_SLOTS);
  kernel.read(table.pointer('fd'), slots * 8);
}

/** Returns every process, as far as the list can be followed. */
export function everyTask(kernel: Kernel): Task[] {
  const tasks: Task[] = [];
  attempt(() => {
    tasks.push(...taskTable(kernel).processes);
  });
  return tasks;
}

/** Returns the threads of a process, including its leader, as far as the list can be followed. */
export function threadsOf(kernel: Kernel, process: Task): Task[] {
  const tasks: Task[] = [];
  attempt(() => {
    tasks.push(...taskTable(kernel).threads(process));
  });
  return tasks;
}

/** Runs a step that may fail if the dump lacks its data. */
export function attempt(step: () => void): void {
  try {
    step();
  } catch (error) {
    if (error instanceof ReadError || error instanceof WalkError) return;
    if (error instanceof KernelError && error.code !== 'no-symbols' && error.code !== 'no-types') return;
    throw error;
  }
}
