import { freemem } from 'node:os';
import type { TraceInstance } from './instance.js';

/** Kernel memory for buffers of all CPUs, KiB; a machine that has little gives less. */
const MOST_KILOBYTES = 64 * 1024;
const SHARE_OF_FREE = 1 / 16;

/** Allocations have stacks, frees have none. */
const SHARES = { allocations: 3 / 4, frees: 1 / 4 } as const;

/** Of one CPU: more would be filled only where nobody reads for seconds. */
const MOST_OF_CPU = { allocations: 4096, frees: 1024 } as const;

/** Two pages, which is the least that a ring buffer has. */
const LEAST_OF_CPU = 8;

/** Gives an instance its buffers. @throws {TraceError} `trace-failed` */
export function sizeBuffers(instance: TraceInstance, purpose: keyof typeof SHARES): void {
  const all = Math.min(MOST_KILOBYTES, (freemem() / 1024) * SHARE_OF_FREE);
  const each = Math.floor((all * SHARES[purpose]) / Math.max(1, instance.cpus.length));
  const kilobytes = Math.max(LEAST_OF_CPU, Math.min(MOST_OF_CPU[purpose], each));
  instance.write('buffer_size_kb', String(kilobytes));
}
