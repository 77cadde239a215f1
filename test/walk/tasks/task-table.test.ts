import { afterAll, describe, expect, test } from 'vitest';
import { openNative } from '../../../src/kernel/native/open.js';
import { findTask, taskTable } from '../../../src/walk/tasks/task-table.js';
import { TaskReader } from '../../../src/walk/tasks/tasks.js';
import { type Damage, damagedKernel } from '../../support/damaged-kernel.js';
import { fixtureKernel } from '../../support/fixture-kernel.js';
import { FIXTURES, fixture } from '../../support/fixtures.js';
import { kernelReading } from '../../support/kernel-reading.js';
import { littleEndian } from '../../support/little-endian.js';

test.each(FIXTURES)('task list and pid table agree in %s', (name) => {
  const kernel = openNative({ files: [fixture(name).vmcore] });
  const { processes, faults, lost } = taskTable(kernel);
  expect([faults, lost]).toEqual([[], undefined]);
  expect(processes).toEqual([...new TaskReader(kernel).processes()]);
  kernel.close();
});

describe.each(['6.1', '6.12'] as const)('in %s', (version) => {
  const { kernel, offset, pointer, with: change } = fixtureKernel(version);
  afterAll(() => kernel.close());
  const sound = taskTable(kernel);
  const user = sound.processes.findLast(({ kernelThread }) => !kernelThread)!;
  const links = user.address + offset('task_struct', 'tasks');
  const [next, previous] = [pointer(links), pointer(links + 8n)];
  const word = (address: bigint, value: bigint) => ({ address, bytes: littleEndian(value, 8) });
  const unlinked: Damage = {
    patches: [word(previous, next), word(next + 8n, previous)],
    denials: [],
  };
  const head = kernel.symbol('init_pid_ns')! + offset('pid_namespace', 'idr.idr_rt.xa_head');

  test('finds a process that is on no list by its pid', () => {
    const damaged = damagedKernel(kernel, unlinked);
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
    const denials = [{ address: head, length: 8, code: 'filtered' as const }];
    const { processes, faults } = taskTable(damagedKernel(kernel, { ...unlinked, denials }));
    expect(processes).toHaveLength(sound.processes.length - 1);
    const unread = {
      code: 'unreadable',
      message: expect.stringMatching(/^pid table: .* are taken from the task list alone$/),
    };
    const message = expect.stringMatching(/^nr_threads counts \d+ threads/);
    expect(faults).toEqual([unread, { code: 'torn-list', message }]);
    const alone = taskTable(damagedKernel(kernel, { patches: [], denials }));
    expect([alone.processes, alone.faults]).toEqual([sound.processes, [unread]]);
  });

  test.each([
    ['empty', 0n],
    ['at an odd address', 0x123n],
    ['not a node', pointer(head) + 62n],
  ])('reports a pid table that is %s, and loses no task', (_, value) => {
    const damage = { patches: [word(head, value)], denials: [] };
    const { processes, faults } = taskTable(damagedKernel(kernel, damage));
    expect(processes).toEqual(sound.processes);
    expect(faults).not.toEqual([]);
  });

  test('adds no task for a struct pid that points elsewhere', () => {
    const pid = pointer(user.address + offset('task_struct', 'thread_pid'));
    const damage = change(pid, 'pid', 'tasks', links, 8);
    const { processes, faults } = taskTable(damagedKernel(kernel, damage));
    expect(processes).toHaveLength(sound.processes.length);
    expect(faults.map(({ message }) => message).join('\n')).toMatch(
      `struct pid of ${user.pid} in init_pid_ns.idr points to 0x`,
    );
  });

  test('treats a task with user-space children as a process, whatever its flags', () => {
    const damage = change(user.address, 'task_struct', 'flags', 0x20_0040n, 4);
    const { processes, faults } = taskTable(damagedKernel(kernel, damage));
    expect(processes.find(({ pid }) => pid === user.pid)?.kernelThread).toBe(false);
    expect(faults.map(({ message }) => message)).toEqual([
      expect.stringMatching(`task_struct.flags make pid ${user.pid} a kernel thread, but`),
    ]);
  });

  /** A live kernel whose memory differs at each read; the last version stays. */
  const live = (...kernels: readonly Pick<typeof kernel, 'read'>[]) => {
    const facts = { ...kernel.facts, live: true };
    let reads = 0;
    const read = (address: bigint, length: number) =>
      kernels[Math.min(reads, kernels.length - 1)]!.read(address, length);
    return new Proxy(kernelReading(kernel, read), {
      get(target, name) {
        if (name === 'facts') return facts;
        if (name === 'noteReads') return () => () => void reads++;
        return Reflect.get(target, name, target);
      },
    });
  };

  test('treats faults that vanish at the next read of a live kernel as races, and others as faults', () => {
    const damaged = damagedKernel(kernel, unlinked);
    expect(taskTable(live(damaged, kernel)).faults).toEqual([]);
    expect(taskTable(live(damaged)).faults).toHaveLength(1);
  });

  test('reports a live list as torn if it tears elsewhere at each read', () => {
    const denials = [{ address: head, length: 8, code: 'filtered' as const }];
    const torn = [1n, 2n, 3n].map((back) => damagedKernel(kernel, { patches: [word(links + 8n, back)], denials }));
    const { faults, lost } = taskTable(live(...torn));
    expect(faults.map(({ code }) => code)).toEqual(['torn-list', 'unreadable']);
    expect(lost?.message).toMatch('is inconsistent');
    const healed = taskTable(live(...torn.slice(0, 2), kernel));
    expect([healed.faults, healed.lost]).toEqual([[], undefined]);
  });
});
