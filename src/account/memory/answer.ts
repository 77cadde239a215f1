import type { KernelFacts } from '../../kernel/kernel.js';
import type { Zone } from '../../walk/memory/zones.js';
import type { Warning } from '../../walk/warnings.js';
import type { CensusEntry } from '../census-entry.js';
import type { CensusAnswer } from '../sockets.js';
import type { DrawerGroup, DrawerName, Known } from './drawers.js';
import type { FilesAnswer } from './files.js';
import type { Elsewhere } from './frame-ledger.js';

/** Who would have to let go of memory. Names are hostile. */
export interface Owner {
  readonly kind: 'process' | 'cache' | 'caller' | 'table' | 'row' | 'file' | 'device';
  readonly name: string;
  /** Of a process. */
  readonly pid?: number;
  readonly bytes: number;
}

/** A place that page frames are in, or a group of such places. */
export interface Drawer {
  readonly drawer: DrawerName | DrawerGroup | 'memory';
  readonly frames: number;
  readonly bytes: number;
  readonly known: Known;
  /** What the kernel's own counter says of the same; null: it has none. */
  readonly counterBytes: number | null;
  /** The largest of those that are known. */
  readonly owners: readonly Owner[];
  readonly children: readonly Drawer[];
  /** The command that tells more, without the dump's name. */
  readonly deeper?: string;
  /** Nothing that would belong here was missed. */
  readonly complete: boolean;
  /** Why it is not whole: what is not complete says so, and so does what is not walked on such a kernel. */
  readonly why?: string;
  /** What a walk for this drawer led to and other drawers have. */
  readonly elsewhere: readonly Elsewhere[];
}

/** Blocks of one size that nothing explains. */
export interface LooseSize {
  /** log2 of the base pages; of a block that is none, the next larger. */
  readonly order: number;
  readonly blocks: number;
  readonly frames: number;
}

/** What nothing explains, described. */
export interface Loose {
  readonly sizes: readonly LooseSize[];
  /** Frames by zone, such as `Normal` or, of several NUMA nodes, `0 Normal`. */
  readonly zones: readonly { readonly zone: string; readonly frames: number }[];
  /** Frames that are charged to some cgroup. */
  readonly charged: number;
  /** Large kmallocs that the kernel counts and whose pages do not say it; undefined: they do. */
  readonly largeKmallocs?: number;
}

/** A slab cache. */
export interface CacheFigures {
  /** As /proc/slabinfo has it; hostile. */
  readonly name: string;
  readonly reclaimable: boolean;
  readonly bytes: number;
  readonly slabs: number;
  /** Slots of its slabs, and those given out, those that CPUs keep ready among them. */
  readonly slots: number;
  readonly used: number;
  /** Bytes of an object, and of the slot that it lies in; null: they could not be read. */
  readonly objectSize: number | null;
  readonly slotSize: number | null;
}

/** What a socket's queues have of a drawer; what several share counts for the first that was found. */
export interface QueueBytes {
  readonly entry: CensusEntry;
  readonly bytes: number;
}

/** The answer to `memory`. */
export interface MemoryAnswer {
  /** Undefined where only counters were read: then `host` tells of it. */
  readonly kernel: KernelFacts | undefined;
  readonly host?: { readonly release: string; readonly pageSize: number };
  /** How deep it looks: page frames of a dump or of the running kernel, or counters of /proc. */
  readonly source: 'vmcore' | 'kcore' | 'counters';
  readonly memory: Drawer;
  readonly loose: Loose | undefined;
  /**
   * Of a running kernel: by how much its counters changed while it was read, in bytes; each change counts
   * where it came from and where it went. 0 of a dump.
   */
  readonly drift: number;
  /** What takes most first. */
  readonly caches: readonly CacheFigures[];
  /** Memory of vmalloc's address space by who asked for it, what takes most first. */
  readonly callers: readonly (Owner & { readonly drawer: DrawerName })[];
  readonly zones: readonly Zone[];
  /** Whose the page cache and shared memory are; undefined: it was not asked, or cannot be told. */
  readonly files?: FilesAnswer | undefined;
  /** The sockets, as `sockets` tells them; undefined: they could not be counted. */
  readonly census: CensusAnswer | undefined;
  /** Sockets whose queues have frames of the drawer `network-sockets`, the most first; they add up to it. */
  readonly queues: readonly QueueBytes[];
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}
