import { UTS, UTS_BYTES } from '../../kernel/layout.js';
import type { NativeKernel } from '../../kernel/native/parts.js';
import { cpuMask, perCpuAddress } from '../../walk/cpus.js';
import { readClock } from '../../walk/machine/clock.js';
import { decodeText, StructReader } from '../../walk/struct-reader.js';
import { Unknowns } from '../../walk/warnings.js';
import { attempt, everyTask, threadsOf } from '../questions.js';

/** Variables of the image, and the maximum number of bytes of each; `page` for a page of them. */
const VARIABLES: Readonly<Record<string, number | 'page'>> = {
  // crash: identifies the kernel, and checks that it matches the vmlinux.
  linux_banner: 512,
  // Both: CPUs, and the addresses of their per-CPU variables.
  __cpu_possible_mask: 1024,
  __cpu_present_mask: 1024,
  __cpu_online_mask: 1024,
  __cpu_active_mask: 1024,
  __per_cpu_offset: 65_536,
  nr_cpu_ids: 8,
  // crash: time of the dump and uptime.
  shadow_timekeeper: 512,
  tk_core: 512,
  timekeeper: 512,
  jiffies_64: 8,
  // crash: memory size and nodes; drgn: vmemmap.
  mem_section: 8,
  _totalram_pages: 8,
  totalram_pages: 8,
  high_memory: 8,
  max_pfn: 8,
  max_low_pfn: 8,
  node_states: 1024,
  node_data: 8192,
  contig_page_data: 8,
  page_offset_base: 8,
  vmalloc_base: 8,
  vmemmap_base: 8,
  zero_pfn: 8,
  huge_zero_pfn: 8,
  nr_swapfiles: 4,
  // crash: detection of hypervisors and of a capture kernel.
  xen_start_info: 8,
  pv_info: 64,
  kexec_crash_image: 8,
  crashing_cpu: 4,
  panic_cpu: 8,
  // crash: list of slab caches.
  slab_caches: 16,
  kmem_cache: 8,
  // crash: layout of tasks, and their number.
  arch_task_struct_size: 4,
  nr_threads: 4,
  modules: 16,
  // drgn: tasks and sockets in the kernel's own lists.
  net_namespace_list: 16,
  memory_block_size_probed: 8,
  // crash: load, clock rate and taints in its banner.
  avenrun: 24,
  cpu_khz: 4,
  tainted_mask: 8,
  taint_flags: 1024,
  // crash: interrupt vectors and top-level page table.
  idt_table: 'page',
  init_top_pgt: 'page',
  swapper_pg_dir: 'page',
  level3_kernel_pgt: 'page',
  level2_kernel_pgt: 'page',
  level2_fixmap_pgt: 'page',
  nr_irqs: 4,
  // crash: whether the kernel's own tables can unwind stacks.
  lookup_num_blocks: 4,
};

/** Reads the variables that crash and drgn read when they open a dump. */
export function readVariables(kernel: NativeKernel): void {
  // Kernels with few symbols may lack it.
  new Unknowns().try('the clock', () => readClock(kernel));
  for (const [name, most] of Object.entries(VARIABLES)) {
    attempt(() => readVariable(kernel, name, most === 'page' ? kernel.facts.pageSize : most));
  }
}

function readVariable(kernel: NativeKernel, name: string, most: number): void {
  const address = kernel.symbol(name);
  if (address === undefined) return;
  // The size of a variable is unknown: read up to the next symbol.
  const isBehind = (offset: number): boolean => {
    const symbol = kernel.symbolTable?.before(address + BigInt(offset));
    return symbol !== undefined && symbol.address > address;
  };
  let size = most;
  if (isBehind(most - 1)) {
    let low = 0;
    for (size = most - 1; size - low > 1; ) {
      const middle = (low + size) >>> 1;
      if (isBehind(middle)) size = middle;
      else low = middle;
    }
  }
  kernel.read(address, size);
}

/** Marks the page of an address as stored, without keeping any of its bytes. */
export type Store = (address: bigint) => void;

/** Stores all pages of a range. */
export function storePages(kernel: NativeKernel, store: Store, address: bigint, bytes: number): void {
  for (let at = 0; at < bytes; at += kernel.facts.pageSize) store(address + BigInt(at));
  store(address + BigInt(bytes - 1));
}

/** Reads a pointer at an address. */
export function pointerAt(kernel: NativeKernel, address: bigint): bigint {
  return kernel.read(address, 8).getBigUint64(0, true);
}

/** Returns a reader for those of the members that this kernel has. */
export function present(kernel: NativeKernel, name: string, members: readonly string[]) {
  const layout = kernel.struct(name);
  return new StructReader(
    kernel,
    name,
    members.filter((member) => layout?.member(member) !== undefined),
  );
}

/** `uname -v`. */
export function kernelVersion(kernel: NativeKernel): string {
  let version = '';
  attempt(() => {
    version = decodeText(readUts(kernel, UTS.version), 0, UTS_BYTES);
  });
  return version;
}

/** sysname, nodename, release, version and machine. */
export function readUtsNames(kernel: NativeKernel): void {
  for (let field: number = UTS.sysname; field <= UTS.machine; field++) readUts(kernel, field);
}

function readUts(kernel: NativeKernel, field: number): DataView {
  const address = kernel.symbol('init_uts_ns') ?? 0n;
  const offset = new StructReader(kernel, 'uts_namespace', ['name']).offset('name');
  return kernel.read(address + BigInt(offset + field * UTS_BYTES), UTS_BYTES);
}

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
  const addresses: bigint[] = [];
  attempt(() => {
    const runqueues = kernel.symbol('runqueues') ?? 0n;
    const queue = new StructReader(kernel, 'rq', ['curr', 'idle']);
    for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
      const view = queue.read(perCpuAddress(kernel, runqueues, cpu));
      addresses.push(view.pointer('curr'), view.pointer('idle'));
    }
  });
  return addresses.filter((task) => task !== 0n);
}

/** Maximum number of descriptors kept of a table, which has a bit for each. */
const MAX_DESCRIPTORS = 65_536;

/** Reads the descriptor tables; drgn also reads those of kernel threads, which share the files of init_task. */
function readDescriptors(kernel: NativeKernel, files: bigint): void {
  if (files === 0n) return;
  const fdt = new StructReader(kernel, 'files_struct', ['fdt']).read(files).pointer('fdt');
  const reader = new StructReader(kernel, 'fdtable', ['max_fds', 'fd', 'open_fds']);
  kernel.read(fdt, reader.size);
  const table = reader.read(fdt);
  const count = Math.min(table.number('max_fds'), MAX_DESCRIPTORS);
  kernel.read(table.pointer('open_fds'), Math.ceil(count / 64) * 8);
  kernel.read(table.pointer('fd'), count * 8);
}

/** Maximum number of task states: each has a bit and a short name in parentheses. */
const MAX_STATES = 32;
const LONGEST_STATE = 32;

/** Reads the state names that crash prints (`task_state_array`, fs/proc/array.c). */
function readStateWords(kernel: NativeKernel): void {
  const array = kernel.symbol('task_state_array');
  const start = kernel.symbol('__start_rodata');
  const end = kernel.symbol('__end_rodata');
  if (array === undefined || start === undefined || end === undefined) return;
  for (let state = 0; state < MAX_STATES; state++) {
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
const MAX_TASK = 1 << 20;

/** Returns the size of a task: `arch_task_struct_size` if its type excludes FPU state (arch/x86, since 4.2). */
function taskBytes(kernel: NativeKernel, typed: number): number {
  let found = 0;
  attempt(() => {
    const symbol = kernel.symbol('arch_task_struct_size');
    if (symbol !== undefined) found = kernel.read(symbol, 4).getUint32(0, true);
  });
  return Math.min(Math.max(typed, found), MAX_TASK);
}

/** THREAD_SIZE without KASAN, unless pages are larger (x86_64 and arm64). */
const USUAL_STACK = 16_384;

/** Returns THREAD_SIZE from the size of the first task's stack (since 6.9; before, together with its task). */
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
  const tasks = new Set<bigint>();
  for (const process of everyTask(kernel)) {
    tasks.add(process.address);
    for (const { address } of threadsOf(kernel, process)) tasks.add(address);
  }
  return [...tasks];
}
