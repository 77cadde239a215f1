import { blockedTasks } from '../account/blocked.js';
import { messages } from '../account/log.js';
import { accountMemory } from '../account/memory/memory.js';
import type { Grouping } from '../account/owners.js';
import { chosen, type ProcessGrouping } from '../account/processes/groups.js';
import { surveyProcesses } from '../account/processes/kernel.js';
import { descriptorsAnswer } from '../account/processes/process.js';
import { type RefsTargets, searchReferences } from '../account/references/search.js';
import { describeUnreachable } from '../account/references/unreachable.js';
import { accountFd, accountProcess, accountSock } from '../account/skb.js';
import { accountAll, accountEach } from '../account/sockets.js';
import { groupedStacks } from '../account/task-stacks.js';
import { readList } from '../answers/info/lists/lists.js';
import { logJson } from '../answers/log/render.js';
import { memoryJson } from '../answers/memory/json.js';
import { refsAnswer } from '../answers/refs/document.js';
import { socketLine, socketsEnd, socketsJson } from '../answers/sockets/json.js';
import { triageJson } from '../answers/triage/json.js';
import { KernelError } from '../base/errors.js';
import { type Json, jsonOf } from '../base/util.js';
import type { BlockedJson } from '../contracts/blocked.js';
import type { ListAnswer } from '../contracts/lists.js';
import type { LogJson } from '../contracts/log.js';
import type { MemoryJson } from '../contracts/memory.js';
import type { DescriptorsAnswer } from '../contracts/process.js';
import type { ProcsAnswer } from '../contracts/procs.js';
import type { RefsJson } from '../contracts/refs.js';
import type { SkbJson, SkbProcessJson, SocketLineJson, SocketsEndJson, SocketsJson } from '../contracts/sockets.js';
import type { TaskStacksJson } from '../contracts/task-stacks.js';
import type { TriageJson } from '../contracts/triage.js';
import type { UnreachableJson } from '../contracts/unreachable.js';
import type { Kernel } from '../kernel/kernel.js';
import { openTypesFile } from '../kernel/native/foreign-types/open.js';
import { NativeKernel } from '../kernel/native/kernel.js';
import { type Files, openNative } from '../kernel/native/open.js';
import { isBtf } from '../kernel/native/types-source.js';
import { triage } from '../triage/triage.js';
import { openDescriptors } from '../walk/lists/open-descriptors.js';
import { kernelOrigin } from '../walk/machine/origin.js';
import { Warnings } from '../walk/warnings.js';

/** Files that supply what a dump lacks. */
export interface DumpOptions {
  /** A System.map of the dump's kernel. */
  readonly symbols?: string;
  /** Types of the dump's kernel: raw BTF, a vmlinux or .debug file with BTF or DWARF, or Volatility's ISF. */
  readonly types?: string;
  /** Alias of `types`. */
  readonly btf?: string;
  /** A vmlinux of the dump's kernel: source of symbols and types, if it contains them. */
  readonly vmlinux?: string;
}

/** Called repeatedly with the completed fraction of a query, 0 to 1. */
export type Progress = (part: number) => void;

/** Selects a socket: a descriptor of a process, or the kernel address of a `struct sock`. */
export type SocketSelector = { pid: number; fd: number } | { sock: bigint };

/**
 * Opens a dump.
 *
 * @param files one file, all parts of a split dump, or a folder with one dump in it
 * @throws {KernelError} when it is not a dump, or its kernel cannot be read
 */
export function openDump(files: string | readonly string[], options: DumpOptions = {}): Dump {
  const dump = typeof files === 'string' ? [files] : files;
  return new Dump(openNative({ ...supportFiles(options), files: dump }));
}

/**
 * Opens the running kernel through /proc/kcore, as root. Changes during reading are reported.
 *
 * @throws {KernelError} when this kernel has no /proc/kcore, or permission is denied
 */
export function openLive(options: DumpOptions = {}): Dump {
  return new Dump(openNative({ ...supportFiles(options), files: [], live: true }));
}

function supportFiles({ btf, types = btf, ...rest }: DumpOptions): Files {
  if (types === undefined) return rest;
  return { ...rest, types: isBtf(types) ? types : openTypesFile(types) };
}

/**
 * The kernel in a dump. Each method returns the output of the command of that name with `--json`: plain
 * objects, sizes in bytes, addresses as hex strings, null for unknown values, `warnings` for unreadable
 * data. Everything except `refs` is synchronous; a query may take seconds.
 *
 * Methods throw `WalkError` if the requested object does not exist, `KernelError` if a complete answer
 * is impossible, and `ReadError` if the dump lacks memory that every answer requires.
 */
export class Dump implements Disposable {
  #kernel: Kernel | null;

  /** @internal */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * The kernel's memory, symbols and types, for custom queries: docs/internals/architecture.md
   * describes the interface.
   *
   * @throws {KernelError} `closed`
   */
  get kernel(): Kernel {
    if (this.#kernel === null) throw new KernelError('closed', 'this dump was closed');
    return this.#kernel;
  }

  /** Returns the memory breakdown: every page frame in one category. */
  memory(progress?: Progress): MemoryJson {
    return memoryJson({ ...accountMemory(this.kernel, progress), origin: kernelOrigin(this.kernel) });
  }

  /** Returns the memory use of each process, largest freed if killed first. */
  procs(by?: ProcessGrouping, progress: Progress = () => undefined): ProcsAnswer {
    const { answer, killedTogether } = surveyProcesses(this.kernel, progress);
    const processes = { ...answer, origin: kernelOrigin(this.kernel) };
    return chosen(processes, { by }, String, killedTogether).answer;
  }

  /** Returns every socket of the machine, most pinned memory first; also those that pin nothing, as with `--all`. */
  sockets(by?: Grouping, progress: Progress = () => undefined): SocketsJson {
    const origin = kernelOrigin(this.kernel);
    const sockets = { ...accountAll(this.kernel, { by, progress }), origin };
    return jsonOf(socketsJson(sockets, sockets.sockets));
  }

  /** Yields each socket as it is found, and returns the summary, such as memory. */
  *eachSocket(progress?: Progress): Generator<SocketLineJson, SocketsEndJson> {
    const entries = accountEach(this.kernel, progress);
    for (let listed = 0; ; listed++) {
      const { done, value } = entries.next();
      if (done) return jsonOf(socketsEnd(value, kernelOrigin(this.kernel), listed, 0));
      yield jsonOf(socketLine(value));
    }
  }

  /** Returns the data in the queues of one socket, and the pages that it pins; with every skb. */
  skb(socket: SocketSelector): SkbJson {
    return jsonOf(
      'sock' in socket
        ? accountSock(this.kernel, socket.sock, true)
        : accountFd(this.kernel, socket.pid, socket.fd, true),
    );
  }

  /** Returns the same for every socket of a process. */
  skbsOf(pid: number): SkbProcessJson {
    return jsonOf(accountProcess(this.kernel, pid));
  }

  /** Returns the kernel log. */
  log(): LogJson {
    return logJson(messages(this.kernel, {}));
  }

  /** Returns the kernel stacks of all threads, equal ones grouped. */
  stacks(): TaskStacksJson {
    return jsonOf(groupedStacks(this.kernel, {}));
  }

  /** Returns tasks that wait, what they wait for, owners of locks, and deadlocks. */
  blocked(): BlockedJson {
    return jsonOf(blockedTasks(this.kernel));
  }

  /** Returns loaded modules with their sizes, users and taint. */
  modules(): Json<ListAnswer<'modules'>> {
    return jsonOf(readList('modules', this.kernel));
  }

  /** Returns the mounts that a process sees (default: the first process). */
  mounts(pid?: number): Json<ListAnswer<'mounts'>> {
    return jsonOf(readList('mounts', this.kernel, pid));
  }

  /** Returns swap devices. */
  swap(): Json<ListAnswer<'swap'>> {
    return jsonOf(readList('swap', this.kernel));
  }

  /** Returns System V shared memory segments of a process's IPC namespace (default: that of the first process). */
  sharedMemory(pid?: number): Json<ListAnswer<'shared-memory'>> {
    return jsonOf(readList('shared-memory', this.kernel, pid));
  }

  /** Returns the tasks that run and wait on each CPU. */
  runQueues(): Json<ListAnswer<'run-queues'>> {
    return jsonOf(readList('run-queues', this.kernel));
  }

  /** Returns the open descriptors of a process, by kind. */
  descriptors(pid: number): DescriptorsAnswer {
    const warnings = new Warnings(this.kernel.doubts);
    const descriptors = openDescriptors(this.kernel, pid, warnings);
    return descriptorsAnswer(descriptors, warnings.list());
  }

  /** Returns findings, most severe first. */
  triage(progress?: Progress): TriageJson {
    return triageJson(triage(this.kernel, progress));
  }

  /**
   * Returns references to objects and pages from all memory of a dump, which threads scan.
   *
   * @param limit maximum number of targets, groups and references in a list; all are counted
   */
  async refs(targets: RefsTargets, limit = 1000, progress?: Progress): Promise<RefsJson> {
    const { kernel } = this;
    const symbols = kernel instanceof NativeKernel ? kernel.symbolTable : undefined;
    const current = () => progress ?? (() => undefined);
    return jsonOf(refsAnswer(await searchReferences(kernel, symbols, targets, limit, current)));
  }

  /** Returns allocations of a dump that no reference from memory in use was found to. */
  async unreachable(progress?: Progress): Promise<UnreachableJson> {
    const { kernel } = this;
    const symbols = kernel instanceof NativeKernel ? kernel.symbolTable : undefined;
    const current = () => progress ?? (() => undefined);
    return jsonOf(await describeUnreachable(kernel, symbols, current));
  }

  /** Closes the files. The object cannot be queried afterwards. Idempotent. */
  close(): void {
    this.#kernel?.close();
    this.#kernel = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
