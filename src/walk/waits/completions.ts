import { readOrNot } from '../../base/errors.js';
import { hex } from '../../base/util.js';
import { listNodes } from '../list.js';
import { StructReader } from '../struct-reader.js';
import type { Task } from '../tasks/tasks.js';
import { type SavedStack, wordsOf, wordsWith } from './saved-stacks.js';
import type { Wait, WaitContext, Waiting } from './wait-context.js';
import { isPointer } from './waiter.js';

/** Functions that wait until a work item has run. */
const FLUSHES = /^(__)?flush_work\b/;

/** Functions that wait for the end of a bio or request, by a completion on their stack (block/bio.c, block/blk-mq.c). */
const BIOS = /^(submit_bio_wait|bio_await|bio_submit_or_kill|blk_execute_rq)/;

/**
 * Bits of a queued work item, whose data is a pointer to its pool_workqueue: WORK_STRUCT_PENDING, WORK_STRUCT_PWQ
 * (include/linux/workqueue.h).
 */
const QUEUED = 5n;

/** Maximum number of tasks that flush one work item. */
const MAX_BARRIERS = 1024;

/** The wait for a completion; where its stack tells, for the work item or block device that completes it. */
export function completionWait(context: WaitContext, waiting: Waiting): Wait {
  const { task, stack, names } = waiting;
  const layout = context.kernel.struct('completion');
  // Completions had wait queues before 5.7.
  const old = layout?.member('wait.head');
  const waiter = context.waiterOf(waiting, old ? 'wait-queue' : 'completion');
  if (waiter === undefined) return { kind: 'completion' };
  const list = old ? context.queueOf(waiter) : context.listOf(waiter);
  const at = (old ?? layout?.member('wait.task_list'))?.offset;
  if (list.address === undefined || at === undefined) return { kind: 'completion' };
  const address = list.address - BigInt(at);
  const work = names.some((name) => FLUSHES.test(name ?? '')) && workWait(context, task, address);
  if (names.some((name) => BIOS.test(name ?? ''))) {
    const io = ioWait(context, stack, address);
    if (io) return io;
    context.torn(`pid ${task.pid} waits for a block device, but no bio or request is for its completion`);
  }
  return work || { kind: 'completion', ...list, address };
}

/** The end of a bio or request that has this address, of a completion or task, as its private data. */
export function ioWait({ kernel, devices }: WaitContext, stack: SavedStack, waits: bigint): Wait | undefined {
  const at = kernel.struct('bio')?.member('bi_private')?.offset;
  if (at === undefined) return undefined;
  const bios = function* () {
    // The bio itself is on the stack, or its address.
    for (const word of wordsWith(stack, waits)) yield word - BigInt(at);
    for (const word of wordsOf(stack)) if (isPointer(word)) yield word;
  };
  const queue = devices.queueOfBio(bios(), waits) ?? devices.queueOfRequest(waits);
  return queue === undefined ? undefined : { kind: 'io', address: queue };
}

/**
 * The work item that a task in flush_work waits for. A barrier with the completion is on the list of the worker that
 * runs the item, or behind the item on the list of items that no worker has taken (insert_wq_barrier,
 * kernel/workqueue.c).
 */
function workWait(context: WaitContext, task: Task, completion: bigint): Wait | undefined {
  const { kernel } = context;
  const barrier = StructReader.ifPresent(kernel, 'wq_barrier', ['work', 'done', 'task']);
  const item = StructReader.ifPresent(kernel, 'work_struct', ['data.counter', 'entry', 'entry.prev', 'func']);
  const worker = StructReader.ifPresent(kernel, 'worker', ['scheduled', 'current_work', 'current_func', 'task']);
  if (!barrier || !item || !worker) return undefined;
  const own = barrier.readContainer(completion, 'done');
  const waits = `pid ${task.pid} waits for a work item, but its barrier at`;
  if (own.pointer('task') !== task.address) {
    context.contradict(`${waits} ${hex(own.address)} is of another task`);
    return undefined;
  }
  const work = own.addressOf('work');
  const marker = item.read(work).pointer('func');
  for (const at of listNodes(kernel, item.addressOf(work, 'entry'))) {
    const view = readOrNot(() => worker.readContainer(at, 'scheduled'));
    const [by, runs] = [view?.pointer('task') ?? 0n, view?.pointer('current_work') ?? 0n];
    if (!view || runs === 0n || !context.isTask(by)) continue;
    const { address } = view;
    const other = [
      // A work item has its function where a worker has it.
      ...(runs !== address && item.read(runs).pointer('func') === view.pointer('current_func') ? [] : ['function']),
      ...((kthreadData(context, by) ?? address) === address ? [] : ['task']),
    ];
    for (const what of other)
      context.corrupt(
        `worker at ${hex(address)}, which runs the work item at ${hex(runs)}: another ${what} is recorded elsewhere`,
      );
    return { kind: 'work', address: runs, owner: by };
  }
  // Other barriers for the same item stand between.
  let before = item.read(work);
  for (let passed = 0; passed < MAX_BARRIERS && before.pointer('func') === marker; passed++)
    before = item.readContainer(before.pointer('entry.prev'), 'entry');
  const data = before.pointer('data.counter');
  if ((data & QUEUED) === QUEUED && data >> 63n === 1n) return { kind: 'work', address: before.address };
  context.corrupt(`${waits} ${hex(work)} is behind none, and on no worker’s list`);
  return undefined;
}

/**
 * What a kernel thread works on: `struct worker`, a journal (kthread_data, kernel/kthread.c). Before 5.17 set_child_tid
 * was the pointer to `struct kthread`.
 */
export function kthreadData(context: WaitContext, task: bigint): bigint | undefined {
  const data = StructReader.ifPresent(context.kernel, 'kthread', ['data']);
  const kthread = context.pointerOf(task, 'worker_private') ?? context.pointerOf(task, 'set_child_tid');
  return kthread === undefined ? undefined : data?.read(kthread).pointer('data');
}
