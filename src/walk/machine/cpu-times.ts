import { damaged, unsupportedLayout } from '../../base/errors.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, needSymbol, perCpuAddress } from '../cpus.js';
import { readOrNot, readPartOf } from '../named-read.js';
import { StructReader } from '../struct-reader.js';
import { readClock } from './clock.js';

/** Times of all CPUs since boot. */
export interface CpuTimes {
  /** User, nice, system and interrupts. */
  readonly busySeconds: number;
  /** Time in which a CPU had work, but the hypervisor did not run it. */
  readonly stealSeconds: number;
}

/** Kinds of time, by the kernel's names (include/linux/kernel_stat.h). User time includes guests. */
const BUSY = ['CPUTIME_USER', 'CPUTIME_NICE', 'CPUTIME_SYSTEM', 'CPUTIME_SOFTIRQ', 'CPUTIME_IRQ'];
const STEAL = 'CPUTIME_STEAL';

const SECOND = 1e9;
/** Allowance: steal that is accounted at once after a pause may exceed the guest’s own clock. Seconds. */
const MAX_EXCESS = 60;
/** `rq.prev_steal_time` is updated just after the counter. Seconds. */
const MAX_APART = 1;

/**
 * Reads `kernel_cpustat` of each CPU. It counts nanoseconds since 4.11.
 *
 * Second facts: a CPU was not busy for longer than the machine is up, and the scheduler keeps its own sum of
 * steal (steal_account_process_time, kernel/sched/cputime.c).
 *
 * @throws {KernelError} `no-symbols`, `unsupported-layout`, `damaged`; {@link ReadError}
 */
export function readCpuTimes(kernel: Kernel): CpuTimes {
  const kinds = kernel.enumerators('cpu_usage_stat');
  const indexes = [...BUSY, STEAL].map((name) => {
    const index = Number(kinds?.get(name) ?? -1);
    if (index < 0) throw unsupportedLayout(`this kernel has no ${name}`);
    return index;
  });
  const stat = new StructReader(kernel, 'kernel_cpustat', ['cpustat']);
  const { offset, size } = stat.members.cpustat;
  if (indexes.some((index) => 8 * (index + 1) > size))
    throw unsupportedLayout(`kernel_cpustat.cpustat has ${size / 8} elements`);
  const up = Number(readClock(kernel).uptime) / SECOND;
  const first = needSymbol(kernel, 'kernel_cpustat');
  let [busySeconds, stealSeconds] = [0, 0];
  for (const cpu of cpuMask(kernel, '__cpu_possible_mask')) {
    const at = perCpuAddress(kernel, first, cpu) + BigInt(offset);
    const view = readPartOf(kernel, 'kernel_cpustat', at, at, size);
    const seconds = indexes.map((index) => Number(view.getBigUint64(8 * index, true)) / SECOND);
    const all = seconds.reduce((sum, one) => sum + one, 0);
    if (all > up * 1.05 + MAX_EXCESS)
      throw damaged(
        `CPU ${cpu} was busy for ${Math.round(all)} s, but uptime is ${Math.round(up)} s`,
      );
    const steal = seconds.at(-1) ?? 0;
    const again = schedulerSteal(kernel, cpu);
    if (again !== undefined && Math.abs(again - steal) > MAX_APART)
      throw damaged(
        `steal time of CPU ${cpu} is ${steal.toFixed(1)} s, but rq.prev_steal_time is ${again.toFixed(1)} s`,
      );
    busySeconds += all - steal;
    stealSeconds += steal;
  }
  return { busySeconds, stealSeconds };
}

/** Seconds; undefined: the kernel has no CONFIG_PARAVIRT, or the run queue is not in the dump. */
function schedulerSteal(kernel: Kernel, cpu: number): number | undefined {
  const rq = StructReader.ifPresent(kernel, 'rq', ['prev_steal_time']);
  const queues = kernel.symbol('runqueues');
  if (rq === undefined || queues === undefined) return undefined;
  return readOrNot(
    () => Number(rq.read(perCpuAddress(kernel, queues, cpu)).pointer('prev_steal_time')) / SECOND,
  );
}
