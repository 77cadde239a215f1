import { expect, test } from 'vitest';
import { type BlockedChoice, blockedTasks, cyclesOf } from '../../src/account/blocked.js';
import type { BlockingLock } from '../../src/contracts/blocked.js';
import { FixtureBase } from '../support/overlaid-kernel.js';
import { Waiting } from '../walk/waits/waiting.js';

const BASE = new FixtureBase('6.1');

interface Described {
  readonly complete: boolean;
  readonly blocked: number;
  readonly warnings: readonly string[];
  /** `KIND OWNER waiters=PIDS candidates`, in order of the answer. */
  readonly locks: readonly string[];
}

function describe({ kind, owner, ownerState, readers, waiters, candidates }: BlockingLock): string {
  const by = candidates.map((one) => `${one.by}=${one.task.pid}`);
  const held = owner ? `pid=${owner.pid}` : ownerState;
  const counted = readers === null || readers === 0 ? [] : [`readers=${readers}`];
  return [kind, held, ...counted, `waiters=${waiters.map(({ pid }) => pid).join()}`, ...by].join(' ');
}

/** The answer about a machine in which some tasks wait. */
function blocked(scene: (one: Waiting) => void, choice: BlockedChoice = {}, live = false): Described {
  const one = new Waiting(BASE);
  scene(one);
  const { complete, blocked: count, warnings, locks } = blockedTasks(one.kernel({ live }), choice);
  return { complete, blocked: count, warnings: warnings.map(({ message }) => message), locks: locks.map(describe) };
}

const sound = (count: number, ...locks: readonly string[]): Described => {
  return { complete: true, blocked: count, warnings: [], locks };
};

function rwSemaphore(one: Waiting, members: Readonly<Record<string, bigint>>, waiter = 5): bigint {
  const lock = one.make('rw_semaphore', members);
  const own = one.waiter(waiter, 'rwsem_waiter', 'rwsem_down_write_slowpath');
  one.queue(one.at('rw_semaphore', lock, 'wait_list'), 'rwsem_waiter', own);
  return lock;
}

function semaphore(one: Waiting, count = 0): bigint {
  const lock = one.make('semaphore', { count });
  one.queue(one.at('semaphore', lock, 'wait_list'), 'semaphore_waiter', one.waiter(5, 'semaphore_waiter', '__down'));
  return lock;
}

function completion(one: Waiting, done = 0, ...functions: readonly string[]): bigint {
  const lock = one.make('completion', { done });
  const waiter = one.waiter(5, 'swait_queue', 'wait_for_completion', ...functions);
  one.queue(one.at('completion', lock, 'wait.task_list'), 'swait_queue', waiter);
  return lock;
}

/** Words on the stack of another task, which may hold a lock. */
const onStack = (one: Waiting, pid: number, address: bigint) =>
  one.word(one.stack(one.task(pid), ['__schedule', 'kthread']), address);

test.each<readonly [string, (one: Waiting) => void, readonly string[]]>([
  ['mutex', (one) => void one.mutex(4, 5), ['mutex pid=4 waiters=5']],
  [
    'written rw_semaphore',
    (one) => void rwSemaphore(one, { 'count.counter': 3n, 'owner.counter': one.task(4) }),
    ['rw-semaphore pid=4 waiters=5'],
  ],
  [
    'read rw_semaphore',
    (one) => void rwSemaphore(one, { 'count.counter': 0x202n, 'owner.counter': one.task(4) | 1n }),
    ['rw-semaphore readers readers=2 waiters=5 last=4'],
  ],
  ['semaphore', (one) => onStack(one, 6, semaphore(one)), ['semaphore not-recorded waiters=5 stack=6']],
  ['completion', (one) => void completion(one), ['completion not-recorded waiters=5']],
  [
    'vfork',
    (one) => one.set('task_struct', one.task(4), { vfork_done: completion(one) }),
    ['completion pid=4 waiters=5'],
  ],
  [
    'wait queue',
    (one) => void one.waitQueue(5, 'autoremove_wake_function', 'some_wait'),
    ['wait-queue not-recorded waiters=5'],
  ],
  ['unknown wait', (one) => void one.sleeps(5, 'some_wait'), ['unknown unknown waiters=5']],
  ['grace period of SRCU', (one) => void completion(one, 0, 'synchronize_srcu'), ['rcu not-recorded waiters=5']],
  ['frozen task', (one) => void one.sleeps(5, '__refrigerator'), []],
])('finds what a task waits for: %s', (_, scene, locks) => {
  expect(blocked(scene)).toEqual(sound(locks.length, ...locks));
});

test('follows owners, and finds the cycle of a deadlock', () => {
  const one = new Waiting(BASE);
  one.mutex(6, 5);
  one.mutex(7, 6);
  one.mutex(6, 7);
  const { locks, cycles, complete } = blockedTasks(one.kernel());
  expect(complete).toBe(true);
  expect(cycles).toHaveLength(1);
  expect(cycles[0]?.pids.toSorted()).toEqual([6, 7]);
  expect(locks.every(({ waitsFor }) => waitsFor !== null)).toBe(true);
});

test('an interruptible wait counts for a lock, and for a futex if all are queried', () => {
  const scene = (one: Waiting) => {
    one.mutex(4, 5);
    const waiter = one.waiter(6, 'futex_q', 'futex_wait_queue', 'futex_wait');
    one.set('futex_q', waiter, { 'key.both.word': 0x7000, 'key.both.ptr': 8, 'key.both.offset': 0x10 });
    one.queue(one.make(16), 'futex_q', waiter);
    for (const pid of [5, 6]) one.set('task_struct', one.task(pid), { __state: 1 });
  };
  expect(blocked(scene)).toEqual(sound(1, 'mutex pid=4 waiters=5'));
  expect(blocked(scene, { all: true })).toEqual(sound(2, 'mutex pid=4 waiters=5', 'futex not-recorded waiters=6'));
  expect(blocked(scene, { uninterruptible: true })).toEqual(sound(0));
});

test('a futex of another process’s memory is reported', () => {
  const one = new Waiting(BASE);
  const waiter = one.waiter(6, 'futex_q', 'futex_wait_queue', 'futex_wait');
  one.set('futex_q', waiter, { 'key.both.word': 0x7000, 'key.both.ptr': 8, 'key.both.offset': 0x10 });
  one.queue(one.make(16), 'futex_q', waiter);
  one.set('task_struct', one.task(6), { mm: 16 });
  one.set('futex_q', waiter, { 'key.both.word': 0x7001 });
  const { warnings, complete } = blockedTasks(one.kernel(), { all: true });
  expect(complete).toBe(false);
  expect(warnings).toContainEqual(
    expect.objectContaining({ message: expect.stringMatching(/^the futex_q at 0x\w+ is for a page at 0x7001$/) }),
  );
  expect(warnings).toContainEqual(
    expect.objectContaining({ message: expect.stringMatching(/is for the memory at 0x8, but its task has 0x10$/) }),
  );
});

test('a task in a futex whose waiter is on no list is reported', () => {
  const one = new Waiting(BASE);
  one.waiter(6, 'futex_q', 'futex_wait_queue', 'futex_wait');
  one.set('task_struct', one.task(6), { __state: 1 });
  // The return address of futex_wait is the last but one.
  const stack = one.read(one.at('task_struct', one.task(6), 'stack'), 8).getBigUint64(0, true);
  const end = stack + 0x4000n - BigInt(one.size('pt_regs'));
  one.symbols.futex_wait = one.read(end - 24n, 8).getBigUint64(0, true) - 32n;
  const { warnings, complete } = blockedTasks(one.kernel(), { all: true });
  expect(complete).toBe(false);
  expect(warnings.map(({ message }) => message)).toEqual([
    'pid 6 waits in futex_wait_queue, but its stack has no waiter that is linked to a lock',
  ]);
  expect(blockedTasks(one.kernel())).toMatchObject({ complete: true, locks: [] });
});

test('a traced task waits for its tracer', () => {
  const scene = (ptrace: number) => (one: Waiting) => {
    one.sleeps(5, 'ptrace_stop');
    one.set('task_struct', one.task(5), { __state: 8, ptrace, parent: one.task(4) });
  };
  expect(blocked(scene(1), { all: true })).toEqual(sound(1, 'ptrace pid=4 waiters=5'));
  const untraced = new Waiting(BASE);
  scene(0)(untraced);
  const { warnings, complete } = blockedTasks(untraced.kernel(), { all: true });
  expect(complete).toBe(false);
  expect(warnings).toMatchObject([{ message: 'pid 5 stopped for a tracer, but is not traced' }]);
});

const WRITTEN = (one: Waiting) => ({ 'count.counter': 3n, 'owner.counter': one.task(4) });

test.each<readonly [string, RegExp, (one: Waiting) => void]>([
  [
    'owner that is no task',
    /its owner, task_struct 0x\w+, is no task of this kernel/,
    (one) => one.set('mutex', one.mutex(4, 5), { 'owner.counter': one.task(4) + 65n }),
  ],
  ['mutex without an owner', /tasks wait, but it has no owner/, (one) => void one.mutex(undefined, 5)],
  [
    'mutex without waiters',
    /its owner word has no flag for waiters/,
    (one) => one.set('mutex', one.mutex(4, 5), { 'owner.counter': one.task(4) }),
  ],
  [
    'count without waiters',
    /its count has no flag for waiters/,
    (one) => void rwSemaphore(one, { ...WRITTEN(one), 'count.counter': 1n }),
  ],
  [
    'count of readers',
    /its count names readers, but its owner word a writer/,
    (one) => void rwSemaphore(one, { ...WRITTEN(one), 'count.counter': 0x102n }),
  ],
  [
    'writer',
    /its count names a writer, but its owner word does not/,
    (one) => void rwSemaphore(one, { 'count.counter': 3n, 'owner.counter': 0n }),
  ],
  [
    'free rw_semaphore',
    /neither a writer nor readers hold it/,
    (one) => void rwSemaphore(one, { 'count.counter': 2n, 'owner.counter': 0n }),
  ],
  ['count of a semaphore', /tasks wait, but its count is 1/, (one) => void semaphore(one, 1)],
  ['completion', /it is complete \(done is 1\)/, (one) => void completion(one, 1)],
  [
    'waiter of another task',
    /its list has a waiter of 0x\w+, which is no task/,
    (one) => {
      const { head, entry } = one.waitQueue(5, 'autoremove_wake_function', 'some_wait');
      const other = one.make('wait_queue_entry', { private: one.task(4) + 8n, func: one.wakes('other_function') });
      one.queue(one.at('wait_queue_head', head, 'head'), 'wait_queue_entry', entry, other);
    },
  ],
  [
    'stack pointer',
    /the saved stack pointer 0x\w+ is outside the stack/,
    (one) => {
      one.mutex(4, 5);
      one.set('task_struct', one.task(5), { 'thread.sp': 8 });
    },
  ],
  [
    'link of a waiter',
    /its stack has no waiter that is linked to a lock/,
    (one) => {
      const waiter = one.waiter(5, 'mutex_waiter', '__mutex_lock');
      one.link(one.at('mutex_waiter', waiter, 'list'), one.make(16));
      one.set('mutex_waiter', waiter, { 'list.next': 8 });
    },
  ],
  [
    'start of a sleep',
    /pid 5 last began to run after the dump/,
    (one) => {
      one.mutex(4, 5);
      one.set('task_struct', one.task(5), { 'sched_info.last_arrival': 2n ** 62n });
    },
  ],
])('reports a wrong %s', (_, message, scene) => {
  const found = blocked(scene);
  expect(found.complete).toBe(false);
  expect(found.warnings).toContainEqual(expect.stringMatching(message));
});

test('a lock of a running kernel changes meanwhile', () => {
  const found = blocked((one) => void one.mutex(undefined, 5), {}, true);
  expect(found.complete).toBe(false);
  expect(found.locks).toEqual(['mutex none waiters=5']);
});

test('owners that wait for each other form a cycle, those before it do not belong to it', () => {
  const locks = [1, 2, 3, 2, null].map((waitsFor, id) => ({ id, waitsFor, owner: { pid: 10 + id } }));
  expect(cyclesOf(locks as unknown as BlockingLock[])).toEqual([{ locks: [2, 3], pids: [12, 13] }]);
});

test('a task that is runnable, but on no run queue, has a wrong state', () => {
  const scene = (rq: number) => (one: Waiting) => one.set('task_struct', one.task(6), { __state: 0, on_rq: rq });
  const message = 'pid 6 is runnable by its state, but it is on no run queue';
  expect(blocked(scene(0))).toMatchObject({ complete: false, warnings: [message] });
  expect(blocked(scene(1))).toEqual(sound(0));
});

test.each([
  ['no such state', 0x4, 0x40],
  ['a task that does not exit', 0, 0x20],
])('an exit_state of %s is reported', (_, flags, exit_state) => {
  const { complete, warnings } = blocked((one) => {
    one.mutex(4, 5);
    one.set('task_struct', one.task(5), { flags, exit_state });
  });
  expect(complete).toBe(false);
  expect(warnings).toContain(`pid 5 has the exit_state 0x${exit_state.toString(16)}, but has not begun to exit`);
});
