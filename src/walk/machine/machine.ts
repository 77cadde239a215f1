import { KernelError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { UTS_BYTES } from '../../kernel/utsname.js';
import { pointerPartOf, readPartOf } from '../named-read.js';
import { decodeText } from '../struct-reader.js';
import { taskTable } from '../tasks/task-table.js';
import { type ClockFacts, readClock } from './clock.js';
import { cpuMask, cpusThatRan, needSymbol, type RunningTask, runningTask } from './cpus.js';
import type { Fields } from './fields.js';
import { moduleNames } from './modules.js';
import { type PanicFacts, readPanic } from './panic.js';
import type { Unknowns } from './unknowns.js';

/** What a kernel says of the machine and of itself. What is absent could not be told. */
export interface MachineFacts {
  readonly uts?: UtsFacts;
  readonly clock?: ClockFacts;
  /** CPUs by number. */
  readonly online?: readonly number[];
  readonly possible?: readonly number[];
  /** Bytes of memory that the kernel manages. */
  readonly ram?: number;
  readonly panic: PanicFacts;
  /** What each CPU was running that was online, or had been until a panic stopped it. */
  readonly running: readonly RunningTask[];
  /** `tainted_mask`. */
  readonly taint?: bigint;
  readonly processes?: { readonly user: number; readonly kernel: number };
  /** Names of the loaded modules; hostile. */
  readonly modules?: readonly string[];
}

/** `uname -n`, `-r`, `-v`, `-m`; hostile. */
export interface UtsFacts {
  readonly nodename: string;
  readonly release: string;
  readonly version: string;
  readonly machine: string;
}

/** CPUs whose task is told. */
const MOST_RUNNING = 512;
/** Physical addresses have 52 bits at most. */
const MOST_MEMORY = 2 ** 52;

/** @param crashed see readPanic */
export function describeMachine(
  kernel: Kernel,
  fields: Fields,
  crashed: boolean,
  unknowns: Unknowns,
): MachineFacts {
  const facts = {
    uts: unknowns.try('kernel version and host name', () => readUts(kernel, fields)),
    clock: unknowns.try('kernel clock and uptime', () => readClock(kernel)),
    online: unknowns.try('online CPUs', () => cpuMask(kernel, '__cpu_online_mask')),
    possible: unknowns.try('possible CPUs', () => cpuMask(kernel, '__cpu_possible_mask')),
    ram: unknowns.try('memory of the machine', () => ramBytes(kernel)),
    taint: unknowns.try('taint', () => readWord(kernel, 'tainted_mask')),
    processes: unknowns.try('processes', () => countProcesses(kernel)),
    modules: unknowns.try('loaded modules', () => moduleNames(kernel)),
  };
  const running: RunningTask[] = [];
  const ran = unknowns.try('CPUs that were not idle', () => cpusThatRan(kernel)) ?? facts.online;
  for (const cpu of ran?.slice(0, MOST_RUNNING) ?? []) {
    const task = unknowns.try(`current task of CPU ${cpu}`, () => runningTask(kernel, cpu));
    if (task) running.push(task);
  }
  const panic = readPanic(kernel, fields, crashed, unknowns);
  return { ...present(facts), running, panic };
}

/** @throws {KernelError}, {@link ReadError} */
export function readUts(kernel: Kernel, fields: Fields): UtsFacts {
  const names = needSymbol(kernel, 'init_uts_ns');
  const at = names + BigInt(fields.offset('uts_namespace', 'name'));
  const view = readPartOf(kernel, 'init_uts_ns', names, at, 5 * UTS_BYTES);
  const text = (index: number): string => decodeText(view, index * UTS_BYTES, UTS_BYTES);
  return { nodename: text(1), release: text(2), version: text(3), machine: text(4) };
}

/** MemTotal. @throws {KernelError}, {@link ReadError} */
export function ramBytes(kernel: Kernel): number {
  // Since 5.0 an atomic; a plain long before.
  const atomic = kernel.symbol('_totalram_pages') !== undefined;
  const name = atomic ? '_totalram_pages' : 'totalram_pages';
  const bytes = Number(readWord(kernel, name)) * kernel.facts.pageSize;
  if (bytes <= MOST_MEMORY) return bytes;
  throw new KernelError('damaged', `${name} has an invalid size (${bytes} bytes)`);
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

/** The same without what is undefined. */
function present<T extends object>(facts: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]?: Exclude<T[Key], undefined>;
  };
}
