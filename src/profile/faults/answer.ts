import type { FaultSum, SpaceSum, StackSum } from './stack-sums.js';

/** Why a recording ended. */
export type RecordingEnd = 'time' | 'interrupted' | 'process-ended' | 'size-limit';

/** What makes an answer incomplete; `code` is for programs, `message` for people. */
export interface StacksWarning {
  readonly code: 'lost' | 'contradicted' | 'ended-early' | 'unreadable';
  readonly message: string;
}

/** Who allocates: the page faults of a process by stack. */
export interface StacksAnswer {
  readonly pid: number;
  /** Hostile. */
  readonly comm: string;
  /** Of the recording. */
  readonly seconds: number;
  readonly requestedSeconds: number;
  readonly ended: RecordingEnd;
  /** Each so many minor faults one was recorded: figures are that many times what was recorded. */
  readonly period: number;
  readonly samples: number;
  readonly pageSize: number;
  /** Of each fault the size of the page is known: huge ones count as what they are. */
  readonly pageSizesKnown: boolean;
  readonly anonymous: FaultSum;
  readonly shared: FaultSum;
  readonly hugetlb: FaultSum;
  /** On files, and private copies of their pages. */
  readonly file: FaultSum;
  readonly unknown: FaultSum;
  /** Anonymous pages that came back from swap. */
  readonly swappedIn: FaultSum;
  /** Of processes that it forked meanwhile: in no other figure. */
  readonly ofChildren: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  /** min_flt and maj_flt of /proc/PID/stat grew by so many meanwhile; null: the process is gone. */
  readonly kernelCounts: { readonly atLeast: number; readonly atMost: number } | null;
  /** RssAnon of /proc/PID/status grew by so many bytes; null: the process is gone. */
  readonly anonymousGrowth: number | null;
  /** Records that the kernel had no room for. */
  readonly lost: number;
  /** Of new memory, bytes whose stack ends before it reaches the beginning of its thread. */
  readonly truncatedBytes: number;
  /** What brings most first. */
  readonly stacks: readonly StackSum[];
  readonly functions: readonly StackSum[];
  /** Calls for address space by stack; null: not recorded. */
  readonly space: { readonly mmap: readonly SpaceSum[]; readonly brk: readonly SpaceSum[] } | null;
  readonly warnings: readonly StacksWarning[];
  readonly complete: boolean;
}
