import type { NativeKernel } from '../../kernel/native/parts.js';
import { cpuMask, perCpuAddress } from '../../walk/machine/cpus.js';
import { StructReader } from '../../walk/struct-reader.js';
import { attempt, everyTask, threadsOf } from '../questions.js';
import { pointerAt } from './pointer.js';
import { present } from './present.js';
import { type Store, storePages } from './store.js';

/** What `ps` of crash and drgn's tasks show; nothing of what a task's memory holds. */
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

/** What each CPU ran, and its idle task, which is in no list. */
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

/** A table has a bit for each descriptor; of huge ones those of the first 65,536 are kept. */
const MOST_DESCRIPTORS = 65_536;

/** drgn looks into the tables of kernel threads too, whose files are those of init_task. */
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

/** States have a bit each, and words of a few letters in parentheses behind them. */
const MOST_STATES = 32;
const LONGEST_STATE = 32;

/** The words for states that crash prints (`task_state_array`, fs/proc/array.c). */
function readStateWords(kernel: NativeKernel): void {
  const array = kernel.symbol('task_state_array');
  const start = kernel.symbol('__start_rodata');
  const end = kernel.symbol('__end_rodata');
  if (array === undefined || start === undefined || end === undefined) return;
  for (let state = 0; state < MOST_STATES; state++) {
    const word = pointerAt(kernel, array + BigInt(state * 8));
    // Behind the array lies something else.
    if (word < start || word >= end - BigInt(LONGEST_STATE)) return;
    kernel.read(word, LONGEST_STATE);
  }
}

/** What crash and drgn show of each task, and the pages of its struct and stack. */
export function readTasks(kernel: NativeKernel, store: Store): void {
  attempt(() => readStateWords(kernel));
  const members = present(kernel, 'task_struct', TASK_MEMBERS);
  const init = kernel.symbol('init_task');
  const all = [...(init === undefined ? [] : [init]), ...onCpus(kernel), ...everyThread(kernel)];
  const taskSize = taskBytes(kernel, members.size);
  const stackSize = stackBytes(kernel);
  for (const task of new Set(all)) {
    attempt(() => members.read(task));
    // crash reads a task whole or not at all; of its other pages it gets zeros.
    storePages(kernel, store, task, taskSize);
    attempt(() => readDescriptors(kernel, members.read(task).pointer('files')));
    // It looks through all stacks for one that panics. They hold what user space passed in.
    attempt(() => storePages(kernel, store, members.read(task).pointer('stack'), stackSize));
  }
}

/** The state of the FPU makes tasks larger than their type on x86_64: it is not a megabyte. */
const MOST_TASK = 1 << 20;

/** Bytes of a task: `arch_task_struct_size` where its type does not tell (arch/x86, since 4.2). */
function taskBytes(kernel: NativeKernel, typed: number): number {
  let told = 0;
  attempt(() => {
    const symbol = kernel.symbol('arch_task_struct_size');
    if (symbol !== undefined) told = kernel.read(symbol, 4).getUint32(0, true);
  });
  return Math.min(Math.max(typed, told), MOST_TASK);
}

/** THREAD_SIZE without KASAN, where no page is larger (x86_64 and arm64 alike). */
const USUAL_STACK = 16_384;

/** THREAD_SIZE: the first task's stack is as large as any (since 6.9; with its task before). */
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

/** Addresses of every `struct task_struct`: of the processes and their threads. */
function everyThread(kernel: NativeKernel): bigint[] {
  const found = new Set<bigint>();
  for (const process of everyTask(kernel)) {
    found.add(process.address);
    for (const { address } of threadsOf(kernel, process)) found.add(address);
  }
  return [...found];
}
