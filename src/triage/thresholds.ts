import { MANY_DYING } from '../records/named-memory.js';
import type { FindingCode } from './findings/all.js';

const MIB = 2 ** 20;

export interface Threshold {
  /** `share`: of memory, or of a limit. `percent`: of the time. */
  readonly unit: 'share' | 'percent' | 'bytes' | 'count' | 'seconds';
  readonly note?: number;
  readonly warning?: number;
  readonly critical?: number;
  /** Shares of a smaller amount are not significant. */
  readonly leastBytes?: number;
  readonly leastSeconds?: number;
  /** Percentage of the time: a second condition. */
  readonly stalls?: number;
}

/** Sizes from which on something is a finding. A test compares docs/findings.md, which explains how to change them. */
export const THRESHOLDS = {
  /** Any memory of one owner, and memory without an owner. */
  'queued-data': { unit: 'share', warning: 0.05, critical: 0.25, leastBytes: 32 * MIB },
  'queued-data-of-process': { unit: 'bytes', note: 64 * MIB },
  'stalled-reader': { unit: 'bytes', note: MIB, leastSeconds: 10 },
  /** By /proc: sockets of a program that ss does not list. `leastBytes`: or this much in all of them. */
  'unlisted-sockets': { unit: 'count', note: 500, leastBytes: 64 * MIB },
  /** A note from `note` on already, beside an estimate. Without a path (memfd, deleted, segment) a warning. */
  'shared-memory': { unit: 'share', note: 0.05, warning: 0.1 },
  /** By /proc: memory in no counter, half of which the pipes of a program can hold. None smaller is an incident. */
  pipes: { unit: 'share', note: 0.02, warning: 0.05, leastBytes: 64 * MIB },
  /** Unread messages. By default an ipc namespace allows 500 MiB of them. */
  'message-queues': { unit: 'bytes', note: 64 * MIB },
  /** Estimated: about 65,000 watches. */
  'file-watches': { unit: 'bytes', note: 64 * MIB },
  /** A few modules and large tables use less. */
  vmalloc: { unit: 'share', warning: 0.05, leastBytes: 64 * MIB },
  /** Stacks of 16 KiB: 5 % is 3,200 threads per GiB. */
  'kernel-stacks': { unit: 'share', warning: 0.05, leastBytes: 64 * MIB },
  /** An entry of 8 bytes maps 4 KiB (0.2 %). More means sparse mappings, or many mappings of the same pages. */
  'page-tables': { unit: 'share', warning: 0.05, leastBytes: 64 * MIB },
  /** A healthy machine has a few percent. */
  'unreclaimable-slab': { unit: 'share', warning: 0.1, leastBytes: 256 * MIB },
  'reclaimable-slab': { unit: 'share', note: 0.25, leastBytes: 256 * MIB },
  'per-cpu-memory': { unit: 'share', warning: 0.1, leastBytes: 256 * MIB },
  /** Other allocations cannot use these pages. */
  'hugetlb-unused': { unit: 'share', note: 0.05, warning: 0.1 },
  /** The hypervisor takes it on purpose. */
  balloon: { unit: 'share', note: 0.05, leastBytes: 64 * MIB },
  /** The memory that zram and zswap take, not the data in it. */
  'compressed-memory': { unit: 'share', note: 0.1, leastBytes: 64 * MIB },
  /** It shrinks when memory is short, but no counter of the kernel shows it. */
  'zfs-arc': { unit: 'share', note: 0.1, leastBytes: 256 * MIB },
  /** In the machine's own memory. A desktop has some of it. */
  'gpu-memory': { unit: 'share', note: 0.1, leastBytes: 256 * MIB },
  'dma-buf': { unit: 'share', note: 0.05, leastBytes: 64 * MIB },
  /** The kernel warns after the same time (DEFER_WARN_INTERVAL of net/core/page_pool.c). */
  'page-pool-detached': { unit: 'seconds', note: 60 },
  'dying-cgroups': { unit: 'count', note: MANY_DYING, warning: 10_000 },
  'counter-mismatch': { unit: 'bytes', note: 256 * MIB },
  /** Smaller growth is common. */
  'memory-growth': { unit: 'share', note: 0.01, warning: 0.05, leastBytes: 64 * MIB },
  /** MemAvailable is below: reclaim has little left to free. */
  'low-available': { unit: 'share', note: 0.1, warning: 0.05 },
  /** All tasks stall: throughput is visibly reduced. `stalls`: some task does. */
  'memory-pressure': { unit: 'percent', warning: 5, stalls: 20 },
  /** The default of vm.dirty_ratio is 20 % of available memory: writers are throttled above it. */
  'writeback-stuck': { unit: 'share', warning: 0.1, stalls: 20 },
  /** At the limit requests fail immediately: this leaves time to react. */
  'limit-near': { unit: 'share', warning: 0.9 },
  /** At the limit a charge reclaims memory, and then invokes the OOM killer. */
  'cgroup-near-limit': { unit: 'share', warning: 0.9 },
  /** By /proc, tasks in one place. This many wait for each other, not for a disk. */
  'blocked-tasks': { unit: 'count', note: 3, warning: 8 },
  /** Each zombie uses a pid. A few are normal; many mean that their parent does not call wait(). */
  zombies: { unit: 'count', note: 10, warning: 100 },
  /** CPU time that the hypervisor took, of the time that was needed. */
  'hypervisor-overcommitted': { unit: 'share', note: 0.1, warning: 0.25 },
  /** A snapshot has its time in whole seconds, and NTP adjusts the clock. */
  'clock-step': { unit: 'seconds', note: 10 },
} as const satisfies { readonly [Code in FindingCode]?: Threshold };

type ShareCode = {
  [Code in keyof typeof THRESHOLDS]: (typeof THRESHOLDS)[Code] extends { unit: 'share'; leastBytes: number }
    ? Code
    : never;
}[keyof typeof THRESHOLDS];

/** Whether memory is short; null: unknown, or only the amounts show. */
export type Shortage = 'short' | 'not short' | null;

/**
 * Certainly not short if enough is left, whatever the rest is; certainly short if little is left with all that the
 * kernel can reclaim.
 *
 * @param leftBytes free or available; more than `totalBytes` contradicts itself
 * @param mostBytes with all that can be reclaimed; null: unknown
 */
export function shortageOf(totalBytes: number, leftBytes: number, mostBytes: number | null): Shortage {
  const little = THRESHOLDS['low-available'].note * totalBytes;
  if (leftBytes > totalBytes) return null;
  if (leftBytes >= little) return 'not short';
  return mostBytes !== null && mostBytes < little ? 'short' : null;
}

/** Whether an amount has the share and the size of a finding. */
export function isLargePart(code: ShareCode, bytes: number, share: number): boolean {
  const { note, warning = Infinity, leastBytes = 0 }: Threshold = THRESHOLDS[code];
  return share >= (note ?? warning) && bytes >= leastBytes;
}
