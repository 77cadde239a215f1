import { damaged } from '../../base/errors.js';
import type { RunQueuesAnswer } from '../../contracts/lists.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuOfTask, cpusThatRan, misplacement, needSymbol, perCpuAddress, runningTask } from '../cpus.js';
import { closedListNodes } from '../list.js';
import { readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { reportedTasks } from '../tasks/task-table.js';
import { treeNodes } from '../trees.js';
import { addError, type Warnings } from '../warnings.js';

type Cpu = RunQueuesAnswer['cpus'][number];
type SchedulingClass = Cpu['tasks'][number]['class'];

const MAX_GROUPS = 32;
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
export function runQueues(kernel: Kernel, warnings: Warnings): Pick<RunQueuesAnswer, 'cpus'> {
  const read = queueReader(kernel);
  const code = kernel.facts.live ? 'torn-list' : 'corrupt';
  const cpus: Cpu[] = [];
  const seen = new Map<bigint, number>();
  let whole = true;
  for (const cpu of cpusThatRan(kernel)) {
    let isLost = false;
    const lost = (error: unknown) => {
      isLost = true;
      whole = false;
      addError(warnings, `run queue of CPU ${cpu}`, error);
    };
    try {
      const { queue, servers, addresses, isIdle } = read(cpu, lost);
      const misplaced = misplacement(kernel, { ...queue.current, cpu, address: BigInt(queue.current.address) });
      if (misplaced !== undefined) warnings.add(code, misplaced);
      if (isIdle && queue.current.pid !== 0)
        warnings.add(code, `CPU ${cpu} runs its idle task, but that has pid ${queue.current.pid}`);
      if (!isIdle && queue.current.pid === 0 && !kernel.facts.live)
        warnings.add(code, `CPU ${cpu} runs pid 0, which is not its idle task`);
      const counted = queue.tasks.filter(({ throttled }) => !throttled).length;
      // Deadline servers that are queued for fair tasks (6.8): until they were excluded, `nr_running` counted them.
      if (![counted, counted + servers].includes(queue.running) && !isLost)
        warnings.add(code, `CPU ${cpu}: nr_running is ${queue.running}, but ${counted} tasks are on its run queue`);
      for (const [index, address] of addresses.entries()) {
        if (seen.has(address)) warnings.add(code, `pid ${queue.tasks[index]?.pid} is on two run queues`);
        seen.set(address, cpu);
      }
      cpus.push(queue);
    } catch (error) {
      lost(error);
    }
  }
  if (whole) checkTasks(kernel, warnings, seen);
  return { cpus };
}

/** Compares `on_rq` and CPU of each task with the run queues. @param seen CPU by task */
function checkTasks(kernel: Kernel, warnings: Warnings, seen: ReadonlyMap<bigint, number>): void {
  const task = new StructReader(kernel, 'task_struct', ['on_rq', 'policy']);
  const placeOf = cpuOfTask(kernel);
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
        const at = placeOf(address);
        if (isQueued && cpu === at) continue;
        // A throttled task waits elsewhere for its next period.
        const waits = view.number('policy') === SCHED_DEADLINE || throttled?.read(address).number('throttled') === 1;
        if (isQueued && cpu === undefined && waits) continue;
        const other = cpu === undefined ? 'it is on no run queue' : `it is on the run queue of CPU ${cpu}`;
        warnings.add(code, `on_rq of pid ${pid} is ${view.number('on_rq')} on CPU ${at}, but ${other}`);
      } catch (error) {
        addError(warnings, `state of pid ${pid}`, error);
      }
    }
}

/** Reads the run queue of a CPU: highest class first, each list in its order. */
function queueReader(kernel: Kernel) {
  const rq = new StructReader(kernel, 'rq', [
    'nr_running',
    'idle',
    'stop',
    'cfs_tasks',
    'rt.active.queue',
    'dl.root.rb_root.rb_node',
  ]);
  const task = new StructReader(kernel, 'task_struct', [
    'pid',
    'comm',
    'prio',
    'on_rq',
    'se.group_node',
    'rt.run_list',
    'dl.rb_node',
  ]);
  const ext = StructReader.ifPresent(kernel, 'rq', ['scx.runnable_list']);
  const extNode = StructReader.ifPresent(kernel, 'task_struct', ['scx.runnable_node']);
  const realtimeOff = StructReader.ifPresent(kernel, 'rq', ['rt.rt_queued']);
  const group = StructReader.ifPresent(kernel, 'sched_rt_entity', ['my_q']);
  const entity = new StructReader(kernel, 'sched_rt_entity', ['run_list']);
  const array = new StructReader(kernel, 'rt_rq', ['active.queue']);
  const server = StructReader.ifPresent(kernel, 'sched_dl_entity', ['dl_server', 'rb_node']);
  const fairGroup = StructReader.ifPresent(kernel, 'task_struct', ['se.cfs_rq']);
  // Since 6.18 a throttled task leaves the run queue by itself.
  const throttles = kernel.struct('task_struct')?.member('throttled')
    ? undefined
    : StructReader.ifPresent(kernel, 'cfs_rq', ['throttle_count']);

  function* listed(head: bigint, taskOf: (node: bigint) => bigint): Generator<bigint> {
    for (const node of closedListNodes(kernel, head)) yield taskOf(node);
  }

  /** @param queues address of an array of lists, by priority */
  function* realtime(queues: bigint, depth = 0): Generator<bigint> {
    if (depth > MAX_GROUPS) throw damaged('groups of real-time tasks do not terminate (loop?)');
    const { size } = array.members['active.queue'];
    const heads = readPartOf(kernel, 'the real-time queue', queues, queues, size);
    for (let at = 0; at + LIST_BYTES <= size; at += LIST_BYTES) {
      const head = queues + BigInt(at);
      if (heads.getBigUint64(at, true) === head) continue;
      for (const node of closedListNodes(kernel, head)) {
        const own = group?.read(entity.containerOf(node, 'run_list')).pointer('my_q') ?? 0n;
        if (own === 0n) yield task.containerOf(node, 'rt.run_list');
        else yield* realtime(array.addressOf(own, 'active.queue'), depth + 1);
      }
    }
  }

  const isThrottled = (address: bigint) => {
    const own = fairGroup?.read(address).pointer('se.cfs_rq') ?? 0n;
    return own !== 0n && (throttles?.read(own).number('throttle_count') ?? 0) > 0;
  };

  /** @param lost receives the reason why tasks of a class are missing */
  return (cpu: number, lost: (error: unknown) => void) => {
    const address = perCpuAddress(kernel, needSymbol(kernel, 'runqueues'), cpu);
    const view = rq.read(address);
    const tasks: Cpu['tasks'][number][] = [];
    const addresses: bigint[] = [];
    let servers = 0;
    const add = (kind: SchedulingClass, queued: () => Iterable<bigint>, isOff = (_: bigint) => false) => {
      try {
        for (const at of queued()) {
          const own = task.read(at);
          tasks.push({
            address: at,
            pid: own.number('pid'),
            comm: own.text('comm'),
            class: kind,
            priority: own.number('prio') | 0,
            throttled: isOff(at),
          });
          addresses.push(at);
        }
      } catch (error) {
        lost(error);
      }
    };
    // The stopper has no list: it is the only task of its class.
    const stop = view.pointer('stop');
    add('stop', () => (stop !== 0n && task.read(stop).number('on_rq') === QUEUED ? [stop] : []));
    add('deadline', function* () {
      for (const node of treeNodes(kernel, view.pointer('dl.root.rb_root.rb_node'))) {
        const at = task.containerOf(node, 'dl.rb_node');
        // Bandwidth reserved for fair tasks, not a task (6.8).
        if (server?.readContainer(node, 'rb_node').number('dl_server') === 1) servers++;
        else yield at;
      }
    });
    const isOff = realtimeOff?.read(address).number('rt.rt_queued') === 0;
    add(
      'realtime',
      () => realtime(view.addressOf('rt.active.queue')),
      () => isOff,
    );
    add(
      'fair',
      () => listed(view.addressOf('cfs_tasks'), (node) => task.containerOf(node, 'se.group_node')),
      isThrottled,
    );
    // A cursor of the watchdog is on no such list: each node is a task.
    if (ext && extNode)
      add('ext', () =>
        listed(ext.addressOf(address, 'scx.runnable_list'), (node) => extNode.containerOf(node, 'scx.runnable_node')),
      );
    const { address: current, pid, comm } = runningTask(kernel, cpu);
    const queue: Cpu = { cpu, current: { address: current, pid, comm }, running: view.number('nr_running'), tasks };
    return { queue, servers, addresses, isIdle: current === view.pointer('idle') };
  };
}
