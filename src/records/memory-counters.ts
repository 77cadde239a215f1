/** What /proc counts of the machine's memory; bytes. A counter that this kernel lacks is not there. */
export interface MemoryCounters {
  readonly release: string;
  /** Bytes of a base page. */
  readonly pageSize: number;
  /** All that zones have, and of that what the buddy allocator got (/proc/zoneinfo). */
  readonly present: number | undefined;
  readonly managed: number | undefined;
  /** Free in the buddy allocators of all zones (/proc/zoneinfo); undefined: not every zone counts it. */
  readonly zoneFree: number | undefined;
  /** Free, in the lists of CPUs. */
  readonly onCpus: number | undefined;
  /** Why zones tell nothing of that. */
  readonly whyNoZones: string | undefined;
  /** CPUs, each of which keeps up to 125 pages of each counter to itself (mm/vmstat.c). */
  readonly cpus: number;
  /** /proc/meminfo, by name. */
  readonly meminfo: ReadonlyMap<string, number>;
  /** Lines of it that have no figure, by name: what they have in its place. Hostile. */
  readonly damaged: ReadonlyMap<string, string>;
  /** zsmalloc's (/proc/vmstat, nr_zspages). */
  readonly compressed: number | undefined;
  /** The array of struct pages: from boot memory, and taken later (/proc/vmstat, since 6.12). */
  readonly memmap: { readonly boot: number; readonly later: number } | undefined;
}
