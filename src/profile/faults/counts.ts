import { isHostError } from '../../base/errors/host.js';
import type { HostSource } from '../../host/host-source.js';
import { optionalText, statFields, statusFields } from '../../host/proc/process.js';

/** What the kernel counts of a process by itself. */
export interface FaultCounts {
  readonly minor: number;
  readonly major: number;
}

/**
 * /proc/PID/stat, fields 10 and 12 (min_flt and maj_flt of all its threads, those that ended too;
 * fs/proc/array.c). Null when it is gone.
 */
export function readFaultCounts(source: HostSource, pid: number): FaultCounts | null {
  const stat = fieldsOf(source, pid);
  if (!stat || hasEnded(stat)) return null;
  const [minor, major] = [Number(stat[7]), Number(stat[9])];
  return Number.isSafeInteger(minor) && Number.isSafeInteger(major) ? { minor, major } : null;
}

/** Fields of /proc/PID/stat from the third (its state) on; null when it is gone. */
function fieldsOf(source: HostSource, pid: number): string[] | null {
  const stat = optionalText(source, `/proc/${pid}/stat`);
  return stat === '' ? null : statFields(stat);
}

/** A zombie without other threads, by field 20 (num_threads): its main thread alone may have ended. */
function hasEnded(stat: readonly string[]): boolean {
  return (stat[0] === 'Z' && Number(stat[17]) <= 1) || stat[0] === 'X';
}

/** PF_KTHREAD (include/linux/sched.h), of field 9. */
const PF_KTHREAD = 0x0020_0000;

/** Whether there is something to record of it. */
export function stateOf(
  source: HostSource,
  pid: number,
): 'alive' | 'gone' | 'zombie' | 'kernel-thread' {
  const stat = fieldsOf(source, pid);
  if (!stat) return 'gone';
  if (hasEnded(stat)) return 'zombie';
  return (Number(stat[6]) & PF_KTHREAD) === 0 ? 'alive' : 'kernel-thread';
}

/** RssAnon of /proc/PID/status, bytes, and the threads that it is counted over. Null when it is gone. */
export function readAnonymous(
  source: HostSource,
  pid: number,
): { readonly bytes: number; readonly threads: number } | null {
  const fields = statusFields(optionalText(source, `/proc/${pid}/status`));
  const kilobytes = /^RssAnon:\s*(\d{1,15}) kB$/m.exec(fields)?.[1];
  const threads = /^Threads:\s*(\d{1,10})$/m.exec(fields)?.[1];
  if (kilobytes === undefined || threads === undefined) return null;
  return { bytes: Number(kilobytes) * 1024, threads: Number(threads) };
}

/** Where the heap ends: what the first brk is held against. Null where there is none. */
export async function readHeapEnd(source: HostSource, pid: number): Promise<bigint | null> {
  try {
    let end: bigint | null = null;
    const maps = await source.readSlowText(`/proc/${pid}/maps`);
    for (const line of maps.split('\n')) {
      const found = /^[0-9a-f]{1,16}-([0-9a-f]{1,16}) \S+ \S+ \S+ \S+ +\[heap\]$/.exec(line)?.[1];
      if (found !== undefined) end = BigInt(`0x${found}`);
    }
    return end;
  } catch (error) {
    if (isHostError(error)) return null;
    throw error;
  }
}
