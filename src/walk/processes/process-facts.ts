import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { USER_HZ } from '../../records/processes.js';
import type { ClockFacts } from '../machine/clock.js';
import { StructReader } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import type { Task } from '../tasks/tasks.js';
import { PidNumberReader } from './pid-numbers.js';

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
const MOST_ADJUSTED = 1000;

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

  /**
   * @param clock undefined: unreadable, and process ages are unknown
   * @throws {KernelError} `unsupported-layout`
   */
  constructor(kernel: Kernel, clock: ClockFacts | undefined) {
    this.#kernel = kernel;
    this.#clock = clock;
    this.#tasks = taskTable(kernel);
    this.#task = new StructReader(kernel, 'task_struct', [...['real_cred', 'start_time']] as const);
    // Older name, before 5.5.
    const began = kernel.struct('task_struct')?.member('start_boottime')
      ? 'start_boottime'
      : 'real_start_time';
    this.#began = {
      member: began,
      reader: new StructReader(kernel, 'task_struct', [began]),
    } as const;
    this.#user = new StructReader(kernel, 'user_struct', ['uid.val']);
    this.#cred = new StructReader(kernel, 'cred', ['uid.val', 'user']);
    this.#signal = new StructReader(kernel, 'signal_struct', ['nr_threads', 'oom_score_adj']);
    this.#pids = new PidNumberReader(kernel);
  }

  /** @throws {ReadError}; {@link KernelError} `damaged` */
  read(process: Task): ProcessFacts {
    const view = this.#task.read(process.address);
    const [cred, began] = [view.pointer('real_cred'), view.pointer('start_time')];
    return {
      uid: this.#uid(cred, process),
      nsPids: this.#pids.read(process).map((each) => each.pid),
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
    if (Math.abs(oomScoreAdj) > MOST_ADJUSTED)
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
