import { viewOf } from '../../kernel/bytes.js';
import { type Architecture, type NativeKernel, walkTables } from '../../kernel/native/parts.js';
import { cpuMask, perCpuAddress } from '../../walk/cpus.js';
import { listNodes } from '../../walk/list.js';
import { partsOf } from '../../walk/lists/loaded-modules.js';
import { addressSpaces, ResidentCountReader } from '../../walk/processes/address-spaces.js';
import { decodeText, StructReader } from '../../walk/struct-reader.js';
import { attempt } from '../questions.js';
import { pointerAt, present, readTasks, readUtsNames, readVariables, type Store, storePages } from './variables.js';

/**
 * Reads the data that crash and drgn need to open a dump with their vmlinux, determined by tracing them
 * (crash 9.0, drgn 0.0.33 on kernels 5.10 to 7.2). It describes the machine, not its programs: a task's
 * names, ids, resident size and list links only.
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

/**
 * Reads the page tables that map these pages in the direct map: drgn uses page tables for such addresses as
 * well.
 */
export function readDirectMapTables(kernel: NativeKernel, arch: Architecture, pages: readonly number[]): void {
  for (const page of pages) {
    attempt(() => {
      const address = kernel.pages.addressOfPage(kernel.pages.pageOfFrame(page));
      if (address !== undefined) walkTables(arch, address);
    });
  }
}

/** Upper bound; the scheduler's code has about 30 KiB. */
const MAX_TEXT = 256 << 10;

/**
 * Reads the scheduler code that crash disassembles to find how tasks are switched; crash exits without it. It
 * is code, the same in every copy of this kernel.
 */
function readSchedulerText(kernel: NativeKernel): void {
  const start = kernel.symbol('__sched_text_start');
  const end = kernel.symbol('__sched_text_end');
  if (start === undefined || end === undefined || end < start) return;
  kernel.read(start, Math.min(Number(end - start), MAX_TEXT));
}

/** Upper bound of loaded modules. */
const MAX_MODULES = 4096;
/** Maximum number of exported symbols of a module. */
const MAX_EXPORTS = 65_536;

/**
 * Reads the loaded modules: their names, addresses and exported symbols, and the page tables of their memory: crash warns
 * of a page that is left out, but exits where the page table is.
 */
function readModules(kernel: NativeKernel): void {
  const head = kernel.symbol('modules');
  const symbol = kernel.struct('kernel_symbol')?.size ?? 0;
  if (head === undefined) return;
  const module = new StructReader(kernel, 'module', ['list']);
  const exports = present(kernel, 'module', ['syms', 'num_syms', 'gpl_syms', 'num_gpl_syms']);
  let partsIn: ReturnType<typeof partsOf> | undefined;
  // Memory that a page of page table entries maps.
  const span = (kernel.facts.pageSize / 8) * kernel.facts.pageSize;
  let modules = 0;
  for (const node of listNodes(kernel, head)) {
    if (++modules > MAX_MODULES) return;
    const address = module.containerOf(node, 'list');
    attempt(() => {
      partsIn ??= partsOf(kernel);
      for (const { base, size } of partsIn(address).parts) {
        for (let at = 0; at < size; at += span) kernel.physicalOf(base + BigInt(at));
        if (size > 0) kernel.physicalOf(base + BigInt(size - 1));
      }
    });
    attempt(() => {
      kernel.read(address, module.size);
      const view = exports.read(address);
      for (const kind of ['', 'gpl_']) {
        if (exports.members[`${kind}syms`] === undefined) continue;
        const count = Math.min(view.number(`num_${kind}syms`), MAX_EXPORTS);
        const table = view.pointer(`${kind}syms`);
        if (count > 0) attempt(() => kernel.read(table, count * symbol));
      }
    });
  }
}

/** Maximum number of nodes in the pid tree, each of which has 64 slots. */
const MAX_PID_NODES = 1 << 20;

/**
 * Reads the pids of the initial namespace (an xarray since 4.15), by which both crash and drgn find tasks.
 */
function readPids(kernel: NativeKernel): void {
  const namespace = kernel.symbol('init_pid_ns');
  if (namespace === undefined) return;
  present(kernel, 'pid_namespace', ['idr', 'pid_allocated', 'child_reaper', 'level', 'ns.inum']).read(namespace);
  const head = new StructReader(kernel, 'pid_namespace', ['idr.idr_rt.xa_head']);
  const slots = new StructReader(kernel, 'xa_node', ['slots']);
  // The number in the initial namespace comes first; since 6.5 the array has no declared size.
  const numbers = kernel.struct('pid')?.member('numbers');
  const pid = Math.max(kernel.struct('pid')?.size ?? 0, (numbers?.offset ?? 0) + (kernel.struct('upid')?.size ?? 0));
  const pending = [head.read(namespace).pointer('idr.idr_rt.xa_head')];
  const seen = new Set<bigint>();
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    // The low bits are 0b10 for a node, and 0 for a pointer (linux/xarray.h).
    const address = entry & ~3n;
    if (address === 0n || seen.has(entry) || seen.size > MAX_PID_NODES) continue;
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

/** crash's `ps` stops at the first process whose `mm_struct` exists and whose resident size does not. */
function readResidentCounts(kernel: NativeKernel): void {
  const counts = new ResidentCountReader(kernel);
  for (const space of addressSpaces(kernel, () => undefined)) attempt(() => counts.read(space));
}

/** Upper bound of NUMA nodes. */
const MAX_NODES = 1024;
const MAX_SECTIONS = 1 << 20;

/** Memory nodes with their zones, from which crash knows the amount of memory. */
function readNodes(kernel: NativeKernel): void {
  const size = kernel.struct('pglist_data')?.size ?? 0;
  const zone = kernel.struct('zone');
  const zones = kernel.struct('pglist_data')?.member('node_zones');
  const name = zone?.member('name');
  const table = kernel.symbol('node_data');
  const nodes: bigint[] = [kernel.symbol('contig_page_data') ?? 0n];
  for (let node = 0; table !== undefined && node < MAX_NODES; node++) {
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

/** Length of `Movable` plus NUL. */
const LONGEST_ZONE_NAME = 8;

/** Reads the memory sections that have a memory map (linux/mmzone.h), a two-level table. */
function readSections(kernel: NativeKernel): void {
  const { vmcoreinfo } = kernel;
  const size = kernel.struct('mem_section')?.size ?? 0;
  const roots = vmcoreinfo.length('mem_section') ?? 0;
  // SYMBOL(mem_section) is the value of the variable.
  const table = vmcoreinfo.symbol('mem_section');
  if (table === undefined || size === 0 || roots === 0 || roots > MAX_SECTIONS) return;
  const view = kernel.read(table, roots * 8);
  for (let root = 0; root < roots; root++) {
    const sections = view.getBigUint64(root * 8, true);
    const length = Math.floor(kernel.facts.pageSize / size) * size;
    if (sections !== 0n) attempt(() => kernel.read(sections, length));
  }
}

/** Upper bound of memory blocks, which have at least 128 MiB each. */
const MAX_BLOCKS = 1 << 20;
/** Upper bound of bus types registered by drivers; dozens are usual. */
const MAX_BUSES = 4096;
const LONGEST_BUS_NAME = 32;

/** Devices of memory blocks, which crash counts (drivers/base/memory.c). */
function readMemoryBlocks(kernel: NativeKernel): void {
  const bus = memoryBus(kernel);
  if (bus === undefined) return;
  const owner = new StructReader(kernel, 'subsys_private', ['klist_devices.k_list']);
  const node = new StructReader(kernel, 'device_private', ['knode_bus.n_node', 'device']);
  const block = new StructReader(kernel, 'memory_block', ['dev', 'dev.kobj.name']);
  kernel.read(bus, owner.size);
  let blocks = 0;
  for (const link of listNodes(kernel, owner.addressOf(bus, 'klist_devices.k_list'))) {
    if (++blocks > MAX_BLOCKS) return;
    const held = node.containerOf(link, 'knode_bus.n_node');
    kernel.read(held, node.size);
    const address = block.containerOf(node.read(held).pointer('device'), 'dev');
    kernel.read(address, block.size);
    attempt(() => readName(kernel, block.read(address).pointer('dev.kobj.name')));
  }
}

/** Address of the bus's `struct subsys_private`: from a variable, or since 6.4 by name in a list. */
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
  for (const link of listNodes(kernel, set.addressOf(head, 'list'))) {
    if (++buses > MAX_BUSES) return found;
    const address = object.containerOf(link, 'entry');
    kernel.read(address, object.size);
    const name = readName(kernel, object.read(address).pointer('name'));
    if (name === 'memory') found = owner.containerOf(set.containerOf(address, 'kobj'), 'subsys');
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

/** Bytes that are read of per-CPU variables: 8, or the size of a struct. */
const PER_CPU: Readonly<Record<string, string | 8>> = {
  // Running tasks.
  runqueues: 'rq',
  current_task: 8,
  // 6.2 to 6.14 keep the current task, the CPU number and the interrupt stack in one struct.
  pcpu_hot: 'pcpu_hot',
  // Interrupt stacks.
  cpu_tss_rw: 'x86_hw_tss',
  hardirq_stack_ptr: 8,
  cea_exception_stacks: 8,
  cpu_number: 8,
  cpu_info: 8,
  this_cpu_off: 8,
};

/** Data that crash reads of each CPU: its running task, and the addresses of its stacks. */
function readCpus(kernel: NativeKernel, store: Store): void {
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    for (const [name, type] of Object.entries(PER_CPU)) {
      attempt(() => {
        const address = ofCpu(kernel, name, cpu);
        const size = type === 8 ? type : kernel.struct(type)?.size;
        if (address !== undefined && size !== undefined) kernel.read(address, size);
      });
    }
    // crash checks that these stacks are mapped: it needs their page tables, not their contents.
    attempt(() => readExceptionStacks(kernel, cpu));
    attempt(() => storeInterruptStack(kernel, store, cpu));
  }
}

/**
 * Their addresses vary: the stacks of one CPU may be in two page tables. Guard pages between them are not
 * mapped.
 */
function readExceptionStacks(kernel: NativeKernel, cpu: number): void {
  const at = ofCpu(kernel, 'cea_exception_stacks', cpu);
  if (at === undefined) return;
  const stacks = pointerAt(kernel, at);
  const bytes = kernel.struct('cea_exception_stacks')?.size ?? 0;
  for (let page = 0; page <= bytes; page += kernel.facts.pageSize)
    attempt(() => kernel.physicalOf(stacks + BigInt(page)));
}

/** Returns the address of a CPU's copy of a per-CPU variable. */
function ofCpu(kernel: NativeKernel, name: string, cpu: number): bigint | undefined {
  const address = kernel.symbol(name);
  return address === undefined ? undefined : perCpuAddress(kernel, address, cpu);
}

/** crash reads interrupt stacks completely. `hardirq_stack_ptr` points close to a stack's end. */
function storeInterruptStack(kernel: NativeKernel, store: Store, cpu: number): void {
  const bytes = kernel.struct('irq_stack')?.size;
  const member = kernel.struct('pcpu_hot')?.member('hardirq_stack_ptr');
  const hot = ofCpu(kernel, 'pcpu_hot', cpu);
  const at = hot !== undefined && member ? hot + BigInt(member.offset) : ofCpu(kernel, 'hardirq_stack_ptr', cpu);
  if (at === undefined || bytes === undefined) return;
  const last = pointerAt(kernel, at) - 1n;
  const page = BigInt(kernel.facts.pageSize);
  storePages(kernel, store, last - (last % page) + page - BigInt(bytes), bytes);
}
