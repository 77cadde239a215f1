import { highHalf, lowHalf } from '../kernel/halves.js';
import type { Architecture } from '../kernel/native/arch/arch.js';
import type { NativeKernel } from '../kernel/native/kernel.js';
import { cpuMask, perCpuAddress } from '../walk/cpus.js';
import { listNodes } from '../walk/list.js';
import { decodeText, StructReader } from '../walk/struct-reader.js';
import { attempt, everyTask, threadsOf } from './questions.js';

/** Has the page of an address stored, without keeping anything of it. */
export type Store = (address: bigint) => void;

/**
 * Reads what crash and drgn must find to open a dump with their vmlinux, found out by watching them
 * (crash 9.0, drgn 0.0.33 on kernels 5.10 to 7.2). All of it describes the machine, none of it what
 * ran there: of a task no more than its names, numbers and place in the lists.
 */
export function readForDebuggers(kernel: NativeKernel, store: Store): void {
  for (const [name, most] of Object.entries(VARIABLES))
    attempt(() => readVariable(kernel, name, most));
  attempt(() => readSchedulerText(kernel));
  attempt(() => readNames(kernel));
  attempt(() => readCpus(kernel, store));
  attempt(() => readNodes(kernel));
  attempt(() => readSections(kernel));
  attempt(() => readMemoryBlocks(kernel));
  attempt(() => readTasks(kernel, store));
  attempt(() => readPids(kernel));
  attempt(() => readModules(kernel));
}

/** drgn goes through page tables to the direct map too: reads those that lead to these pages. */
export function readDirectMapTables(
  kernel: NativeKernel,
  arch: Architecture,
  pages: readonly number[],
): void {
  for (const page of pages) {
    const struct = kernel.pageOfFrame(page);
    const address = struct === undefined ? undefined : kernel.addressOfPage(struct);
    if (address !== undefined) attempt(() => arch.translate(highHalf(address), lowHalf(address)));
  }
}

/** Variables of the image, and how many bytes of each are kept at most. */
const VARIABLES: Readonly<Record<string, number>> = {
  // crash: which kernel this is, and whether it fits the vmlinux.
  linux_banner: 512,
  // Both: CPUs, and where each has its own variables.
  __cpu_possible_mask: 1024,
  __cpu_present_mask: 1024,
  __cpu_online_mask: 1024,
  __cpu_active_mask: 1024,
  __per_cpu_offset: 65_536,
  nr_cpu_ids: 8,
  // crash: the time of the dump and since boot.
  shadow_timekeeper: 512,
  tk_core: 512,
  timekeeper: 512,
  jiffies_64: 8,
  // crash: memory's size and its nodes; drgn: the vmemmap.
  mem_section: 8,
  _totalram_pages: 8,
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
  // crash: hypervisors and a capture kernel.
  xen_start_info: 8,
  pv_info: 64,
  kexec_crash_image: 8,
  crashing_cpu: 4,
  panic_cpu: 8,
  // crash: slab caches, which it lists when asked.
  slab_caches: 16,
  kmem_cache: 8,
  // crash: how tasks are laid out, and how many there are.
  arch_task_struct_size: 4,
  nr_threads: 4,
  modules: 16,
  // drgn: tasks and sockets by the kernel's own lists.
  net_namespace_list: 16,
  memory_block_size_probed: 8,
  // crash: load, clock rate and taints, which it greets with.
  avenrun: 24,
  cpu_khz: 4,
  tainted_mask: 8,
  taint_flags: 1024,
  // crash: interrupt vectors and the top of the page tables, whole pages of descriptors.
  idt_table: 4096,
  init_top_pgt: 4096,
  swapper_pg_dir: 4096,
  level3_kernel_pgt: 4096,
  level2_kernel_pgt: 4096,
  level2_fixmap_pgt: 4096,
  nr_irqs: 4,
};

function readVariable(kernel: NativeKernel, name: string, most: number): void {
  const address = kernel.symbol(name);
  if (address === undefined) return;
  // As far as the next symbol: a variable's own size is told nowhere.
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

/** Code of the scheduler is some 30 KiB. */
const MOST_TEXT = 256 << 10;

/** crash disassembles how tasks are switched, and stops if it cannot: code, the same in every copy. */
function readSchedulerText(kernel: NativeKernel): void {
  const start = kernel.symbol('__sched_text_start');
  const end = kernel.symbol('__sched_text_end');
  if (start === undefined || end === undefined || end < start) return;
  kernel.read(start, Math.min(Number(end - start), MOST_TEXT));
}

/** Bytes of a string of struct new_utsname (linux/utsname.h). */
const UTS_BYTES = 65;
const UTS_VERSION = 3;

/** `uname -v`. */
export function kernelVersion(kernel: NativeKernel): string {
  let version = '';
  attempt(() => {
    version = decodeText(readUts(kernel, UTS_VERSION), 0, UTS_BYTES);
  });
  return version;
}

/** sysname, nodename, release, version and machine. */
function readNames(kernel: NativeKernel): void {
  for (let field = 0; field < 5; field++) readUts(kernel, field);
}

function readUts(kernel: NativeKernel, field: number): DataView {
  const address = kernel.symbol('init_uts_ns') ?? 0n;
  const offset = new StructReader(kernel, 'uts_namespace', ['name']).offset('name');
  return kernel.read(address + BigInt(offset + field * UTS_BYTES), UTS_BYTES);
}

/** Each CPU's run queue, which says what ran, and its table of interrupt stacks. */
function readCpus(kernel: NativeKernel, store: Store): void {
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    attempt(() => perCpu(kernel, 'runqueues', cpu, 'rq'));
    attempt(() => perCpu(kernel, 'cpu_tss_rw', cpu, 'x86_hw_tss'));
    for (const pointer of PER_CPU_POINTERS) attempt(() => perCpu(kernel, pointer, cpu, 8));
    // crash checks that these stacks are mapped: it takes their page tables, not their bytes.
    attempt(() => {
      const stacks = kernel.symbol('cea_exception_stacks') ?? 0n;
      kernel.physicalOf(pointerAt(kernel, perCpuAddress(kernel, stacks, cpu)));
    });
    attempt(() => {
      const stack = kernel.symbol('hardirq_stack_ptr') ?? 0n;
      storeStack(kernel, store, pointerAt(kernel, perCpuAddress(kernel, stack, cpu)), true);
    });
  }
}

/** crash: the task that ran, and the stacks that interrupts run on. */
const PER_CPU_POINTERS = [
  'current_task',
  'pcpu_hot',
  'hardirq_stack_ptr',
  'cea_exception_stacks',
  'cpu_number',
  'cpu_info',
  'this_cpu_off',
] as const;

/** Reads a CPU's own of a variable that has a struct's type, or so many bytes of it. */
function perCpu(kernel: NativeKernel, name: string, cpu: number, type: string | number): void {
  const address = kernel.symbol(name);
  const size = typeof type === 'number' ? type : kernel.struct(type)?.size;
  if (address === undefined || size === undefined) return;
  kernel.read(perCpuAddress(kernel, address, cpu), size);
}

/** More than any machine has. */
const MOST_NODES = 1024;
const MOST_SECTIONS = 1 << 20;

/** The nodes of memory with their zones, by which crash knows how much there is. */
function readNodes(kernel: NativeKernel): void {
  const size = kernel.struct('pglist_data')?.size ?? 0;
  const zone = kernel.struct('zone');
  const zones = kernel.struct('pglist_data')?.member('node_zones');
  const name = zone?.member('name');
  const table = kernel.symbol('node_data');
  const nodes: bigint[] = [kernel.symbol('contig_page_data') ?? 0n];
  for (let node = 0; table !== undefined && node < MOST_NODES; node++) {
    const address = pointerAt(kernel, table + BigInt(node * 8));
    if (address === 0n || kernel.physicalOf(address) === undefined) break;
    nodes.push(address);
  }
  for (const node of nodes.filter((address) => address !== 0n)) {
    attempt(() => kernel.read(node, size));
    for (let index = 0; zone && zones && name && index < (zones.count ?? 0); index++) {
      const at = node + BigInt(zones.offset + index * zone.size + name.offset);
      attempt(() => kernel.read(pointerAt(kernel, at), LONGEST_ZONE_NAME));
    }
  }
}

/** `Movable`, with its NUL. */
const LONGEST_ZONE_NAME = 8;

/** The sections of memory that have a memory map (linux/mmzone.h): a table of tables of them. */
function readSections(kernel: NativeKernel): void {
  const { vmcoreinfo } = kernel;
  const size = kernel.struct('mem_section')?.size ?? 0;
  const roots = vmcoreinfo.length('mem_section') ?? 0;
  // SYMBOL(mem_section) is the variable's value.
  const table = vmcoreinfo.symbol('mem_section');
  if (table === undefined || size === 0 || roots === 0 || roots > MOST_SECTIONS) return;
  const view = kernel.read(table, roots * 8);
  for (let root = 0; root < roots; root++) {
    const sections = view.getBigUint64(root * 8, true);
    const length = Math.floor(kernel.facts.pageSize / size) * size;
    if (sections !== 0n) attempt(() => kernel.read(sections, length));
  }
}

/** More than a machine has that is made of blocks of 128 MiB at least. */
const MOST_BLOCKS = 1 << 20;
const LONGEST_BUS_NAME = 32;

/** The devices that stand for blocks of memory, which crash counts (drivers/base/memory.c). */
function readMemoryBlocks(kernel: NativeKernel): void {
  const bus = memoryBus(kernel);
  if (bus === undefined) return;
  const owner = new StructReader(kernel, 'subsys_private', ['klist_devices.k_list']);
  const node = new StructReader(kernel, 'device_private', ['knode_bus.n_node', 'device']);
  const block = new StructReader(kernel, 'memory_block', ['dev', 'dev.kobj.name']);
  kernel.read(bus, owner.size);
  let blocks = 0;
  for (const link of listNodes(kernel, bus + BigInt(owner.offset('klist_devices.k_list')))) {
    if (++blocks > MOST_BLOCKS) return;
    const held = link - BigInt(node.offset('knode_bus.n_node'));
    kernel.read(held, node.size);
    const address = node.read(held).pointer('device') - BigInt(block.offset('dev'));
    kernel.read(address, block.size);
    attempt(() => readName(kernel, block.read(address).pointer('dev.kobj.name')));
  }
}

/** Address of the bus's `struct subsys_private`: of a variable, or since 6.4 by name among all. */
function memoryBus(kernel: NativeKernel): bigint | undefined {
  const variable = kernel.symbol('memory_subsys');
  const bus = variable === undefined ? undefined : kernel.struct('bus_type')?.member('p');
  if (variable !== undefined) kernel.read(variable, kernel.struct('bus_type')?.size ?? 0);
  if (variable !== undefined && bus) return pointerAt(kernel, variable + BigInt(bus.offset));
  const all = kernel.symbol('bus_kset');
  if (all === undefined) return undefined;
  const set = new StructReader(kernel, 'kset', ['list', 'kobj']);
  const object = new StructReader(kernel, 'kobject', ['name', 'entry']);
  const owner = new StructReader(kernel, 'subsys_private', ['subsys']);
  let found: bigint | undefined;
  const head = pointerAt(kernel, all);
  kernel.read(head, set.size);
  for (const link of listNodes(kernel, head + BigInt(set.offset('list')))) {
    const address = link - BigInt(object.offset('entry'));
    kernel.read(address, object.size);
    const name = readName(kernel, object.read(address).pointer('name'));
    if (name === 'memory')
      found = address - BigInt(set.offset('kobj')) - BigInt(owner.offset('subsys'));
  }
  return found;
}

function readName(kernel: NativeKernel, address: bigint): string {
  for (let length = 1; length <= LONGEST_BUS_NAME; length++) {
    const view = kernel.read(address, length);
    if (view.getUint8(length - 1) === 0) return decodeText(view, 0, length);
  }
  return '';
}

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

/** THREAD_SIZE of x86_64 and arm64, without KASAN. */
const STACK_BYTES = 16_384;

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

/** An interrupt's stack is told by a place close to its end (IRQ_STACK_SIZE is the same). */
function storeStack(kernel: NativeKernel, store: Store, told: bigint, byEnd: boolean): void {
  const pageSize = BigInt(kernel.facts.pageSize);
  const first = byEnd ? ((told - 1n) | (pageSize - 1n)) + 1n - BigInt(STACK_BYTES) : told;
  for (let at = 0n; at < STACK_BYTES; at += pageSize) store(first + at);
}

function readTasks(kernel: NativeKernel, store: Store): void {
  const members = present(kernel, 'task_struct', TASK_MEMBERS);
  const init = kernel.symbol('init_task');
  const all = [...(init === undefined ? [] : [init]), ...onCpus(kernel), ...everyThread(kernel)];
  for (const task of new Set(all)) {
    attempt(() => members.read(task));
    // crash reads a task whole or not at all; of its other pages it gets zeros.
    for (let at = 0; at < members.size; at += kernel.facts.pageSize) store(task + BigInt(at));
    store(task + BigInt(members.size - 1));
    // It looks through all stacks for one that panics. They hold what user space passed in.
    attempt(() => readDescriptors(kernel, members.read(task).pointer('files')));
    attempt(() => storeStack(kernel, store, members.read(task).pointer('stack'), false));
  }
}

/** Addresses of every `struct task_struct`: of the processes and their threads. */
export function everyThread(kernel: NativeKernel): bigint[] {
  const found = new Set<bigint>();
  for (const process of everyTask(kernel)) {
    found.add(process.address);
    for (const { address } of threadsOf(kernel, process)) found.add(address);
  }
  return [...found];
}

/** Nodes of the pids' tree: 64 to a node. */
const MOST_PID_NODES = 1 << 20;

/** The initial namespace's pids (an xarray since 4.15), by which both find tasks. */
function readPids(kernel: NativeKernel): void {
  const namespace = kernel.symbol('init_pid_ns');
  if (namespace === undefined) return;
  present(kernel, 'pid_namespace', [
    'idr',
    'pid_allocated',
    'child_reaper',
    'level',
    'ns.inum',
  ]).read(namespace);
  const head = new StructReader(kernel, 'pid_namespace', ['idr.idr_rt.xa_head']);
  const slots = new StructReader(kernel, 'xa_node', ['slots']);
  // The number in the initial namespace comes first; since 6.5 the array of them has no size.
  const numbers = kernel.struct('pid')?.member('numbers');
  const pid = Math.max(
    kernel.struct('pid')?.size ?? 0,
    (numbers?.offset ?? 0) + (kernel.struct('upid')?.size ?? 0),
  );
  const pending = [head.read(namespace).pointer('idr.idr_rt.xa_head')];
  const seen = new Set<bigint>();
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    // 0b10 in the low bits marks a node, none a pointer (linux/xarray.h).
    const address = entry & ~3n;
    if (address === 0n || seen.has(entry) || seen.size > MOST_PID_NODES) continue;
    seen.add(entry);
    if ((entry & 3n) === 0n) attempt(() => kernel.read(address, pid));
    if ((entry & 3n) !== 2n) continue;
    attempt(() => {
      kernel.read(address, slots.size);
      const bytes = slots.read(address).bytes('slots');
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at < view.byteLength; at += 8) pending.push(view.getBigUint64(at, true));
    });
  }
}

/** Exported symbols of a module that are kept at most. */
const MOST_EXPORTS = 65_536;

/** The loaded modules: their names and places, and which symbols they export. */
function readModules(kernel: NativeKernel): void {
  const head = kernel.symbol('modules');
  const symbol = kernel.struct('kernel_symbol')?.size ?? 0;
  if (head === undefined) return;
  const module = new StructReader(kernel, 'module', ['list']);
  const exports = present(kernel, 'module', ['syms', 'num_syms', 'gpl_syms', 'num_gpl_syms']);
  for (const node of listNodes(kernel, head)) {
    const address = node - BigInt(module.offset('list'));
    attempt(() => {
      kernel.read(address, module.size);
      const view = exports.read(address);
      for (const kind of ['', 'gpl_']) {
        if (exports.members[`${kind}syms`] === undefined) continue;
        const count = Math.min(view.number(`num_${kind}syms`), MOST_EXPORTS);
        const table = view.pointer(`${kind}syms`);
        if (count > 0) attempt(() => kernel.read(table, count * symbol));
      }
    });
  }
}

function pointerAt(kernel: NativeKernel, address: bigint): bigint {
  return kernel.read(address, 8).getBigUint64(0, true);
}

/** A reader of those members that this kernel has. */
function present(kernel: NativeKernel, name: string, members: readonly string[]) {
  const layout = kernel.struct(name);
  return new StructReader(
    kernel,
    name,
    members.filter((member) => layout?.member(member) !== undefined),
  );
}
