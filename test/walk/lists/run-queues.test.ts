import { expect, test } from 'vitest';
import { readList } from '../../../src/answers/info/lists/lists.js';
import { FixtureBase, OverlaidKernel } from '../../support/overlaid-kernel.js';

const BASE = new FixtureBase('6.1');
const [FAIR, REALTIME, DEADLINE, LOWER, SLEEPING] = [1, 2, 3, 4, 5] as const;

/** CPU 0 runs pid 1, and pid 2 to 4 are on its queue, too; CPU 1 is idle. */
class Queues extends OverlaidKernel {
  readonly queues = this.make(2 * this.size('rq'));

  constructor() {
    super(BASE);
    for (const { address } of BASE.table.processes.flatMap((one) => BASE.table.threads(one)))
      this.set('task_struct', address, { on_rq: 0, policy: 0 });
    this.symbols.runqueues = this.queues;
    this.symbols.__per_cpu_offset = this.make(64 * 8);
    this.word(this.symbols.__per_cpu_offset + 8n, this.size('rq'));
    this.set('task_struct', BASE.kernel.symbol('init_task')!, { 'thread_info.cpu': 1 });
    for (const at of [this.queues, this.queues + BigInt(this.size('rq'))]) {
      this.set('rq', at, { curr: BASE.kernel.symbol('init_task')!, idle: BASE.kernel.symbol('init_task')! });
      this.link(this.at('rq', at, 'cfs_tasks'));
      this.lists(this.at('rq', at, 'rt.active.queue'));
    }
    for (const pid of [FAIR, REALTIME, DEADLINE, LOWER, SLEEPING])
      this.clear('task_struct', this.task(pid), 'on_rq', 'policy');
    for (const pid of [FAIR, REALTIME, DEADLINE, LOWER])
      this.set('task_struct', this.task(pid), { on_rq: 1, 'thread_info.cpu': 0, prio: 120 });
    this.set('rq', this.queues, { nr_running: 4, curr: this.task(FAIR), 'rt.rt_queued': 1 });
    const node = this.at('task_struct', this.task(DEADLINE), 'dl.rb_node');
    this.set('rq', this.queues, { 'dl.root.rb_root.rb_node': node });
    this.set('rb_node', node, { __rb_parent_color: 1 });
    this.set('task_struct', this.task(DEADLINE), { prio: -1 });
    this.link(this.at('rq', this.queues, 'cfs_tasks'), this.at('task_struct', this.task(FAIR), 'se.group_node'));
    this.link(this.priority(50), this.at('task_struct', this.task(REALTIME), 'rt.run_list'));
    this.link(this.priority(60), this.at('task_struct', this.task(LOWER), 'rt.run_list'));
  }

  priority(number: number): bigint {
    return this.at('rq', this.queues, 'rt.active.queue') + BigInt(16 * number);
  }

  lists(array: bigint): void {
    for (let index = 0; index < 100; index++) this.link(array + BigInt(16 * index));
  }
}

test('lists the tasks of each CPU, highest class first', () => {
  const { cpus, complete, warnings } = readList('run-queues', new Queues().kernel());
  expect([complete, warnings]).toEqual([true, []]);
  expect(cpus).toMatchObject([
    {
      cpu: 0,
      running: 4,
      current: { pid: FAIR },
      tasks: [
        { pid: DEADLINE, class: 'deadline', priority: -1 },
        { pid: REALTIME, class: 'realtime' },
        { pid: LOWER, class: 'realtime' },
        { pid: FAIR, class: 'fair', throttled: false },
      ],
    },
    { cpu: 1, running: 0, current: { pid: 0 }, tasks: [] },
  ]);
});

test('an idle task with a pid is reported', () => {
  const one = new Queues();
  one.set('rq', one.queues, { idle: one.task(FAIR) });
  const { complete, warnings } = readList('run-queues', one.kernel());
  expect(complete).toBe(false);
  expect(warnings).toMatchObject([{ message: 'CPU 0 runs its idle task, but that has pid 1' }]);
});

test('throttled tasks are not counted as running', () => {
  const one = new Queues();
  one.set('rq', one.queues, { nr_running: 1, 'rt.rt_queued': 0 });
  one.set('task_struct', one.task(FAIR), { 'se.cfs_rq': one.make('cfs_rq', { throttle_count: 1 }) });
  const { cpus, complete } = readList('run-queues', one.kernel());
  expect(complete).toBe(true);
  expect(cpus[0]?.tasks.map(({ throttled }) => throttled)).toEqual([false, true, true, true]);
});

test('a deadline task that waits for its next period is on no queue', () => {
  const one = new Queues();
  one.set('task_struct', one.task(SLEEPING), { on_rq: 1, policy: 6 });
  expect(readList('run-queues', one.kernel()).complete).toBe(true);
});

type Members = Readonly<Record<string, bigint | number | string>>;
const queues = (members: Members) => (one: Queues) => one.set('rq', one.queues, members);

test.each<readonly [string, RegExp, (one: Queues) => void]>([
  ['number', /CPU 0: nr_running is 5, but 4 tasks are on its run queue/, queues({ nr_running: 5 })],
  [
    'state',
    /on_rq of pid 1 is 0 on CPU 0, but it is on the run queue of CPU 0/,
    (one) => one.set('task_struct', one.task(FAIR), { on_rq: 0 }),
  ],
  [
    'CPU',
    /on_rq of pid 1 is 1 on CPU 1, but it is on the run queue of CPU 0/,
    (one) => one.set('task_struct', one.task(FAIR), { 'thread_info.cpu': 1 }),
  ],
  [
    'absence',
    /on_rq of pid 5 is 1 on CPU \d+, but it is on no run queue/,
    (one) => one.set('task_struct', one.task(SLEEPING), { on_rq: 1 }),
  ],
  ['stopper', /pid 1 is on two run queues/, (one) => one.set('rq', one.queues, { stop: one.task(FAIR) })],
  ['list', /run queue of CPU 0/, (one) => one.word(one.at('rq', one.queues, 'cfs_tasks') + 8n, 8)],
  ['tree', /run queue of CPU 0/, (one) => one.set('rq', one.queues, { 'dl.root.rb_root.rb_node': one.queues })],
  ['current task', /run queue of CPU 0/, queues({ curr: 8 })],
  [
    'alignment',
    /CPU 0 runs a task at 0x\w+1, which is misaligned/,
    (one) => queues({ curr: one.task(FAIR) + 1n })(one),
  ],
  [
    'idle task',
    /^CPU 1 runs pid 0, which is not its idle task$/,
    (one) => one.set('rq', one.queues + BigInt(one.size('rq')), { idle: one.task(SLEEPING) }),
  ],
  [
    'current task of another CPU',
    /^CPU 1 runs pid 1, but this task is on CPU 0$/,
    (one) => one.set('rq', one.queues + BigInt(one.size('rq')), { curr: one.task(FAIR) }),
  ],
])('reports a wrong %s', (_, message, damage) => {
  const one = new Queues();
  damage(one);
  const { complete, warnings } = readList('run-queues', one.kernel());
  expect(complete).toBe(false);
  expect(warnings).toContainEqual(expect.objectContaining({ message: expect.stringMatching(message) }));
});
