import { afterAll, expect, it } from 'vitest';
import { openNative } from '../../src/kernel/native/open.js';
import { StructReader } from '../../src/walk/struct-reader.js';
import { TaskReader } from '../../src/walk/tasks/tasks.js';
import { fixture } from '../support/fixtures.js';

const kernel = openNative({ files: [fixture('6.1').vmcore] });
afterAll(() => kernel.close());

it('returns the values it has read, whatever is read later', () => {
  const reader = new StructReader(kernel, 'task_struct', ['pid', 'comm', 'files']);
  const tasks = [...new TaskReader(kernel).processes()];
  const first = tasks.map(({ address }) => reader.read(address));
  // Far more bytes than one read returns.
  for (let round = 0; round < 200; round++) for (const { address } of tasks) reader.read(address);
  const known = (view: (typeof first)[number]) => ({ pid: view.number('pid'), comm: view.text('comm') });
  expect(tasks.length).toBeGreaterThan(5);
  expect(first.map(known)).toEqual(tasks.map(({ pid, comm }) => ({ pid, comm })));
});

it('reads distant members separately for each cursor', () => {
  const reader = new StructReader(kernel, 'task_struct', ['__state', 'pid', 'comm']);
  const { offset } = kernel.struct('task_struct')!.member('pid')!;
  for (const { address, pid } of new TaskReader(kernel).processes()) {
    expect(reader.cursor().to(address).number('pid')).toBe(pid);
    expect(kernel.read(address + BigInt(offset), 4).getInt32(0, true)).toBe(pid);
  }
});

it('follows a list as the kernel does, from a member to its struct', () => {
  const reader = new StructReader(kernel, 'task_struct', ['pid', 'tasks']);
  const head = reader.addressOf(kernel.symbol('init_task')!, 'tasks');
  const listed = [...reader.entries(head, 'tasks')];
  expect(reader.containerOf(head, 'tasks')).toBe(kernel.symbol('init_task'));
  expect([...reader.entryAddresses(head, 'tasks')]).toEqual(listed.map(({ address }) => address));
  expect(listed.map((view) => view.number('pid'))).toEqual(
    [...new TaskReader(kernel).processes()].map(({ pid }) => pid),
  );
  expect(reader.element(head, 2)).toBe(head + 2n * BigInt(reader.size));
});

it('is undefined if the kernel lacks a member', () => {
  expect(StructReader.ifPresent(kernel, 'task_struct', ['pid', 'comm'])?.name).toBe('task_struct');
  expect(StructReader.ifPresent(kernel, 'task_struct', ['pid', 'no_member'])).toBeUndefined();
  expect(StructReader.ifPresent(kernel, 'no_struct', ['pid'])).toBeUndefined();
});
