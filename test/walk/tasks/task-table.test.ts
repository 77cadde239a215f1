import { describe, expect, test } from 'vitest';
import { openNative } from '../../../src/kernel/native/open.js';
import { findTask, taskTable } from '../../../src/walk/tasks/task-table.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { kernelWith, liveKernel } from '../../support/damaged-kernel.js';
import { FIXTURES, fixture } from '../../support/fixtures.js';
import { fixtureKernel } from '../../support/opened-kernel.js';

test.each(FIXTURES)('task list and pid table agree in %s', (name) => {
  const kernel = openNative({ files: [fixture(name).vmcore] });
  const { processes, faults, lost } = taskTable(kernel);
  expect([faults, lost]).toEqual([[], undefined]);
  expect(processes).toEqual([...new TaskReader(kernel).processes()]);
  kernel.close();
});

describe.each(['6.1', '6.12'] as const)('in %s', (version) => {
  const { kernel, addressOf, read, set, unlink, lose, damagedBy } = fixtureKernel(version);
  const sound = taskTable(kernel);
  const user = sound.processes.findLast(({ kernelThread }) => !kernelThread)!;
  const links = addressOf(user.address, 'task_struct.tasks');
  const unlinked = unlink(user.address, 'task_struct.tasks');
  const head = addressOf('init_pid_ns', 'pid_namespace.idr.idr_rt.xa_head');

  test('finds a process that is on no list by its pid', () => {
    const damaged = damagedBy(unlinked);
    const { processes, threads, faults, lost } = taskTable(damaged);
    expect(processes.map(({ pid }) => pid).toSorted((a, b) => a - b)).toEqual(
      sound.processes.map(({ pid }) => pid).toSorted((a, b) => a - b),
    );
    expect(threads(user).map(({ pid }) => pid)).toEqual(sound.threads(user).map(({ pid }) => pid));
    expect(lost).toBeUndefined();
    expect(faults).toEqual([
      {
        code: 'corrupt',
        message: `the pid table (init_pid_ns.idr) and the task list (init_task.tasks) are inconsistent: only the first contains pid ${user.pid}`,
      },
    ]);
    expect(findTask(damaged, user.pid)).toEqual(user);
  });

  test("reports a missing process from the kernel's counter if the pid table is unreadable", () => {
    const { processes, faults } = taskTable(damagedBy(unlinked, lose(head, 8)));
    expect(processes).toHaveLength(sound.processes.length - 1);
    const unread = {
      code: 'unreadable',
      message: expect.stringMatching(/^pid table: .* are taken from the task list alone$/),
    };
    const message = expect.stringMatching(/^nr_threads counts \d+ threads/);
    expect(faults).toEqual([unread, { code: 'torn-list', message }]);
    const alone = taskTable(damagedBy(lose(head, 8)));
    expect([alone.processes, alone.faults]).toEqual([sound.processes, [unread]]);
  });

  test.each([
    ['empty', 0n],
    ['at an odd address', 0x123n],
    ['not a node', read(head) + 62n],
  ])('reports a pid table that is %s, and loses no task', (_, value) => {
    const { processes, faults } = taskTable(damagedBy(set(head, 8, value)));
    expect(processes).toEqual(sound.processes);
    expect(faults).not.toEqual([]);
  });

  test('adds no task for a struct pid that points elsewhere', () => {
    const pid = read(user.address, 'task_struct.thread_pid');
    const { processes, faults } = taskTable(damagedBy(set(pid, 'pid.tasks', links)));
    expect(processes).toHaveLength(sound.processes.length);
    expect(faults.map(({ message }) => message).join('\n')).toMatch(
      `struct pid of ${user.pid} in init_pid_ns.idr points to 0x`,
    );
  });

  test('treats a task with user-space children as a process, whatever its flags', () => {
    const damage = set(user.address, 'task_struct.flags', 0x20_0040n);
    const { processes, faults } = taskTable(damagedBy(damage));
    expect(processes.find(({ pid }) => pid === user.pid)?.kernelThread).toBe(false);
    expect(faults.map(({ message }) => message)).toEqual([
      expect.stringMatching(`task_struct.flags make pid ${user.pid} a kernel thread, but`),
    ]);
  });

  /** A live kernel whose memory differs at each read; the last version stays. */
  const live = (...kernels: readonly Pick<typeof kernel, 'read'>[]) => {
    let reads = 0;
    const read = (address: bigint, length: number) =>
      kernels[Math.min(reads, kernels.length - 1)]!.read(address, length);
    return liveKernel(kernelWith(kernel, { read, noteReads: () => () => void reads++ }));
  };

  test('treats faults that vanish at the next read of a live kernel as races, and others as faults', () => {
    const damaged = damagedBy(unlinked);
    expect(taskTable(live(damaged, kernel)).faults).toEqual([]);
    expect(taskTable(live(damaged)).faults).toHaveLength(1);
  });

  test('reports a live list as torn if it tears elsewhere at each read', () => {
    const torn = [1n, 2n, 3n].map((back) => damagedBy(set(links + 8n, 8, back), lose(head, 8)));
    const { faults, lost } = taskTable(live(...torn));
    expect(faults.map(({ code }) => code)).toEqual(['torn-list', 'unreadable']);
    expect(lost?.message).toMatch('is inconsistent');
    const healed = taskTable(live(...torn.slice(0, 2), kernel));
    expect([healed.faults, healed.lost]).toEqual([[], undefined]);
  });
});
