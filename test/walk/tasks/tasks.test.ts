import { expect, test } from 'vitest';
import { FileTables } from '../../../src/walk/tasks/files.js';
import { findTask } from '../../../src/walk/tasks/task-table.js';
import { TaskReader, taskState } from '../../../src/walk/tasks/tasks.js';
import { fixtureKernel } from '../../support/opened-kernel.js';
import { commOf } from '../../support/truth.js';

const { kernel, truth, addressOf, read, set, damagedBy } = fixtureKernel('6.1');

const holders = truth.sockets.flatMap((socket) =>
  socket.holders.map((holder) => ({ ...holder, file: BigInt(socket.file) })),
);
const [{ pid }] = holders as [(typeof holders)[number]];

test('finds every process that drgn finds, with its name', () => {
  const found = new Map([...new TaskReader(kernel).processes()].map((task) => [task.pid, task.comm]));
  for (const holder of holders) expect(found.get(holder.pid), `${holder.pid}`).toBe(commOf(holder));
});

test('distinguishes kernel threads from processes', () => {
  const thread = findTask(kernel, truth.kernelThread.pid);
  expect(thread).toMatchObject({ comm: truth.kernelThread.comm, kernelThread: true });
  expect(findTask(kernel, pid).kernelThread).toBe(false);
});

test('lists a process among its own threads', () => {
  const task = findTask(kernel, pid);
  const threads = [...new TaskReader(kernel).threads(task)];
  expect(threads.map(({ address }) => address)).toContain(task.address);
});

test('resolves descriptors to the files that drgn finds', () => {
  const tables = new FileTables(kernel);
  for (const holder of holders) {
    const { files } = findTask(kernel, holder.pid);
    const open = new Map([...tables.open(files)].map(({ fd, file }) => [fd, file]));
    expect(open.get(holder.fd), `${holder.pid} fd ${holder.fd}`).toBe(holder.file);
  }
});

test('reports a pid that no process has', () => {
  expect(() => findTask(kernel, 4_000_000)).toThrow(expect.objectContaining({ code: 'no-such-pid' }));
});

test('reports a task whose pid and tgid differ, and finds it by its struct pid', () => {
  const { address } = findTask(kernel, pid);
  const damaged = damagedBy(set(address, 'task_struct.pid', 77_777n));
  const odd = [...new TaskReader(damaged).processes()].find((task) => task.address === address);
  expect(odd?.anomaly).toMatch(`(77777, ${pid})`);
  expect(findTask(damaged, pid).address).toBe(address);
  expect(() => findTask(damaged, 77_777)).toThrow(expect.objectContaining({ code: 'no-such-pid' }));
});

test('returns the processes before a tear in the list, and then fails', () => {
  const { address } = findTask(kernel, pid);
  const all = [...new TaskReader(kernel).processes()];
  const before = all.findIndex((task) => task.address === address);
  const damaged = damagedBy(set(address, 'task_struct.tasks.prev', addressOf(address, 'task_struct.tasks')));
  const found = new TaskReader(damaged).processes();
  for (let index = 0; index < before; index++) expect(found.next().value).toEqual(all[index]);
  expect(() => [...found]).toThrow(/is inconsistent/);
});

test('reports a table with an impossible number of descriptors as damaged', () => {
  const { files } = findTask(kernel, pid);
  const fdt = read(files, 'files_struct.fdt');
  const damaged = damagedBy(set(fdt, 'fdtable.max_fds', 0xffff_ffffn));
  expect(() => [...new FileTables(damaged).open(files)]).toThrow(/invalid size \(\d+ descriptors\)/);
});

// include/linux/sched.h of 6.12: the state letter of ps for each.
test.each([
  ['R', 0, 0],
  ['S', 0x1, 0],
  ['D', 0x2, 0],
  ['D, killable', 0x102, 0],
  ['D, frozen', 0x8000, 0],
  ['D, for a lock of PREEMPT_RT', 0x1000, 0],
  ['S, freezable', 0x2001, 0],
  ['I', 0x402, 0],
  ['I, freezable', 0x2402, 0],
  ['T', 0x104, 0],
  ['t', 0x8, 0],
  ['P', 0x40, 0],
  ['Z', 0x80, 0x20],
  ['X', 0x80, 0x10],
])('%s', (name, state, exitState) => {
  expect(taskState(state, exitState)).toBe(name[0]);
});
