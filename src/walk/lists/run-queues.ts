import { damaged } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpusThatRan, needSymbol, perCpuAddress, type RunningTask, runningTask } from '../cpus.js';
import { closedListNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { treeNodes } from '../rb-tree.js';
import { StructReader } from '../struct-reader.js';
import { reportedTasks } from '../tasks/task-table.js';
import { addError, type Warnings } from '../warnings.js';

/** Scheduling classes whose tasks queue. */
export const SCHEDULING_CLASSES = ['stop', 'deadline', 'realtime', 'fair', 'ext'] as const;
type SchedulingClass = (typeof SCHEDULING_CLASSES)[number];

/** A task on a run queue. */
export interface QueuedTask {
  readonly address: bigint;
  readonly pid: number;
  /** Untrusted. */
  readonly comm: string;
  readonly class: SchedulingClass;
  /** `task_struct.prio`: 0 to 99 are real-time, 100 to 139 are nice values -20 to 19. */
  readonly priority: number;
  /** Its group exceeded its CPU quota: it cannot run, and the kernel does not count it. */
  readonly throttled: boolean;
}

/** The run queue of a CPU. */
export interface RunQueue {
  readonly cpu: number;
  /** Pid 0: the idle task. */
  readonly current: RunningTask;
  /** `rq.nr_running`. */
  readonly running: number;
  /** Deadline servers that are queued for fair tasks (6.8). Until they were excluded, `running` counted them. */
  readonly servers: number;
  /** Tasks found on its lists, highest class first, each list in its order. */
  readonly tasks: readonly QueuedTask[];
}

const MOST_GROUPS = 32;
/** Length of the list of a `struct list_head`. */
const LIST_BYTES = 16;
/** TASK_ON_RQ_QUEUED (kernel/sched/sched.h). */
const QUEUED = 1;
/** include/uapi/linux/sched.h. */
const SCHED_DEADLINE = 6;

/**
 * Returns the run queue of each CPU that ran tasks. The number of tasks on the lists is compared with
 * `nr_running`, and the tasks with `on_rq` of all tasks.
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`; {@link ReadError}: the CPUs are unknown
 */
export function runQueues(kernel: Kernel, warnings: Warnings): RunQueue[] {
  const reader = new QueueReader(kernel);
  const code = kernel.facts.live ? 'torn-list' : 'corrupt';
  const found: RunQueue[] = [];
  const seen = new Map<bigint, number>();
  let whole = true;
  for (const cpu of cpusThatRan(kernel)) {
    try {
      let isLost = false;
      const queue = reader.read(cpu, (error) => {
        isLost = true;
        whole = false;
        addError(warnings, `run queue of CPU ${cpu}`, error);
      });
      const counted = queue.tasks.filter(({ throttled }) => !throttled).length;
      const possible = [counted, counted + queue.servers];
      if (!possible.includes(queue.running) && !isLost)
        warnings.add(
          code,
          `CPU ${cpu}: nr_running is ${queue.running}, but ${counted} tasks are on its run queue`,
        );
      for (const { address, pid } of queue.tasks) {
        if (seen.has(address)) warnings.add(code, `pid ${pid} is on two run queues`);
        seen.set(address, cpu);
      }
      found.push(queue);
    } catch (error) {
      whole = false;
      addError(warnings, `run queue of CPU ${cpu}`, error);
    }
  }
  if (whole) checkTasks(kernel, warnings, seen);
  return found;
}

/** Compares `on_rq` and CPU of each task with the run queues. @param seen CPU by task */
function checkTasks(kernel: Kernel, warnings: Warnings, seen: ReadonlyMap<bigint, number>): void {
  const task = new StructReader(kernel, 'task_struct', ['on_rq', 'policy']);
  // In the task itself without CONFIG_THREAD_INFO_IN_TASK.
  const path = kernel.struct('task_struct')?.member('thread_info.cpu') ? 'thread_info.cpu' : 'cpu';
  const place = new StructReader(kernel, 'task_struct', [path]);
  const throttled = StructReader.ifPresent(kernel, 'task_struct', ['throttled']);
  const table = reportedTasks(kernel, warnings);
  const code = kernel.facts.live ? 'torn-list' : 'corrupt';
  for (const process of table.processes)
    for (const { address, pid } of table.threads(process)) {
      try {
        const view = task.read(address);
        const isQueued = view.number('on_rq') === QUEUED;
        const cpu = seen.get(address);
        if (!isQueued && cpu === undefined) continue;
        const at = place.read(address).number(path);
        if (isQueued && cpu === at) continue;
        // A throttled task waits elsewhere for its next period.
        const waits =
          view.number('policy') === SCHED_DEADLINE ||
          throttled?.read(address).number('throttled') === 1;
        if (isQueued && cpu === undefined && waits) continue;
        const other =
          cpu === undefined ? 'it is on no run queue' : `it is on the run queue of CPU ${cpu}`;
        warnings.add(
          code,
          `on_rq of pid ${pid} is ${view.number('on_rq')} on CPU ${at}, but ${other}`,
        );
      } catch (error) {
        addError(warnings, `state of pid ${pid}`, error);
      }
    }
}

class QueueReader {
  readonly #kernel: Kernel;
  readonly #queue;
  readonly #task;
  readonly #ext: StructReader<'scx.runnable_list'> | undefined;
  readonly #extNode: StructReader<'scx.runnable_node'> | undefined;
  readonly #realtimeOff: StructReader<'rt.rt_queued'> | undefined;
  readonly #group: StructReader<'my_q'> | undefined;
  readonly #entity;
  readonly #array;
  readonly #server: StructReader<'dl_server'> | undefined;
  readonly #fairGroup: StructReader<'se.cfs_rq'> | undefined;
  readonly #throttles: StructReader<'throttle_count'> | undefined;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#queue = new StructReader(kernel, 'rq', [
      ...([
        'nr_running',
        'stop',
        'cfs_tasks',
        'rt.active.queue',
        'dl.root.rb_root.rb_node',
      ] as const),
    ]);
    this.#task = new StructReader(kernel, 'task_struct', [
      ...(['pid', 'comm', 'prio', 'on_rq', 'se.group_node', 'rt.run_list', 'dl.rb_node'] as const),
    ]);
    this.#ext = StructReader.ifPresent(kernel, 'rq', ['scx.runnable_list']);
    this.#extNode = StructReader.ifPresent(kernel, 'task_struct', ['scx.runnable_node']);
    this.#realtimeOff = StructReader.ifPresent(kernel, 'rq', ['rt.rt_queued']);
    this.#group = StructReader.ifPresent(kernel, 'sched_rt_entity', ['my_q']);
    this.#entity = new StructReader(kernel, 'sched_rt_entity', ['run_list']);
    this.#array = new StructReader(kernel, 'rt_rq', ['active.queue']);
    this.#server = StructReader.ifPresent(kernel, 'sched_dl_entity', ['dl_server']);
    this.#fairGroup = StructReader.ifPresent(kernel, 'task_struct', ['se.cfs_rq']);
    // Since 6.18 a throttled task leaves the run queue by itself.
    this.#throttles = kernel.struct('task_struct')?.member('throttled')
      ? undefined
      : StructReader.ifPresent(kernel, 'cfs_rq', ['throttle_count']);
  }

  /** @param lost receives the reason why tasks of a class are missing */
  read(cpu: number, lost: (error: unknown) => void): RunQueue {
    const address = perCpuAddress(this.#kernel, needSymbol(this.#kernel, 'runqueues'), cpu);
    const view = this.#queue.read(address);
    const tasks: QueuedTask[] = [];
    let servers = 0;
    const add = (
      kind: SchedulingClass,
      found: () => Iterable<bigint>,
      isOff = (_: bigint) => false,
    ) => {
      try {
        for (const task of found()) tasks.push(this.#taskAt(task, kind, isOff(task)));
      } catch (error) {
        lost(error);
      }
    };
    // The stopper has no list: it is the only task of its class.
    const stop = view.pointer('stop');
    add('stop', () =>
      stop !== 0n && this.#task.read(stop).number('on_rq') === QUEUED ? [stop] : [],
    );
    add('deadline', () =>
      this.#deadline(view.pointer('dl.root.rb_root.rb_node'), () => void servers++),
    );
    const realtimeOff = this.#realtimeOff?.read(address).number('rt.rt_queued') === 0;
    add(
      'realtime',
      () => this.#realtime(view.addressOf('rt.active.queue')),
      () => realtimeOff,
    );
    const fair = view.addressOf('cfs_tasks');
    add(
      'fair',
      () => this.#listed(fair, 'se.group_node'),
      (task) => this.#isThrottled(task),
    );
    const { offset } = this.#ext?.members['scx.runnable_list'] ?? {};
    if (offset !== undefined) add('ext', () => this.#extTasks(address + BigInt(offset)));
    return {
      cpu,
      current: runningTask(this.#kernel, cpu),
      running: view.number('nr_running'),
      servers,
      tasks,
    };
  }

  *#listed(head: bigint, path: 'se.group_node'): Generator<bigint> {
    for (const node of closedListNodes(this.#kernel, head))
      yield this.#task.containerOf(node, path);
  }

  *#extTasks(head: bigint): Generator<bigint> {
    if (!this.#extNode) return;
    // A cursor of the watchdog is on no such list: each node is a task.
    for (const node of closedListNodes(this.#kernel, head))
      yield this.#extNode.containerOf(node, 'scx.runnable_node');
  }

  /** @param onServer called for each entity that is no task */
  *#deadline(root: bigint, onServer: () => void): Generator<bigint> {
    const entity = new StructReader(this.#kernel, 'sched_dl_entity', ['rb_node']);
    for (const node of treeNodes(this.#kernel, root)) {
      const task = this.#task.containerOf(node, 'dl.rb_node');
      const own = entity.containerOf(node, 'rb_node');
      // Bandwidth reserved for fair tasks, not a task (6.8).
      if (this.#server?.read(own).number('dl_server') === 1) onServer();
      else yield task;
    }
  }

  /** @param queues address of an array of lists, by priority */
  *#realtime(queues: bigint, depth = 0): Generator<bigint> {
    if (depth > MOST_GROUPS) throw damaged('groups of real-time tasks do not terminate (loop?)');
    const { size } = this.#array.members['active.queue'];
    const heads = readPartOf(this.#kernel, 'the real-time queue', queues, queues, size);
    for (let at = 0; at + LIST_BYTES <= size; at += LIST_BYTES) {
      const head = queues + BigInt(at);
      if (heads.getBigUint64(at, true) === head) continue;
      for (const node of closedListNodes(this.#kernel, head)) {
        const entity = this.#entity.containerOf(node, 'run_list');
        const group = this.#group?.read(entity).pointer('my_q') ?? 0n;
        if (group === 0n) yield this.#task.containerOf(node, 'rt.run_list');
        else yield* this.#realtime(this.#array.addressOf(group, 'active.queue'), depth + 1);
      }
    }
  }

  #isThrottled(task: bigint): boolean {
    const group = this.#fairGroup?.read(task).pointer('se.cfs_rq') ?? 0n;
    if (group === 0n || !this.#throttles) return false;
    return this.#throttles.read(group).number('throttle_count') > 0;
  }

  #taskAt(address: bigint, kind: SchedulingClass, throttled: boolean): QueuedTask {
    const view = this.#task.read(address);
    return {
      address,
      pid: view.number('pid'),
      comm: view.text('comm'),
      class: kind,
      priority: view.number('prio') | 0,
      throttled,
    };
  }
}
