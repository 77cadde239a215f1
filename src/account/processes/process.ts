import type { ProcessIdentity } from '../../records/processes.js';

/** What a process's memory comes to, bytes; null: it cannot be told. */
export interface ProcessSizes {
  /** Pages that it maps, those that others map too among them; huge pages of hugetlb are not. */
  readonly rss: number | null;
  /** The same, each page divided among all mappings of it. */
  readonly pss: number | null;
  /** Of its pages, those that have no other mapping. */
  readonly uss: number | null;
  readonly anonymous: number | null;
  readonly file: number | null;
  readonly shmem: number | null;
  readonly swap: number | null;
  readonly swapPss: number | null;
  readonly hugetlb: number | null;
  readonly pageTables: number | null;
  readonly locked: number | null;
  /** Memory of the network that its sockets pin, with what others hold of it too. */
  readonly network: number | null;
  /**
   * What its death gives back at least: USS, swap, page tables, and what its sockets alone hold. Null where
   * one of the first three is; the sockets' part counts where it is known.
   */
  readonly freed: number | null;
}

/** Names of the sizes, in the order in which they are told. */
export const SIZES = [
  ...(['rss', 'pss', 'uss', 'anonymous', 'file', 'shmem', 'swap', 'swapPss'] as const),
  ...(['hugetlb', 'pageTables', 'locked', 'network', 'freed'] as const),
] as const satisfies readonly (keyof ProcessSizes)[];

/** What sockets pin, bytes, where it is no count: low ≤ likely; null: nothing bounds it. */
export interface NetworkEstimate {
  readonly low: number;
  readonly likely: number;
  readonly atMost: number | null;
}

/** PSS by kind of page, bytes. */
export interface PssByKind {
  readonly anonymous: number;
  readonly shmem: number;
  readonly file: number;
}

/** A process, or several that share their memory. */
export interface ProcessFigures extends ProcessIdentity, ProcessSizes {
  /** When it began, in ticks of USER_HZ after the boot: no other process has its pid and this. */
  readonly started: number | null;
  /** Other processes with the same memory (CLONE_VM, vfork), which have no row of their own. */
  readonly sharedWith: readonly number[];
  /** What makes up `pss`; absent: not known, or the kernel does not report it (smaps_rollup since 5.4). */
  readonly pssByKind?: PssByKind | undefined;
  /** `network` is the likely one of these, and no count; absent: it is a count, or not known. */
  readonly networkEstimate?: NetworkEstimate | undefined;
  /** Of what can be told of a process here, all is. */
  readonly complete: boolean;
}

/** Memory that comes back when a process dies, but for what its sockets hold. */
export function ownBytes(
  { uss, pageTables }: Pick<ProcessSizes, 'uss' | 'pageTables'>,
  swap: number | null,
): number | null {
  return uss === null || swap === null || pageTables === null ? null : uss + swap + pageTables;
}

/** What of its swap no other process has, at least: an entry that others have too counts at most half in its share. */
export function ownSwap({ swap, swapPss }: Pick<ProcessSizes, 'swap' | 'swapPss'>): number | null {
  return swap === null ? null : Math.max(2 * (swapPss ?? 0) - swap, 0);
}
