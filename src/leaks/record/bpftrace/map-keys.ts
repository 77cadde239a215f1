import { readFileSync } from 'node:fs';
import { TraceError } from '../../../base/errors/trace.js';

/** Memory of the kernel that the program's maps may take, bytes, and the share of what is available. */
const MOST_BYTES = 256 * 2 ** 20;
const MOST_SHARE = 1 / 8;

/**
 * All maps have as many entries, and room for all is taken when it starts: blocks, stacks and their CPUs, numbers by CPU,
 * with 64 bytes or so around each; and sums, which have a figure for each CPU that the machine could have.
 */
const BYTES_EACH = 400;
const BYTES_EACH_CPU = 16;

/** Of fewer nothing could be followed. */
const LEAST = 16_384;

/** Blocks, and stacks, that the kernel can follow. @throws {TraceError} `trace-unsupported` */
export function mapKeys(most: number, available = availableBytes(), cpus = possibleCpus()): number {
  const bytes = Math.min(MOST_BYTES, (available ?? 0) * MOST_SHARE);
  const keys = Math.min(most, Math.floor(bytes / (BYTES_EACH + BYTES_EACH_CPU * cpus)));
  if (keys < LEAST)
    throw new TraceError('bpftrace-failed', 'not enough memory for the BPF maps of bpftrace', {
      next: 'Remove --engine bpftrace: tracefs needs less memory.',
    });
  return keys;
}

/** Null: not told. */
function availableBytes(): number | null {
  const kilobytes = /^MemAvailable: +(\d{1,15}) kB$/m.exec(textOf('/proc/meminfo'))?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}

/** CPUs that there are or could be plugged in: `0-3`, `0,2-5`. */
function possibleCpus(): number {
  const last = /(\d{1,6})\s*$/.exec(textOf('/sys/devices/system/cpu/possible'))?.[1];
  return last === undefined ? 8192 : Number(last) + 1;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
