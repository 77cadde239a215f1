import type { HostFacts } from './facts.js';
import type { Losses } from './losses.js';
import type { Namespace } from './namespaces.js';
import type { HolderScan } from './proc/holders.js';
import type { CpuTime, ProcessRecord } from './proc/process.js';
import type { Sample } from './ss/read.js';

/** What was seen of a host's sockets: one sample, or several and what lay between them. */
export interface Observation {
  readonly host: HostFacts;
  /** What the sockets were read by. */
  readonly reader: 'ss' | 'procfs';
  readonly namespaces: readonly Namespace[];
  /** All samples, at least one; `first` and `last` are its ends. */
  readonly samples: readonly Sample[];
  readonly first: Sample;
  /** Null when one sample was asked for. */
  readonly last: Sample | null;
  /** Of all samples, and of what was read between them. */
  readonly losses: Losses;
  /**
   * The time between the samples, cut into pieces. For each: the queues of all sockets but TCP's at
   * its end, and which processes stood still from before its beginning until after its end.
   */
  readonly windows: readonly Window[];
  readonly holders: HolderScan;
  /** The processes that hold a socket of interest or have more descriptors than at first, at the end. */
  readonly processes: ReadonlyMap<number, ProcessRecord>;
  /** CPU time that these processes used or waited for since the first sample, in so much time at most. */
  readonly cpu: ReadonlyMap<number, CpuTime & { readonly withinMs: number }>;
  /** For each sample the number of descriptors of each process; empty with less than 3 samples. */
  readonly descriptors: readonly ReadonlyMap<number, number>[];
  /** The sockets (inodes) of the one process that was asked about, or null for all. */
  readonly onlyInodes: ReadonlySet<number> | null;
}

export interface Window {
  readonly startMs: number;
  readonly endMs: number;
  /** Recv-Q at the beginning and the end, by `socketKey`; not there: not known. */
  readonly recvQ: ReadonlyMap<string, { readonly from: number; readonly to: number }>;
  /** pid → it ran at no time in the window; null: unknown. */
  readonly still: ReadonlyMap<number, boolean | null>;
}
