import type { NativeKernel } from '../../kernel/native/parts.js';
import { cpuMask, perCpuAddress } from '../../walk/cpus.js';
import { StructReader } from '../../walk/struct-reader.js';
import { attempt, everyTask, threadsOf } from '../questions.js';
import { pointerAt, present, type Store, storePages } from './variables.js';

/** Members for `ps` of crash and drgn's tasks; none of a task's own memory. */
const TASK_MEMBERS = [
  'thread_info.flags',
  'thread_info.cpu',
  '__state',
  'state',
  'stack',
  'flags',
  'on_cpu',
  'cpu',
  'prio',
  'static_prio',
  'policy',
  'tasks',
  'exit_state',
  'exit_code',
  'exit_signal',
  'pid',
  'tgid',
  'real_parent',
  'parent',
  'children',
  'sibling',
  'group_leader',
  'thread_pid',
  'pid_links',
  'thread_group',
  'thread_node',
  'start_time',
  'start_boottime',
  'real_start_time',
  'comm',
  'nsproxy',
  'signal',
  'files',
  'thread.sp',
] as const;

/** The running task of each CPU, and its idle task, which is in no list. */
function onCpus(kernel: NativeKernel): bigint[] {
  const found: bigint[] = [];
  attempt(() => {
    const runqueues = kernel.symbol('runqueues') ?? 0n;
    const queue = new StructReader(kernel, 'rq', ['curr', 'idle']);
    for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
      const view = queue.read(perCpuAddress(kernel, runqueues, cpu));
      found.push(view.pointer('curr'), view.pointer('idle'));
    }
  });
  return found.filter((task) => task !== 0n);
}

/** Maximum number of descriptors kept of a table, which has a bit for each. */
const MOST_DESCRIPTORS = 65_536;

/**
 * Reads the descriptor tables; drgn also reads those of kernel threads, which share the files of init_task.
 */
function readDescriptors(kernel: NativeKernel, files: bigint): void {
  if (files === 0n) return;
  const fdt = new StructReader(kernel, 'files_struct', ['fdt']).read(files).pointer('fdt');
  const reader = new StructReader(kernel, 'fdtable', ['max_fds', 'fd', 'open_fds']);
  kernel.read(fdt, reader.size);
  const table = reader.read(fdt);
  const count = Math.min(table.number('max_fds'), MOST_DESCRIPTORS);
  kernel.read(table.pointer('open_fds'), Math.ceil(count / 64) * 8);
  kernel.read(table.pointer('fd'), count * 8);
}

/** Maximum number of task states: each has a bit and a short name in parentheses. */
const MOST_STATES = 32;
const LONGEST_STATE = 32;

/** Reads the state names that crash prints (`task_state_array`, fs/proc/array.c). */
function readStateWords(kernel: NativeKernel): void {
  const array = kernel.symbol('task_state_array');
  const start = kernel.symbol('__start_rodata');
  const end = kernel.symbol('__end_rodata');
  if (array === undefined || start === undefined || end === undefined) return;
  for (let state = 0; state < MOST_STATES; state++) {
    const word = pointerAt(kernel, array + BigInt(state * 8));
    // Other data follows the array.
    if (word < start || word >= end - BigInt(LONGEST_STATE)) return;
    kernel.read(word, LONGEST_STATE);
  }
}

/** Data that crash and drgn show of each task, and the pages of its struct and stack. */
export function readTasks(kernel: NativeKernel, store: Store): void {
  attempt(() => readStateWords(kernel));
  const members = present(kernel, 'task_struct', TASK_MEMBERS);
  const init = kernel.symbol('init_task');
  const all = [...(init === undefined ? [] : [init]), ...onCpus(kernel), ...everyThread(kernel)];
  const taskSize = taskBytes(kernel, members.size);
  const stackSize = stackBytes(kernel);
  for (const task of new Set(all)) {
    attempt(() => members.read(task));
    // crash reads a task completely or not at all; other bytes of its pages are zeros.
    storePages(kernel, store, task, taskSize);
    attempt(() => readDescriptors(kernel, members.read(task).pointer('files')));
    // crash searches all stacks for the panicking task. They contain user data.
    attempt(() => storePages(kernel, store, members.read(task).pointer('stack'), stackSize));
  }
}

/** Upper bound: on x86_64 FPU state makes tasks larger than their type, but not larger than 1 MiB. */
const MOST_TASK = 1 << 20;

/**
 * Returns the size of a task: `arch_task_struct_size` if its type excludes FPU state (arch/x86, since 4.2).
 */
function taskBytes(kernel: NativeKernel, typed: number): number {
  let found = 0;
  attempt(() => {
    const symbol = kernel.symbol('arch_task_struct_size');
    if (symbol !== undefined) found = kernel.read(symbol, 4).getUint32(0, true);
  });
  return Math.min(Math.max(typed, found), MOST_TASK);
}

/** THREAD_SIZE without KASAN, unless pages are larger (x86_64 and arm64). */
const USUAL_STACK = 16_384;

/**
 * Returns THREAD_SIZE from the size of the first task's stack (since 6.9; before, together with its task).
 */
function stackBytes(kernel: NativeKernel): number {
  const usual = Math.max(USUAL_STACK, kernel.facts.pageSize);
  for (const name of ['stack', 'task']) {
    const start = kernel.symbol(`__start_init_${name}`);
    const end = kernel.symbol(`__end_init_${name}`);
    const size = start === undefined || end === undefined ? 0 : Number(end - start);
    if (size >= usual && size <= 8 * usual) return size;
  }
  return usual;
}

/** Addresses of every `struct task_struct`: processes and their threads. */
function everyThread(kernel: NativeKernel): bigint[] {
  const found = new Set<bigint>();
  for (const process of everyTask(kernel)) {
    found.add(process.address);
    for (const { address } of threadsOf(kernel, process)) found.add(address);
  }
  return [...found];
}
