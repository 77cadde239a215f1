import type { FaultSum, SpaceSum, StackSum } from './stack-sums.js';

export type RecordingEnd = 'time' | 'interrupted' | 'process-ended' | 'size-limit';

/** Why an answer is incomplete; `code` is for programs, `message` for users. */
export interface StacksWarning {
  readonly code: 'lost' | 'contradicted' | 'ended-early' | 'unreadable';
  readonly message: string;
}

/** Page faults of a process by stack. */
export interface StacksAnswer {
  readonly pid: number;
  /** Hostile. */
  readonly comm: string;
  /** Duration of the recording. */
  readonly seconds: number;
  readonly requestedSeconds: number;
  readonly ended: RecordingEnd;
  /** Sampling period of minor faults: values are samples times the period. */
  readonly period: number;
  readonly samples: number;
  readonly pageSize: number;
  /** Whether the page size of each fault is known: huge pages count in full. */
  readonly pageSizesKnown: boolean;
  readonly anonymous: FaultSum;
  readonly shared: FaultSum;
  readonly hugetlb: FaultSum;
  /** Faults on files, and private copies of their pages. */
  readonly file: FaultSum;
  readonly unknown: FaultSum;
  /** Anonymous pages that were swapped in. */
  readonly swappedIn: FaultSum;
  /** Faults of processes forked meanwhile: not included elsewhere. */
  readonly ofChildren: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  /** Growth of min_flt and maj_flt of /proc/PID/stat meanwhile; null: the process has exited. */
  readonly kernelCounts: { readonly atLeast: number; readonly atMost: number } | null;
  /** Growth of RssAnon of /proc/PID/status in bytes; null: the process has exited. */
  readonly anonymousGrowth: number | null;
  /** Records that the kernel dropped. */
  readonly lost: number;
  /** Bytes of new memory with a stack that ends before the start of its thread. */
  readonly truncatedBytes: number;
  /** Most memory first. */
  readonly stacks: readonly StackSum[];
  readonly functions: readonly StackSum[];
  /** Calls that request address space by stack; null: not recorded. */
  readonly space: { readonly mmap: readonly SpaceSum[]; readonly brk: readonly SpaceSum[] } | null;
  readonly warnings: readonly StacksWarning[];
  readonly complete: boolean;
}
