import { availableParallelism } from 'node:os';
import { isHostError } from '../../base/errors.js';
import type { HostSource } from '../../host/host-source.js';
import { isKernelThread, optionalText, statFields, statusFields } from '../../host/proc/process.js';
import type { StackSums } from './stack-sums.js';

/** The kernel's own fault counters of a process. */
export interface FaultCounts {
  readonly minor: number;
  readonly major: number;
}

/**
 * /proc/PID/stat, fields 10 and 12 (min_flt and maj_flt of all its threads, including exited ones;
 * fs/proc/array.c). Null if it has exited.
 */
export function readFaultCounts(source: HostSource, pid: number): FaultCounts | null {
  const stat = fieldsOf(source, pid);
  if (!stat || hasEnded(stat)) return null;
  const [minor, major] = [Number(stat[7]), Number(stat[9])];
  return Number.isSafeInteger(minor) && Number.isSafeInteger(major) ? { minor, major } : null;
}

/** Fields of /proc/PID/stat from the third (its state) on; null if it has exited. */
function fieldsOf(source: HostSource, pid: number): string[] | null {
  const stat = optionalText(source, `/proc/${pid}/stat`);
  return stat === '' ? null : statFields(stat);
}

/** A zombie without other threads, by field 20 (num_threads): otherwise only its main thread has exited. */
function hasEnded(stat: readonly string[]): boolean {
  return (stat[0] === 'Z' && Number(stat[17]) <= 1) || stat[0] === 'X';
}

/** Whether the process can be recorded. */
export function stateOf(source: HostSource, pid: number): 'alive' | 'gone' | 'zombie' | 'kernel-thread' {
  const stat = fieldsOf(source, pid);
  if (!stat) return 'gone';
  if (hasEnded(stat)) return 'zombie';
  return isKernelThread(stat) ? 'kernel-thread' : 'alive';
}

/** RssAnon of /proc/PID/status, bytes, and the threads whose counters it sums. Null if it has exited. */
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

/** End of the heap, the reference for the first brk. Null if there is no heap. */
export async function readHeapEnd(source: HostSource, pid: number): Promise<bigint | null> {
  try {
    let end: bigint | null = null;
    const maps = await source.readSlowText(`/proc/${pid}/maps`);
    for (const line of maps.split('\n')) {
      const heapEnd = /^[0-9a-f]{1,16}-([0-9a-f]{1,16}) \S+ \S+ \S+ \S+ +\[heap\]$/.exec(line)?.[1];
      if (heapEnd !== undefined) end = BigInt(`0x${heapEnd}`);
    }
    return end;
  } catch (error) {
    if (isHostError(error)) return null;
    throw error;
  }
}

/** The kernel's counters at four moments: before and after perf starts, before and after it ends. */
export interface CountedMeanwhile {
  readonly before: FaultCounts;
  readonly begun: FaultCounts;
  readonly ending: FaultCounts;
  readonly ended: FaultCounts;
}

/** Growth of a counter: perf recorded at least during the shorter interval, and at most during the longer one. */
export function grown(
  { before, begun, ending, ended }: CountedMeanwhile,
  of: (counts: FaultCounts) => number,
): { readonly atLeast: number; readonly atMost: number } {
  return { atLeast: of(ending) - of(begun), atMost: of(ended) - of(before) };
}

/** Compares perf's samples with the kernel's own count of faults (mm_account_fault, mm/memory.c). */
export function checkFaults(
  sums: StackSums,
  counted: CountedMeanwhile,
  lost: number,
  threads: number,
): StacksWarning[] {
  const warnings: StacksWarning[] = [];
  // CPU time of a thread after its last sample is in no sample.
  const unsampled = (sums.period - 1) * threads * availableParallelism();
  for (const [name, recorded, rest, times] of [
    ['minor', sums.minor, unsampled, sums.period],
    ['major', sums.major, 0, 1],
  ] as const) {
    const { atLeast, atMost } = grown(counted, (counts) => counts[name]);
    if (recorded > atMost)
      warnings.push({
        code: 'contradicted',
        message: `perf recorded ${recorded} ${name} faults, but the kernel counted at most ${atMost}`,
      });
    const missing = atLeast - recorded - rest - lost * times;
    if (missing > 0)
      warnings.push({
        code: 'contradicted',
        message: `perf recorded ${missing} of ${atLeast} ${name} faults too few: the kernel faulted them in itself (io_uring, O_DIRECT, KVM), or perf may not record faults inside system calls (perf_event_paranoid)`,
      });
  }
  return warnings;
}

/**
 * Compares new memory with the growth of RssAnon. Each CPU or thread caches up to 64 pages, or twice as
 * many pages as there are CPUs, before it adds them (SPLIT_RSS_COUNTING; percpu_counter_batch).
 */
export function checkGrowth(sums: StackSums, growth: number, threads: number): StacksWarning | undefined {
  const cpus = availableParallelism();
  const slack = (64 * threads + 2 * Math.max(32, 2 * cpus) * cpus) * sums.pageSize;
  const { anonymous, file, unknown } = sums.kinds;
  const limit = anonymous.bytes + file.bytes + unknown.bytes + sums.swappedIn.bytes;
  if (growth <= limit + slack) return undefined;
  return {
    code: 'contradicted',
    message: `RssAnon grew by ${growth} bytes, but the recorded faults account for at most ${limit}: a fault may have mapped several pages (multi-size THP), or khugepaged collapsed pages into huge ones`,
  };
}

/** Why an answer is incomplete; `code` is for programs, `message` for users. */
export interface StacksWarning {
  readonly code: 'lost' | 'contradicted' | 'ended-early' | 'unreadable';
  readonly message: string;
}
