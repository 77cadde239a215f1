import type { Grouping } from '../account/census-entry.js';
import { messages } from '../account/log.js';
import { accountMemory } from '../account/memory/memory.js';
import { chosen } from '../account/processes/chosen.js';
import type { ProcessGrouping } from '../account/processes/groups.js';
import { surveyProcesses } from '../account/processes/kernel.js';
import { accountFd, accountProcess, accountSock } from '../account/skb.js';
import { accountAll, accountEach } from '../account/sockets.js';
import { groupedStacks } from '../account/task-stacks.js';
import { logJson } from '../answers/log/json.js';
import type { LogJson } from '../answers/log/schema.js';
import { memoryJson } from '../answers/memory/json.js';
import type { MemoryJson } from '../answers/memory/schema.js';
import { procsJson } from '../answers/procs/json.js';
import type { ProcsJson } from '../answers/procs/schema.js';
import type {
  SkbJson,
  SkbProcessJson,
  SocketLineJson,
  SocketsEndJson,
  SocketsJson,
} from '../answers/schema.js';
import { skbJson, skbProcessJson } from '../answers/skb/json.js';
import { socketLine, socketsEnd, socketsJson } from '../answers/sockets/json.js';
import { taskStacksJson } from '../answers/task-stacks/json.js';
import type { TaskStacksJson } from '../answers/task-stacks/schema.js';
import { triageJson } from '../answers/triage/json.js';
import type { TriageJson } from '../answers/triage/schema.js';
import { KernelError } from '../base/errors/kernel.js';
import type { Kernel } from '../kernel/kernel.js';
import { openTypesFile } from '../kernel/native/foreign-types/open.js';
import { type Files, openNative } from '../kernel/native/open.js';
import { isBtf } from '../kernel/native/types-source.js';
import { triage } from '../triage/triage.js';
import { kernelOrigin } from '../walk/machine/origin.js';

/** Files that stand in for what a dump lacks. */
export interface DumpOptions {
  /** A System.map of its kernel. */
  readonly symbols?: string;
  /** Types of its kernel: raw BTF, a vmlinux or .debug file with BTF or DWARF, or Volatility's ISF. */
  readonly types?: string;
  /** Alias of `types`. */
  readonly btf?: string;
  /** A vmlinux of its kernel: the source of symbols and types, as far as it has them. */
  readonly vmlinux?: string;
}

/** Is told now and then which part of a question is done, 0 to 1. */
export type Progress = (part: number) => void;

/** Which socket: a descriptor of a process, or a `struct sock` by its address in the kernel. */
export type WhichSocket = { pid: number; fd: number } | { sock: bigint };

/**
 * Opens a dump.
 *
 * @param files one file, all parts of a split dump, or a folder with one dump in it
 * @throws {KernelError} when it is no dump, or of no kernel that can be read
 */
export function openDump(files: string | readonly string[], options: DumpOptions = {}): Dump {
  const dump = typeof files === 'string' ? [files] : files;
  return new Dump(openNative({ ...aids(options), files: dump }));
}

/**
 * Opens the running kernel through /proc/kcore, as root. What moves while it is read is said.
 *
 * @throws {KernelError} when this kernel has no /proc/kcore, or it may not be read
 */
export function openLive(options: DumpOptions = {}): Dump {
  return new Dump(openNative({ ...aids(options), files: [], live: true }));
}

function aids({ btf, types = btf, ...others }: DumpOptions): Files {
  if (types === undefined) return others;
  return { ...others, types: isBtf(types) ? types : openTypesFile(types) };
}

/**
 * The kernel in a dump. Each question gives what the command of that name prints with `--json`: plain
 * objects, sizes in bytes, addresses as hex strings, null for what is not known, `warnings` for what could
 * not be read. Everything is synchronous; a question may take seconds.
 *
 * Questions throw `WalkError` for what is not there, `KernelError` where a whole answer is impossible, and `ReadError`
 * where the dump lacks memory without which there is none.
 */
export class Dump implements Disposable {
  #kernel: Kernel | null;

  /** @internal */
  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /**
   * Its memory, symbols and types, for questions of your own: docs/internals/architecture.md has the interface.
   *
   * @throws {KernelError} `closed`
   */
  get kernel(): Kernel {
    if (this.#kernel === null) throw new KernelError('closed', 'this dump was closed');
    return this.#kernel;
  }

  /** Where all memory is: every page frame in one category. */
  memory(progress?: Progress): MemoryJson {
    return memoryJson({
      ...accountMemory(this.kernel, progress),
      origin: kernelOrigin(this.kernel),
    });
  }

  /** What each process really holds, what comes back most first. */
  procs(by?: ProcessGrouping, progress: Progress = () => undefined): ProcsJson {
    const { answer, killedTogether } = surveyProcesses(this.kernel, progress);
    const found = { ...answer, origin: kernelOrigin(this.kernel) };
    return procsJson(chosen(found, { by }, String, killedTogether));
  }

  /** Every socket of the machine, what pins most first; also those that pin nothing, as with `--all`. */
  sockets(by?: Grouping, progress: Progress = () => undefined): SocketsJson {
    const origin = kernelOrigin(this.kernel);
    const found = { ...accountAll(this.kernel, { by, progress }), origin };
    return socketsJson(found, found.sockets);
  }

  /** Every socket as it is found, and what there is to say of the whole when it returns: memory for one. */
  *eachSocket(progress?: Progress): Generator<SocketLineJson, SocketsEndJson> {
    const entries = accountEach(this.kernel, progress);
    for (let listed = 0; ; listed++) {
      const { done, value } = entries.next();
      if (done) return socketsEnd({ ...value, origin: kernelOrigin(this.kernel) }, listed, 0);
      yield socketLine(value);
    }
  }

  /** What waits in the queues of one socket, and which pages that pins; with every skb. */
  skb(which: WhichSocket): SkbJson {
    return skbJson(
      'sock' in which
        ? accountSock(this.kernel, which.sock, true)
        : accountFd(this.kernel, which.pid, which.fd, true),
    );
  }

  /** The same of every socket of a process. */
  skbsOf(pid: number): SkbProcessJson {
    return skbProcessJson(accountProcess(this.kernel, pid));
  }

  /** The kernel's log. */
  log(): LogJson {
    return logJson(messages(this.kernel, {}));
  }

  /** The kernel stacks of all threads, equal ones together. */
  stacks(): TaskStacksJson {
    return taskStacksJson(groupedStacks(this.kernel, {}));
  }

  /** What is the matter: findings, the most severe first. */
  triage(progress?: Progress): TriageJson {
    return triageJson(triage(this.kernel, progress));
  }

  /** Lets go of the files. Nothing can be asked afterwards; to close it again does nothing. */
  close(): void {
    this.#kernel?.close();
    this.#kernel = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
