import { describe, expect, test } from 'vitest';
import { pidTable } from '../../../src/walk/tasks/pid-table.js';
import { taskTable } from '../../../src/walk/tasks/task-table.js';
import { type MadeStruct, made, madeKernel } from '../../support/made-kernel.js';

/** Addresses in the synthetic memory. */
const INIT_TASK = 0x1000;
const NAMESPACE = 0x3000;
const OTHER_NAMESPACE = 0x3100;
const NODE = 0x4000;
const INNER_NODE = 0x4400;
const HASH = 0x6000;
const CHAINS = 0x6100;
/** Tasks, each followed by its signal_struct and struct pid. */
const TASKS = { 1: 0x7000, 70: 0x8000 } as const;
const SIGNAL = 0x400;
const PID = 0x600;

const structs: Readonly<Record<string, MadeStruct>> = {
  task_struct: {
    size: 0x400,
    members: {
      tasks: 0,
      thread_node: [0x10, 16],
      pid: [0x20, 4],
      tgid: [0x24, 4],
      flags: [0x28, 4],
      comm: [0x30, 16],
      files: 0x40,
      signal: 0x48,
      mm: 0x50,
      'pids[0].node': [0x60, 16],
      'pids[0].pid': 0x70,
    },
  },
  signal_struct: { size: 0x100, members: { thread_head: [0, 16] } },
  pid: { size: 0x80, members: { tasks: [8, 24], numbers: [0x20, 32] } },
  upid: { size: 32, members: { nr: [0, 4], ns: 8, pid_chain: [16, 16] } },
};

/** The words of a circular list, with a `struct list_head` at each address. */
const ring = (...places: readonly number[]) =>
  Object.fromEntries(
    places.flatMap((at, index) => [
      [at, made(places[(index + 1) % places.length]!)],
      [at + 8, made(places.at(index - 1)!)],
    ]),
  );

const tasks = Object.entries(TASKS).map(([pid, at]) => ({ pid: Number(pid), at }));

type Made = Parameters<typeof madeKernel>[0];

const memory: Made['words'] = {
  ...ring(INIT_TASK, TASKS[1], TASKS[70]),
  ...Object.assign(
    {},
    ...tasks.map(({ pid, at }) => ({
      [at + 0x20]: [pid, 4],
      [at + 0x24]: [pid, 4],
      // PF_KTHREAD: nothing else is compared.
      [at + 0x28]: [0x20_0040, 4],
      [at + 0x48]: made(at + SIGNAL),
      ...ring(at + SIGNAL, at + 0x10),
      [at + 0x70]: made(at + PID),
      [at + PID + 8]: made(at + 0x60),
      [at + PID + 0x20]: [pid, 4],
      [at + PID + 0x28]: made(NAMESPACE),
    })),
  ),
};

const symbols = { init_task: INIT_TASK, init_pid_ns: NAMESPACE };

const radix: Made = {
  structs: {
    ...structs,
    pid_namespace: { size: 0x100, members: { 'idr.idr_rt.rnode': 8, pid_allocated: [0x40, 4] } },
    radix_tree_node: { size: 576, members: { shift: [0, 1], slots: [0x28, 512] } },
  },
  symbols,
  words: {
    ...memory,
    // Internal nodes have 1 in the low bits; pid 70 is in the second node of 64.
    [NAMESPACE + 8]: made(NODE + 1),
    [NAMESPACE + 0x40]: [2, 4],
    [NODE]: [6, 1],
    [NODE + 0x28]: made(INNER_NODE + 1),
    [NODE + 0x30]: made(INNER_NODE + 0x400 + 1),
    [INNER_NODE + 0x28 + 8]: made(TASKS[1] + PID),
    [INNER_NODE + 0x400 + 0x28 + 6 * 8]: made(TASKS[70] + PID),
  },
};

/** Two chains; the second also has a number of another namespace. */
const chained = (pid: keyof typeof TASKS) => TASKS[pid] + PID + 0x30;
const OTHER_UPID = 0x9000;
const hashed: Made = {
  structs: { ...structs, pid_namespace: { size: 0x100, members: { nr_hashed: [0x40, 4] } } },
  symbols: { ...symbols, pid_hash: HASH, pidhash_shift: HASH + 8 },
  words: {
    ...memory,
    // PIDNS_HASH_ADDING is its highest bit.
    [NAMESPACE + 0x40]: [0x8000_0002, 4],
    [HASH]: made(CHAINS),
    [HASH + 8]: [1, 4],
    [CHAINS]: made(chained(1)),
    [chained(1) + 8]: made(CHAINS),
    [CHAINS + 8]: made(OTHER_UPID + 16),
    [OTHER_UPID + 24]: made(CHAINS + 8),
    [OTHER_UPID]: [5, 4],
    [OTHER_UPID + 8]: made(OTHER_NAMESPACE),
    [OTHER_UPID + 16]: made(chained(70)),
    [chained(70) + 8]: made(OTHER_UPID + 16),
  },
};

describe.each([
  ['a radix tree of 4.15 to 4.19', radix, 'init_pid_ns.idr'],
  ['the hash table of kernels up to 4.14', hashed, 'pid_hash'],
])('%s', (_, parts, name) => {
  test('contains every task of the initial namespace, and no other', () => {
    const { entries, ...table } = pidTable(madeKernel(parts));
    expect(table).toEqual({ name, allocated: 2, unread: undefined, faults: [] });
    expect(entries).toEqual(
      tasks.map(({ pid, at }) => ({ index: pid, number: pid, pid: made(at + PID), task: made(at) })),
    );
    const { processes, faults } = taskTable(madeKernel(parts));
    expect([processes.map(({ pid }) => pid), faults]).toEqual([[1, 70], []]);
  });

  test('finds a task that is on no list', () => {
    const words = { ...parts.words, ...ring(INIT_TASK, TASKS[1]) };
    const { processes, faults } = taskTable(madeKernel({ ...parts, words }));
    expect(processes.map(({ pid }) => pid)).toEqual([1, 70]);
    expect(faults).toEqual([
      {
        code: 'corrupt',
        message: `the pid table (${name}) and the task list (init_task.tasks) are inconsistent: only the first contains pid 70`,
      },
    ]);
  });

  test('reports a task that contradicts it', () => {
    const words = { ...parts.words, [TASKS[1] + 0x70]: made(TASKS[70] + PID) };
    const { faults } = taskTable(madeKernel({ ...parts, words }));
    expect(faults.map(({ message }) => message)).toEqual([expect.stringMatching('pid 1 has its struct pid at')]);
  });
});

test.each([
  ['an entry of the tree', radix, { [INNER_NODE + 0x28 + 8]: made(0x40_0000) }],
  ['a node of the tree', radix, { [NODE + 0x30]: made(0x40_0001) }],
  ['a link of a chain', hashed, { [chained(70)]: made(0x40_0000) }],
])('reports %s that is unreadable, and loses no task', (_, parts, change) => {
  const words = { ...parts.words, ...change };
  const { processes, faults } = taskTable(madeKernel({ ...parts, words }));
  expect(processes.map(({ pid }) => pid)).toEqual([1, 70]);
  expect(faults).toEqual([
    {
      code: 'unreadable',
      message: expect.stringMatching(/^pid table: .*\. Tasks are taken from the task list and the readable part of/),
    },
  ]);
});

test.each([
  ['a torn chain', { [chained(70) + 8]: made(0x1234) }, /is inconsistent/],
  ['more chains than a kernel creates', { [HASH + 8]: [13, 4] as const }, /^pidhash_shift is invalid \(13\)$/],
])('reports %s', (_, change, message) => {
  const words = { ...hashed.words, ...change };
  const { processes, faults } = taskTable(madeKernel({ ...hashed, words }));
  expect(processes.map(({ pid }) => pid)).toEqual([1, 70]);
  expect(faults).toEqual([{ code: 'corrupt', message: expect.stringMatching(message) }]);
});

const { init_pid_ns: _, ...unnamed } = { ...hashed.symbols };
test.each([
  ['no init_pid_ns', { ...hashed, symbols: unnamed }],
  ['neither an IDR nor pid_hash', { ...hashed, symbols }],
])('falls back to the task list for a kernel with %s', (lacks, parts) => {
  const { processes, faults } = taskTable(madeKernel(parts));
  expect(processes.map(({ pid }) => pid)).toEqual([1, 70]);
  expect(faults).toEqual([
    {
      code: 'unsupported-layout',
      message: `pid table: the kernel has ${lacks}. Tasks are taken from the task list alone`,
    },
  ]);
});
