import { damaged, KernelError } from '../base/errors.js';
import type { RunningTask } from '../contracts/info.js';
import type { Kernel } from '../kernel/kernel.js';
import { UTS_BYTES } from '../kernel/layout.js';
import { cpuMask, cpusThatRan, misplacement, needSymbol, runningTask } from './cpus.js';
import { type PanicFacts, readPanic } from './log/panic.js';
import { type ClockFacts, readClock } from './machine/clock.js';
import type { Fields } from './machine/fields.js';
import { pointerPartOf, readPartOf } from './named-read.js';
import { decodeText, StructReader } from './struct-reader.js';
import { taskTable } from './tasks/task-table.js';
import type { Unknowns } from './warnings.js';

/** Facts about the machine and the kernel. Absent ones are unknown. */
export interface MachineFacts {
  readonly uts?: UtsFacts;
  readonly clock?: ClockFacts;
  /** Seconds since 1970, as the kernel noted it when it crashed. */
  readonly crashTime?: number;
  /** CPUs by number. */
  readonly online?: readonly number[];
  readonly possible?: readonly number[];
  /** Bytes of memory that the kernel manages. */
  readonly ram?: number;
  readonly panic: PanicFacts;
  /** Running task of each CPU that was online, or had been until a panic stopped it. */
  readonly running: readonly RunningTask[];
  /** `tainted_mask`. */
  readonly taint?: bigint;
  readonly processes?: { readonly user: number; readonly kernel: number };
  /** Names of the loaded modules; untrusted. */
  readonly modules?: readonly string[];
}

/** `uname -n`, `-r`, `-v`, `-m`; untrusted. */
export interface UtsFacts {
  readonly nodename: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
}

/** Maximum number of CPUs whose task is reported. */
const MAX_RUNNING = 512;
/** Maximum memory size: physical addresses have at most 52 bits. */
const MAX_MEMORY = 2 ** 52;

export function describeMachine(kernel: Kernel, fields: Fields, unknowns: Unknowns): MachineFacts {
  const { crashTime } = kernel;
  const facts = {
    crashTime,
    uts: unknowns.try('kernel version and host name', () => readUts(kernel, fields)),
    clock: unknowns.try('kernel clock and uptime', () => readClock(kernel)),
    online: unknowns.try('online CPUs', () => cpuMask(kernel, '__cpu_online_mask')),
    possible: unknowns.try('possible CPUs', () => cpuMask(kernel, '__cpu_possible_mask')),
    ram: unknowns.try('memory of the machine', () => ramBytes(kernel)),
    taint: unknowns.try('taint', () => readWord(kernel, 'tainted_mask')),
    processes: unknowns.try('processes', () => countProcesses(kernel)),
    modules: unknowns.try('loaded modules', () => moduleNames(kernel)),
  };
  // Before the tasks: the list of what is unknown has a bound.
  const panic = readPanic(kernel, fields, crashTime !== undefined, unknowns);
  const running: RunningTask[] = [];
  const ran = unknowns.try('CPUs that were not idle', () => cpusThatRan(kernel)) ?? facts.online;
  for (const cpu of ran?.slice(0, MAX_RUNNING) ?? []) {
    const task = unknowns.try(`current task of CPU ${cpu}`, () => runningTask(kernel, cpu));
    if (!task) continue;
    running.push(task);
    const misplaced = misplacement(kernel, task);
    if (misplaced !== undefined) unknowns.add(`current task of CPU ${cpu}`, 'damaged', misplaced);
  }
  return { ...present(facts), running, panic };
}

export function readUts(kernel: Kernel, fields: Fields): UtsFacts {
  const names = needSymbol(kernel, 'init_uts_ns');
  const at = names + BigInt(fields.offset('uts_namespace', 'name'));
  const view = readPartOf(kernel, 'init_uts_ns', names, at, 5 * UTS_BYTES);
  const text = (index: number): string => decodeText(view, index * UTS_BYTES, UTS_BYTES);
  return { nodename: text(1), release: text(2), version: text(3), machine: text(4) };
}

/** Returns MemTotal, in bytes. */
export function ramBytes(kernel: Kernel): number {
  // Atomic since 5.0; a plain long before.
  const atomic = kernel.symbol('_totalram_pages') !== undefined;
  const name = atomic ? '_totalram_pages' : 'totalram_pages';
  const bytes = Number(readWord(kernel, name)) * kernel.facts.pageSize;
  if (bytes <= MAX_MEMORY) return bytes;
  throw damaged(`${name} has an invalid size (${bytes} bytes)`);
}

function readWord(kernel: Kernel, name: string): bigint {
  const at = needSymbol(kernel, name);
  return pointerPartOf(kernel, name, at, at);
}

function countProcesses(kernel: Kernel): { user: number; kernel: number } {
  const count = { user: 0, kernel: 0 };
  const { processes, lostProcesses } = taskTable(kernel);
  if (lostProcesses) throw lostProcesses;
  for (const task of processes) count[task.kernelThread ? 'kernel' : 'user']++;
  return count;
}

/** The same without undefined fields. */
function present<T extends object>(facts: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}

/** Letters and descriptions of the bits of `tainted_mask` (Documentation/admin-guide/tainted-kernels.rst). */
const FLAGS: readonly (readonly [letter: string, words: string])[] = [
  ['P', 'proprietary module'],
  ['F', 'module loaded by force'],
  ['S', 'kernel on a system out of its specification'],
  ['R', 'module unloaded by force'],
  ['M', 'machine check exception'],
  ['B', 'bad page'],
  ['U', 'set by user space'],
  ['D', 'died: an oops or BUG before'],
  ['A', 'ACPI table overridden'],
  ['W', 'warning'],
  ['C', 'staging driver'],
  ['I', 'firmware bug worked around'],
  ['O', 'module built out of tree'],
  ['E', 'unsigned module'],
  ['L', 'soft lockup'],
  ['K', 'live patched'],
  ['X', 'set by the distribution'],
  ['T', 'randomized struct layout'],
  ['N', 'test has run'],
  ['J', 'debug write through fwctl'],
];

export interface Taint {
  readonly letter: string;
  readonly words: string;
}

/** Returns the taint flags that are set; flags without a known letter are shown as their bit. */
export function taintFlags(mask: bigint): Taint[] {
  const flags: Taint[] = [];
  for (let bit = 0; bit < 64; bit++) {
    if (((mask >> BigInt(bit)) & 1n) === 0n) continue;
    const [letter, words] = FLAGS[bit] ?? ['?', `bit ${bit}`];
    flags.push({ letter, words });
  }
  return flags;
}

const MAX_MODULES = 4096;

/** Returns the names of the loaded modules, last loaded first; untrusted. */
export function moduleNames(kernel: Kernel): string[] {
  const reader = new StructReader(kernel, 'module', ['list', 'name']);
  const names: string[] = [];
  for (const module of reader.entries(needSymbol(kernel, 'modules'), 'list')) {
    names.push(module.text('name'));
    if (names.length >= MAX_MODULES) break;
  }
  return names;
}

/**
 * Whether a module is loaded; undefined if unknown because this kernel's module list cannot be located or is
 * unsupported.
 */
export function isLoaded(kernel: Kernel, module: string): boolean | undefined {
  try {
    return moduleNames(kernel).includes(module);
  } catch (error) {
    if (error instanceof KernelError && error.code !== 'damaged') return undefined;
    throw error;
  }
}
