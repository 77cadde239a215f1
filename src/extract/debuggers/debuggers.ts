import { viewOf } from '../../kernel/bytes.js';
import { type Architecture, type NativeKernel, walkTables } from '../../kernel/native/parts.js';
import { listNodes } from '../../walk/list.js';
import { cpuMask, perCpuAddress } from '../../walk/machine/cpus.js';
import { addressSpaces } from '../../walk/processes/address-spaces.js';
import { ResidentCountReader } from '../../walk/processes/resident-counts.js';
import { decodeText, StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';
import { pointerAt } from './pointer.js';
import { present } from './present.js';
import { type Store, storePages } from './store.js';
import { readTasks } from './tasks.js';
import { readUtsNames } from './uts-names.js';
import { readVariables } from './variables.js';

/**
 * Reads what crash and drgn must find to open a dump with their vmlinux, found out by watching them
 * (crash 9.0, drgn 0.0.33 on kernels 5.10 to 7.2). All of it describes the machine, none of it what
 * ran there: of a task no more than its names, numbers, resident size and place in the lists.
 */
export function readForDebuggers(kernel: NativeKernel, store: Store): void {
  readVariables(kernel);
  attempt(() => readSchedulerText(kernel));
  attempt(() => readUtsNames(kernel));
  attempt(() => readCpus(kernel, store));
  attempt(() => readNodes(kernel));
  attempt(() => readSections(kernel));
  attempt(() => readMemoryBlocks(kernel));
  attempt(() => readTasks(kernel, store));
  attempt(() => readPids(kernel));
  attempt(() => readResidentCounts(kernel));
  attempt(() => readModules(kernel));
}

/** drgn goes through page tables to the direct map too: reads those that lead to these pages. */
export function readDirectMapTables(
  kernel: NativeKernel,
  arch: Architecture,
  pages: readonly number[],
): void {
  for (const page of pages) {
    attempt(() => {
      const address = kernel.pages.addressOfPage(kernel.pages.pageOfFrame(page));
      if (address !== undefined) walkTables(arch, address);
    });
  }
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

/** Modules that can be loaded at once, by any measure. */
const MOST_MODULES = 4096;
/** Exported symbols of a module that are kept at most. */
const MOST_EXPORTS = 65_536;

/** The loaded modules: their names and places, and which symbols they export. */
function readModules(kernel: NativeKernel): void {
  const head = kernel.symbol('modules');
  const symbol = kernel.struct('kernel_symbol')?.size ?? 0;
  if (head === undefined) return;
  const module = new StructReader(kernel, 'module', ['list']);
  const exports = present(kernel, 'module', ['syms', 'num_syms', 'gpl_syms', 'num_gpl_syms']);
  let modules = 0;
  for (const node of listNodes(kernel, head)) {
    if (++modules > MOST_MODULES) return;
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
      const view = viewOf(bytes);
      for (let at = 0; at < view.byteLength; at += 8) pending.push(view.getBigUint64(at, true));
    });
  }
}

/** crash's `ps` ends at the first process whose `mm_struct` is there and whose resident size is not. */
function readResidentCounts(kernel: NativeKernel): void {
  const counts = new ResidentCountReader(kernel);
  for (const space of addressSpaces(kernel, () => undefined)) attempt(() => counts.read(space));
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
/** Kinds of buses that drivers register: dozens. */
const MOST_BUSES = 4096;
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
  let buses = 0;
  for (const link of listNodes(kernel, head + BigInt(set.offset('list')))) {
    if (++buses > MOST_BUSES) return found;
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

/** What is read of each CPU's own variables: 8 bytes, or as much as a struct takes. */
const PER_CPU: Readonly<Record<string, string | 8>> = {
  // What ran.
  runqueues: 'rq',
  current_task: 8,
  // 6.2 to 6.14 keep the task, the CPU's number and the stack of interrupts in one struct.
  pcpu_hot: 'pcpu_hot',
  // The stacks that interrupts run on.
  cpu_tss_rw: 'x86_hw_tss',
  hardirq_stack_ptr: 8,
  cea_exception_stacks: 8,
  cpu_number: 8,
  cpu_info: 8,
  this_cpu_off: 8,
};

/** What crash reads of each CPU: what ran there, and where its stacks are. */
function readCpus(kernel: NativeKernel, store: Store): void {
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    for (const [name, type] of Object.entries(PER_CPU)) {
      attempt(() => {
        const address = ofCpu(kernel, name, cpu);
        const size = type === 8 ? type : kernel.struct(type)?.size;
        if (address !== undefined && size !== undefined) kernel.read(address, size);
      });
    }
    // crash checks that these stacks are mapped: it takes their page tables, not their bytes.
    attempt(() => readExceptionStacks(kernel, cpu));
    attempt(() => storeInterruptStack(kernel, store, cpu));
  }
}

/** Where they lie is up to chance: one CPU's may be in two page tables. Guards between them are not mapped. */
function readExceptionStacks(kernel: NativeKernel, cpu: number): void {
  const at = ofCpu(kernel, 'cea_exception_stacks', cpu);
  if (at === undefined) return;
  const stacks = pointerAt(kernel, at);
  const bytes = kernel.struct('cea_exception_stacks')?.size ?? 0;
  for (let page = 0; page <= bytes; page += kernel.facts.pageSize)
    attempt(() => kernel.physicalOf(stacks + BigInt(page)));
}

/** Where a CPU has its own of a variable. */
function ofCpu(kernel: NativeKernel, name: string, cpu: number): bigint | undefined {
  const address = kernel.symbol(name);
  return address === undefined ? undefined : perCpuAddress(kernel, address, cpu);
}

/** crash reads the stacks of interrupts whole. `hardirq_stack_ptr` points close to a stack's end. */
function storeInterruptStack(kernel: NativeKernel, store: Store, cpu: number): void {
  const bytes = kernel.struct('irq_stack')?.size;
  const member = kernel.struct('pcpu_hot')?.member('hardirq_stack_ptr');
  const hot = ofCpu(kernel, 'pcpu_hot', cpu);
  const at =
    hot !== undefined && member
      ? hot + BigInt(member.offset)
      : ofCpu(kernel, 'hardirq_stack_ptr', cpu);
  if (at === undefined || bytes === undefined) return;
  const last = pointerAt(kernel, at) - 1n;
  const page = BigInt(kernel.facts.pageSize);
  storePages(kernel, store, last - (last % page) + page - BigInt(bytes), bytes);
}
