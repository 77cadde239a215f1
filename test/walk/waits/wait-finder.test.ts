import { expect, test } from 'vitest';
import { blockedTasks } from '../../../src/account/blocked.js';
import { FixtureBase } from '../../support/overlaid-kernel.js';
import { Waiting } from './waiting.js';

const BASE = new FixtureBase('6.1');
const PAGE_OF = 0xffff_fff0_0000_8000n;

/** What pid 5 waits for: kind, bit, and whether the address is that of the object. */
function waits(scene: (one: Waiting) => bigint | undefined) {
  const one = new Waiting(BASE);
  const object = scene(one);
  const { locks, complete, warnings } = blockedTasks(one.kernel());
  const lock = locks.find(({ waiters }) => waiters.some(({ pid }) => pid === 5));
  const found = `${lock?.kind} ${lock?.bit ?? ''} ${lock?.owner?.pid ?? lock?.ownerState}`;
  return {
    found,
    isObject: lock?.address === (object ?? null),
    complete,
    messages: warnings.map(({ message }) => message),
  };
}

/** A wait for a bit, by an entry within a larger struct on the stack. */
function bit(
  one: Waiting,
  type: 'wait_page_queue' | 'wait_bit_queue_entry',
  wakes: string,
  members: Readonly<Record<string, bigint | number>>,
  head = one.make(16),
  waits = 'some_wait',
) {
  const at = one.sleeps(5, 'bit_wait_io', waits);
  one.write(at, new Uint8Array(one.size(type)));
  one.set(type, at, members);
  const entry = one.at(type, at, type === 'wait_page_queue' ? 'wait' : 'wq_entry');
  one.set('wait_queue_entry', entry, { private: one.task(5), func: one.wakes(wakes) });
  one.queue(head, 'wait_queue_entry', entry);
  return PAGE_OF;
}

/** The first bucket of a table of 256 wait queues. */
function firstBucket(one: Waiting, table: string): bigint {
  one.symbols[table] = one.make(256 * one.size('wait_queue_head'));
  return one.at('wait_queue_head', one.symbols[table], 'head');
}

function percpuReader(one: Waiting): bigint {
  const lock = one.make('percpu_rw_semaphore', { 'block.counter': 1 });
  const entry = one.waiter(5, 'wait_queue_entry', 'percpu_rwsem_wait');
  one.set('wait_queue_entry', entry, { func: one.wakes('percpu_rwsem_wake_function') });
  one.queue(one.at('percpu_rw_semaphore', lock, 'waiters.head'), 'wait_queue_entry', entry);
  return lock;
}

function percpuWriter(one: Waiting, writer = 5): bigint {
  const lock = one.make('percpu_rw_semaphore', { 'block.counter': 1, 'writer.task': one.task(writer) });
  one.word(one.sleeps(5, 'percpu_down_write'), lock);
  return lock;
}

function rtMutex(one: Waiting, waiter = 5): bigint {
  const lock = one.make('rt_mutex_base', { owner: one.task(4) + 1n });
  one.sleeps(5, 'rt_mutex_slowlock');
  const on = one.make('rt_mutex_waiter', { task: one.task(waiter), lock });
  one.set('rt_mutex_base', lock, { 'waiters.rb_root.rb_node': one.at('rt_mutex_waiter', on, 'tree.entry') });
  one.set('task_struct', one.task(5), { pi_blocked_on: on });
  return lock;
}

/** Pid 5 flushes a work item, which the worker of pid 4 runs. @param of changes members of the worker */
function flush(one: Waiting, of: Readonly<Record<string, bigint>> = {}, isListed = true, pid = 5): bigint {
  const [work, func] = [one.make('work_struct'), one.wakes('some_work')];
  one.set('work_struct', work, { func, 'data.counter': one.make(256) | 5n });
  const worker = one.make('worker', { current_work: work, current_func: func, task: one.task(4), ...of });
  one.set('task_struct', one.task(4), { worker_private: one.make('kthread', { data: worker }) });
  const waiter = one.waiter(5, 'swait_queue', 'wait_for_completion', '__flush_work');
  const barrier = waiter + 0x100n;
  one.write(barrier, new Uint8Array(one.size('wq_barrier')));
  one.set('wq_barrier', barrier, { task: one.task(pid) });
  const entry = one.at('work_struct', one.at('wq_barrier', barrier, 'work'), 'entry');
  one.set('work_struct', one.at('wq_barrier', barrier, 'work'), { func: one.wakes('wq_barrier_func') });
  one.link(isListed ? one.at('worker', worker, 'scheduled') : one.at('work_struct', work, 'entry'), entry);
  const completion = one.at('wq_barrier', barrier, 'done');
  one.queue(one.at('completion', completion, 'wait.task_list'), 'swait_queue', waiter);
  return work;
}

/** Pid 5 waits for a journal of pid 4. */
function journal(one: Waiting, queue: string, members: Readonly<Record<string, bigint | number>> = {}): undefined {
  const device = one.make(8);
  const at = one.make('journal_s', {
    j_task: one.task(4),
    j_fs_dev: device,
    j_private: one.make('super_block', { s_bdev: device }),
    ...members,
  });
  one.set('task_struct', one.task(4), { worker_private: one.make('kthread', { data: at }) });
  const entry = one.waiter(5, 'wait_queue_entry', 'jbd2_log_wait_commit');
  one.set('wait_queue_entry', entry, { func: one.wakes('autoremove_wake_function') });
  one.queue(one.at('wait_queue_head', one.at('journal_s', at, queue), 'head'), 'wait_queue_entry', entry);
}

test.each<readonly [string, (one: Waiting) => bigint, string]>([
  [
    'a locked page',
    (one) => bit(one, 'wait_page_queue', 'wake_page_function', { folio: PAGE_OF, bit_nr: 0 }),
    'page-lock 0 not-recorded',
  ],
  [
    'writeback',
    (one) => bit(one, 'wait_page_queue', 'wake_page_function', { folio: PAGE_OF, bit_nr: 15 }),
    'writeback 15 not-recorded',
  ],
  [
    'another bit of a page',
    (one) => bit(one, 'wait_page_queue', 'wake_page_function', { folio: PAGE_OF, bit_nr: 7 }),
    'page-bit 7 not-recorded',
  ],
  [
    'a bit',
    (one) => bit(one, 'wait_bit_queue_entry', 'wake_bit_function', { 'key.flags': PAGE_OF, 'key.bit_nr': 3 }),
    'bit 3 not-recorded',
  ],
  [
    'a variable',
    (one) => bit(one, 'wait_bit_queue_entry', 'var_wake_function', { 'key.flags': PAGE_OF, 'key.bit_nr': -1 }),
    'bit  not-recorded',
  ],
  ['a percpu_rw_semaphore, to read', percpuReader, 'percpu-rw-semaphore  not-recorded'],
  ['readers of a percpu_rw_semaphore', percpuWriter, 'percpu-rw-semaphore  not-recorded'],
  ['an rt_mutex', rtMutex, 'rt-mutex  4'],
  ['a work item that a worker runs', flush, 'work  4'],
  ['a work item that is queued', (one) => flush(one, { current_work: 0n }, false), 'work  none'],
])('finds a wait for %s', (_, scene, found) => {
  expect(waits(scene)).toEqual({ found, isObject: true, complete: true, messages: [] });
});

test.each<readonly [string, RegExp, (one: Waiting) => unknown]>([
  [
    'a page whose bit is clear',
    /^a task waits for bit 7 of the page at 0x\w+, which is clear$/,
    (one) => bit(one, 'wait_page_queue', 'wake_page_function', { folio: one.make(64), bit_nr: 7 }),
  ],
  [
    'another bit than its functions',
    /^pid 5 waits for page-lock by its waiter, but for writeback by its stack$/,
    (one) =>
      bit(
        one,
        'wait_page_queue',
        'wake_page_function',
        { folio: PAGE_OF, bit_nr: 0 },
        one.make(16),
        'folio_wait_writeback',
      ),
  ],
  [
    'a page in the wait queue of others',
    /^a waiter for 0x\w+ is in the wait queue at 0x\w+, which is for others$/,
    (one) => {
      const head = firstBucket(one, 'folio_wait_table');
      return bit(one, 'wait_page_queue', 'wake_page_function', { folio: PAGE_OF, bit_nr: 0 }, head);
    },
  ],
  [
    'a bit outside of the kernel',
    /^a task waits for a bit at 0x1000, which is not in the kernel$/,
    (one) => bit(one, 'wait_bit_queue_entry', 'wake_bit_function', { 'key.flags': 0x1000n, 'key.bit_nr': 3 }),
  ],
  [
    'a bit in the wait queue of others',
    /^a waiter for 0x\w+ is in the wait queue at 0x\w+, which is for others$/,
    (one) => {
      const members = { 'key.flags': PAGE_OF, 'key.bit_nr': 3 };
      const head = firstBucket(one, 'bit_wait_table');
      return bit(one, 'wait_bit_queue_entry', 'wake_bit_function', members, head);
    },
  ],
  ['waiter of an rt_mutex', /which is another task’s/, (one) => rtMutex(one, 6)],
  ['function of a worker', /another function is recorded elsewhere/, (one) => flush(one, { current_func: 8n })],
  [
    'thread of a worker',
    /another task is recorded elsewhere/,
    (one) => {
      flush(one);
      one.set('task_struct', one.task(4), { worker_private: one.make('kthread') });
    },
  ],
  [
    'work item',
    /its barrier at 0x\w+ is behind none/,
    (one) => one.set('work_struct', flush(one, { current_work: 0n }, false), { 'data.counter': 0 }),
  ],
  [
    'file system of a journal',
    /j_private is not its file system/,
    (one) => journal(one, 'j_wait_done_commit', { j_fs_dev: 8 }),
  ],
  ['handle of a journal', /it waits for open handles, but no task has one/, (one) => journal(one, 'j_wait_updates')],
  [
    'task of a barrier',
    /^pid 5 waits for a work item, but its barrier at 0x\w+ is of another task$/,
    (one) => flush(one, {}, true, 6),
  ],
  [
    'place of a switch',
    /stack trace of pid 5: the task was switched out at 0x\w+, which does not follow a call of __switch_to_asm$/,
    (one) => {
      percpuWriter(one);
      one.symbols.__switch_to_asm = one.make(16);
    },
  ],
  [
    'thread of a journal',
    /is in none whose thread knows it/,
    (one) => journal(one, 'j_wait_done_commit', { j_task: 8 }),
  ],
  [
    'number of handles',
    /count 2 open handles, but 0 tasks have one/,
    (one) =>
      journal(one, 'j_wait_commit', { j_running_transaction: one.make('transaction_s', { 't_updates.counter': 2 }) }),
  ],
])('reports a wrong %s', (_, message, scene) => {
  const { complete, messages } = waits((one) => void scene(one));
  expect(complete).toBe(false);
  expect(messages).toContainEqual(expect.stringMatching(message));
});

test('a semaphore on the stack whose writer is another task is not what a task waits for', () => {
  const { found, isObject, complete, messages } = waits((one) => void percpuWriter(one, 6));
  expect([found, isObject, complete]).toEqual(['percpu-rw-semaphore  unknown', true, false]);
  expect(messages).toEqual(['pid 5 waits in percpu_down_write, but no semaphore on its stack names it as writer']);
});

test.each([
  ['the commit thread', 'j_wait_done_commit', 'journal  4'],
  ['open handles', 'j_wait_commit', 'journal  not-recorded'],
])('a task waits for a journal: %s', (_, queue, found) => {
  expect(waits((one) => journal(one, queue)).found).toBe(found);
});
