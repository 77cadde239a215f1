import { damaged, KernelError, ReadError, readOrNot, unsupportedLayout } from '../base/errors.js';
import { hex } from '../base/util.js';
import type { RunningTask } from '../contracts/info.js';
import type { Kernel } from '../kernel/kernel.js';
import { pointerPartOf, readPartOf } from './named-read.js';
import { StructReader } from './struct-reader.js';
import { isPid } from './tasks/tasks.js';

/** More CPUs than any kernel supports (CONFIG_NR_CPUS is at most 8192). */
const MAX_CPUS = 8192;

/** Returns the numbers of the CPUs in one of the kernel's masks (include/linux/cpumask.h). */
export function cpuMask(
  kernel: Pick<Kernel, 'symbol' | 'read' | 'struct'>,
  mask: '__cpu_online_mask' | '__cpu_possible_mask' | '__cpu_active_mask',
): number[] {
  const address = needSymbol(kernel, mask);
  const size = kernel.struct('cpumask')?.size;
  if (size === undefined || size === 0 || size > MAX_CPUS / 8)
    throw unsupportedLayout('unsupported layout of struct cpumask');
  const view = readPartOf(kernel, mask, address, address, size);
  const cpus: number[] = [];
  for (let cpu = 0; cpu < size * 8; cpu++) {
    if ((view.getUint8(cpu >>> 3) >>> (cpu & 7)) & 1) cpus.push(cpu);
  }
  if (mask === '__cpu_possible_mask') checkPossible(kernel, cpus);
  return cpus;
}

/**
 * Checks the possible mask: `nr_cpu_ids` is the last possible CPU plus one (setup_nr_cpu_ids), and online
 * CPUs are possible. A CPU missing in the mask would be skipped silently.
 */
function checkPossible(kernel: Parameters<typeof cpuMask>[0], cpus: readonly number[]): void {
  if (cpus.length === 0) throw damaged('__cpu_possible_mask is empty');
  const last = kernel.symbol('nr_cpu_ids');
  try {
    const ids = last && readPartOf(kernel, 'nr_cpu_ids', last, last, 4).getUint32(0, true);
    if (ids !== undefined && ids !== (cpus.at(-1) ?? -1) + 1)
      throw damaged(`__cpu_possible_mask ends at CPU ${cpus.at(-1)}, but nr_cpu_ids is ${ids}`);
    if (kernel.symbol('__cpu_online_mask') === undefined) return;
    const odd = cpuMask(kernel, '__cpu_online_mask').find((cpu) => !cpus.includes(cpu));
    if (odd !== undefined) throw damaged(`CPU ${odd} is online, but not in __cpu_possible_mask`);
  } catch (error) {
    // The fact for the comparison may be missing.
    if (!(error instanceof ReadError)) throw error;
  }
}

/**
 * Returns the CPUs that ran tasks: online CPUs, and CPUs that a panic stopped. A stopped CPU clears its bit
 * in the online mask but keeps it in the scheduler's mask (stop_this_cpu, arch/x86/kernel/process.c;
 * local_cpu_stop, arch/arm64/kernel/smp.c). An unplugged CPU is in neither.
 *
 * @throws as cpuMask
 */
export function cpusThatRan(kernel: Pick<Kernel, 'symbol' | 'read' | 'struct'>): number[] {
  const online = cpuMask(kernel, '__cpu_online_mask');
  const possible = cpuMask(kernel, '__cpu_possible_mask');
  if (possible.length <= online.length || kernel.symbol('__cpu_active_mask') === undefined) return online;
  const active = cpuMask(kernel, '__cpu_active_mask');
  const odd = active.find((cpu) => !possible.includes(cpu));
  if (odd !== undefined) throw damaged(`CPU ${odd} is active, but not in __cpu_possible_mask`);
  return possible.filter((cpu) => online.includes(cpu) || active.includes(cpu));
}

/**
 * Whether an address is that of a per-CPU variable's template, or its offset in each CPU's area (x86_64
 * before 6.15): each CPU's own copy is elsewhere.
 */
export function isPerCpu(kernel: Pick<Kernel, 'symbol'>, address: bigint): boolean {
  const start = kernel.symbol('__per_cpu_start');
  const end = kernel.symbol('__per_cpu_end');
  return start !== undefined && end !== undefined && address >= start && address < end;
}

/**
 * Returns the address of a CPU's copy of a per-CPU variable: adds `__per_cpu_offset[cpu]` (percpu-defs.h).
 *
 * @param cpu a possible CPU: the offsets of others point to freed init memory
 */
export function perCpuAddress(kernel: Pick<Kernel, 'symbol' | 'read'>, address: bigint, cpu: number): bigint {
  const offsets = needSymbol(kernel, '__per_cpu_offset');
  if (cpu >= MAX_CPUS) throw new KernelError('no-symbols', `CPU ${cpu} not found`);
  const at = offsets + BigInt(cpu * 8);
  const offset = pointerPartOf(kernel, '__per_cpu_offset', offsets, at);
  return BigInt.asUintN(64, address + offset);
}

/** Maximum number of NUMA nodes that a kernel supports (CONFIG_NODES_SHIFT is at most 10). */
const MAX_NODES = 1024;

/** Returns the number of NUMA nodes: `nr_node_ids`. A kernel without NUMA has no such variable. */
export function numaNodes(kernel: Pick<Kernel, 'symbol' | 'read'>): number {
  const symbol = kernel.symbol('nr_node_ids');
  if (symbol === undefined) return 1;
  const nodes = readPartOf(kernel, 'nr_node_ids', symbol, symbol, 4).getUint32(0, true);
  if (nodes >= 1 && nodes <= MAX_NODES) return nodes;
  throw damaged(`nr_node_ids is ${nodes}`);
}

/** Returns the task that a CPU was running: `rq.curr` of its run queue (kernel/sched/sched.h). */
export function runningTask(kernel: Kernel, cpu: number): RunningTask {
  const rq = new StructReader(kernel, 'rq', ['curr']);
  const task = new StructReader(kernel, 'task_struct', ['pid', 'comm']);
  const queue = perCpuAddress(kernel, needSymbol(kernel, 'runqueues'), cpu);
  const address = rq.read(queue).pointer('curr');
  if ((address & 7n) !== 0n) throw damaged(`CPU ${cpu} runs a task at ${hex(address)}, which is misaligned`);
  const view = task.read(address);
  const pid = view.number('pid') | 0;
  if (pid !== 0 && !isPid(pid)) throw damaged(`task ${hex(address)} has an invalid pid (${pid})`);
  return { cpu, pid, comm: view.text('comm'), address };
}

/** Returns the reader of the CPU that a task is on, as it records it itself. */
export function cpuOfTask(kernel: Kernel): (task: bigint) => number {
  // In the task itself without CONFIG_THREAD_INFO_IN_TASK.
  const path = kernel.struct('task_struct')?.member('thread_info.cpu') ? 'thread_info.cpu' : 'cpu';
  const place = new StructReader(kernel, 'task_struct', [path]);
  return (task) => place.read(task).number(path);
}

/**
 * Returns the contradiction between `rq.curr` or `rq.idle` and the CPU that this task records; undefined: none, or the
 * dump lacks the task's record. A task of a running kernel may migrate between the two reads.
 */
export function misplacement(kernel: Kernel, { cpu, address, pid }: Omit<RunningTask, 'comm'>): string | undefined {
  if (kernel.facts.live) return undefined;
  const at = readOrNot(() => cpuOfTask(kernel)(address));
  return at === undefined || at === cpu ? undefined : `CPU ${cpu} runs pid ${pid}, but this task is on CPU ${at}`;
}

export function needSymbol(kernel: Pick<Kernel, 'symbol'>, name: string): bigint {
  const address = kernel.symbol(name);
  if (address === undefined) throw new KernelError('no-symbols', `the kernel has no symbol ${name}`);
  return address;
}
