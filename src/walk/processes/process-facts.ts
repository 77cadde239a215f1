import { damaged, KernelError, ReadError, WalkError } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { USER_HZ } from '../../records/processes.js';
import type { ClockFacts } from '../machine/clock.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import { type PidMember, pidMemberOf, type Task } from '../tasks/tasks.js';

/** Facts about a process beside its memory. */
export interface ProcessFacts {
  /** Real uid, as in /proc, not affected by override_creds. */
  readonly uid: number;
  /** Its pid in each pid namespace, from the initial one to its own. */
  readonly nsPids: readonly number[];
  readonly threads: number;
  /** Seconds since the process started; undefined: the kernel's clock cannot be read. */
  readonly ageSeconds: number | undefined;
  /** Start time in USER_HZ ticks since boot, as in /proc/PID/stat. */
  readonly started: number | undefined;
  readonly oomScoreAdj: number;
}

/**
 * Tolerance in nanoseconds: fork reads both clocks one after the other (copy_process, kernel/fork.c), and a
 * hypervisor may stop it in between. The last tick may be as long ago.
 */
const BETWEEN = 60_000_000_000n;

/** Nanoseconds per USER_HZ tick. */
const TICK = 1_000_000_000n / BigInt(USER_HZ);

/** OOM_SCORE_ADJ_MAX (include/uapi/linux/oom.h). */
const MAX_ADJUSTED = 1000;

/** Reads process facts; layouts as in include/linux/{sched,cred,pid}.h and sched/signal.h. */
export class ProcessFactReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #began;
  readonly #user;
  readonly #cred;
  readonly #signal;
  readonly #pids: PidNumberReader;
  readonly #clock: ClockFacts | undefined;
  readonly #tasks;

  /** @param clock undefined: unreadable, and process ages are unknown */
  constructor(kernel: Kernel, clock: ClockFacts | undefined) {
    this.#kernel = kernel;
    this.#clock = clock;
    this.#tasks = taskTable(kernel);
    this.#task = new StructReader(kernel, 'task_struct', ['real_cred', 'start_time'] as const);
    // Older name, before 5.5.
    const began = kernel.struct('task_struct')?.member('start_boottime') ? 'start_boottime' : 'real_start_time';
    this.#began = { member: began, reader: new StructReader(kernel, 'task_struct', [began]) } as const;
    this.#user = new StructReader(kernel, 'user_struct', ['uid.val']);
    this.#cred = new StructReader(kernel, 'cred', ['uid.val', 'user']);
    this.#signal = new StructReader(kernel, 'signal_struct', ['nr_threads', 'oom_score_adj']);
    this.#pids = new PidNumberReader(kernel);
  }

  read(process: Task): ProcessFacts {
    const view = this.#task.read(process.address);
    const [cred, began] = [view.pointer('real_cred'), view.pointer('start_time')];
    return {
      uid: this.#uid(cred, process),
      nsPids: this.#pids.read(process).map((entry) => entry.pid),
      ...this.#signals(process),
      ...this.#times(process, began),
    };
  }

  /** Returns the uid, checked against the `user_struct` that `set_user` stores next to it. */
  #uid(cred: bigint, { pid }: Task): number {
    const view = this.#cred.read(cred);
    const [uid, user] = [view.number('uid.val'), view.pointer('user')];
    const owner = this.#user.read(user).number('uid.val');
    if (uid !== owner && !this.#kernel.facts.live)
      throw damaged(`pid ${pid} has uid ${uid}, but its user_struct has ${owner}`);
    return uid;
  }

  #signals(process: Task): Pick<ProcessFacts, 'threads' | 'oomScoreAdj'> {
    const view = this.#signal.read(process.signal);
    const threads = view.number('nr_threads');
    const oomScoreAdj = (view.number('oom_score_adj') << 16) >> 16;
    if (Math.abs(oomScoreAdj) > MAX_ADJUSTED)
      throw damaged(`pid ${process.pid} has an oom_score_adj of ${oomScoreAdj}`);
    this.#tasks.checkThreads(process);
    const listed = this.#tasks.threads(process).length;
    if (listed !== threads && !this.#kernel.facts.live) {
      throw damaged(`pid ${process.pid} counts ${threads} threads, but ${listed} are listed`);
    }
    return { threads, oomScoreAdj };
  }

  /** @param monotonic start time by the clock that stops during suspend */
  #times(process: Task, monotonic: bigint): Pick<ProcessFacts, 'ageSeconds' | 'started'> {
    if (this.#clock === undefined) return { ageSeconds: undefined, started: undefined };
    const { uptime, asleep } = this.#clock;
    const { reader, member } = this.#began;
    const began = reader.read(process.address).pointer(member);
    const slept = began - monotonic;
    if (began > uptime + BETWEEN || slept < 0n || slept > asleep + BETWEEN) {
      throw damaged(`pid ${process.pid} began at ${began} and at ${monotonic} ns of ${uptime}`);
    }
    // A process that started after the last tick has age 0.
    const ageSeconds = began > uptime ? 0 : Number((uptime - began) / 1_000_000_000n);
    return { ageSeconds, started: Number(began / TICK) };
  }
}

/** A pid in the pid namespace with this inode number, as `ls -l /proc/PID/ns/pid` shows it. */
export interface NamespacedPid {
  readonly namespace: number;
  readonly pid: number;
}

/** Maximum nesting of pid namespaces (MAX_PID_NS_LEVEL, kernel/pid_namespace.c). */
const MAX_LEVELS = 32;

/**
 * Reads the pid of a process in each pid namespace: `struct pid` (include/linux/pid.h),
 * `task_struct.thread_pid`.
 */
export class PidNumberReader {
  readonly #kernel: Kernel;
  readonly #task;
  readonly #own: PidMember;
  readonly #pid;
  readonly #number;
  readonly #namespace;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#own = pidMemberOf(kernel);
    this.#task = new StructReader(kernel, 'task_struct', [this.#own]);
    this.#pid = new StructReader(kernel, 'pid', ['level', 'numbers']);
    this.#number = new StructReader(kernel, 'upid', ['nr', 'ns']);
    this.#namespace = new StructReader(kernel, 'pid_namespace', ['ns.inum', 'level']);
  }

  /** One for each namespace, from the machine's first on. Each namespace records its own depth. */
  read({ address, pid: expected }: Task): NamespacedPid[] {
    const pid = this.#task.read(address).pointer(this.#own);
    const level = this.#pid.read(pid).number('level');
    if (level > MAX_LEVELS) throw damaged(`pid ${expected} claims ${level} namespaces`);
    const { size } = this.#number;
    const at = this.#pid.addressOf(pid, 'numbers');
    const view = readPartOf(this.#kernel, 'struct pid', pid, at, (level + 1) * size);
    const numbers = Array.from({ length: level + 1 }, (_, index) => {
      const own = index * size;
      const address = view.getBigUint64(own + this.#number.offset('ns'), true);
      const namespace = this.#namespace.read(address);
      if (namespace.number('level') !== index)
        throw damaged(`the pid namespaces of pid ${expected} contradict each other`);
      return { namespace: namespace.number('ns.inum'), pid: view.getInt32(own + this.#number.offset('nr'), true) };
    });
    if (numbers[0]?.pid !== expected && !this.#kernel.facts.live)
      throw damaged(`pid ${expected} is ${numbers[0]?.pid} in its struct pid`);
    return numbers;
  }
}

/**
 * The global pid of a process with another pid in a pid namespace, its own or an enclosing one.
 *
 * @throws {WalkError} `no-such-pid`: none has it; {@link KernelError} `damaged`: two have it; the error of
 * reading a process, if no readable one has it
 */
export function findInPidNamespace(kernel: Kernel, { namespace, pid }: NamespacedPid): number {
  const reader = new PidNumberReader(kernel);
  const pids: number[] = [];
  let unread: unknown;
  let known = false;
  for (const task of taskTable(kernel).processes) {
    try {
      const numbers = reader.read(task).filter((entry) => entry.namespace === namespace);
      known ||= numbers.length > 0;
      if (numbers.some((entry) => entry.pid === pid)) pids.push(task.pid);
    } catch (error) {
      if (!(error instanceof ReadError || error instanceof KernelError)) throw error;
      unread ??= error;
    }
  }
  const [first, ...others] = pids;
  if (others.length > 0)
    throw damaged(`pid namespace ${namespace} has more than one pid ${pid}: pid ${pids.join(', ')}`);
  if (first !== undefined) return first;
  if (unread !== undefined) throw unread;
  throw notThere({ namespace, pid }, known);
}

/** @param known whether any process is in that namespace */
export function notThere({ namespace, pid }: NamespacedPid, known: boolean): WalkError {
  const message = known
    ? `no process has pid ${pid} in pid namespace ${namespace}`
    : `no process is in a pid namespace ${namespace}: its number is that of /proc/PID/ns/pid`;
  return new WalkError('no-such-pid', message);
}
