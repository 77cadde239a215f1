import { KernelError, ReadError } from '../../base/errors/kernel.js';
import type { Kernel } from '../../kernel/kernel.js';
import { cpuMask, perCpuAddress } from '../machine/cpus.js';
import { pointerPartOf, readPartOf } from '../named-read.js';

/** What the kernel counts of its tasks (kernel/fork.c); undefined: it cannot be read. */
export interface TaskCounters {
  /** `nr_threads`: tasks but the idle ones. */
  readonly threads: number | undefined;
  /** `process_counts` of all CPUs. */
  readonly processes: number | undefined;
}

export function taskCounters(kernel: Kernel): TaskCounters {
  const counter = (name: string, read: (at: bigint) => number) => {
    try {
      const at = kernel.symbol(name);
      return at === undefined ? undefined : read(at);
    } catch (error) {
      if (error instanceof ReadError || error instanceof KernelError) return undefined;
      throw error;
    }
  };
  return {
    threads: counter('nr_threads', (at) =>
      readPartOf(kernel, 'nr_threads', at, at, 4).getInt32(0, true),
    ),
    // A process may end on another CPU than it began on: one CPU's count may be below zero.
    processes: counter('process_counts', (at) => {
      let sum = 0n;
      for (const cpu of cpuMask(kernel, '__cpu_possible_mask'))
        sum += pointerPartOf(kernel, 'process_counts', at, perCpuAddress(kernel, at, cpu));
      return Number(BigInt.asIntN(64, sum));
    }),
  };
}
