import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { LEFT_OUT_REASONS } from '../records/files.js';
import { NAMED_KINDS } from '../records/named-memory.js';
import {
  capturedSchema,
  count,
  kernelSchema,
  originSchema,
  siteFrameSchema,
  unavailableCode,
  warningSchema,
} from './common.js';

const owner = z.strictObject({
  kind: z.enum(['process', 'cache', 'caller', 'table', 'row', 'file', 'segment', 'mapping', 'tmpfs', 'device']),
  name: z.string(),
  /**
   * Pid of a process. For files and mappings, a process that has them open or maps them; for a System V segment, its
   * creator; for a tmpfs, a process of its mount namespace, absent for ours.
   */
  pid: count.optional(),
  /** Number of files in memory of this owner, named by the largest; absent: one. */
  files: count.optional(),
  /** Number of processes of one name that have these files, and that name; absent: one process, or none. */
  processes: count.optional(),
  comm: z.string().optional(),
  /** Of anonymous memory by /proc an upper bound: RssAnon, which counts pages that a fork shares for each process. */
  bytes: count,
});

/** Page cache and shared memory by file; all parts sum to the bytes of both categories. */
const files = z.strictObject({
  /** Largest first. */
  files: z.array(
    z.strictObject({
      bytes: count,
      /** Part of the bytes in the category `page-cache`; `sharedBytes`: in `shared`. */
      pageCacheBytes: count,
      sharedBytes: count,
      /** Dirty pages among these, and pages under writeback. */
      dirtyBytes: count,
      writebackBytes: count,
      /** Null: a block device, or the kernel has freed the dentry. */
      path: z.string().nullable(),
      /** Mount namespace of the path; `none`: the path starts at the root of its file system. */
      mounts: z.enum(['init', 'other', 'none']).nullable(),
      /** Name such as `sda1`; null: a file. */
      blockDevice: z.string().nullable(),
      deleted: z.boolean(),
      /** Whether a process maps it. */
      mapped: z.boolean(),
      fsType: z.string(),
      /** `major:minor` of its file system's device. */
      device: z.string(),
      /** Inode number in decimal, since it may need 64 bits. */
      inode: z.string(),
      sizeBytes: count,
      /** Part of `pageCacheBytes` on the active list; null: unknown, as with the multi-gen LRU. */
      activeBytes: count.nullable(),
      /** Cgroups that its pages are charged to, largest first; null: a kernel without memory cgroups. */
      cgroups: z
        .array(
          z.strictObject({
            /** Path from the root of its hierarchy; null: uncharged, or unknown. */
            path: z.string().nullable(),
            /** False: what the pages are charged to could not be read. */
            known: z.boolean(),
            /** Whether the cgroup was removed, and these pages keep it. */
            dying: z.boolean(),
            bytes: count,
            activeBytes: count.nullable(),
          }),
        )
        .nullable(),
    }),
  ),
  /** Frames whose file is unknown, by reason. */
  unnamed: z.array(
    z.strictObject({
      reason: z.enum(['unreadable', 'damaged', 'not-listed', 'moved']),
      files: count,
      /** Negative for `moved` if frames of the files above were reused during the scan. */
      bytes: z.int(),
      /** Reason for the first of them. */
      why: z.string().nullable(),
    }),
  ),
});

const charged = {
  bytes: count,
  /** By category, largest first. */
  categories: z.array(z.strictObject({ category: z.string(), bytes: count })),
};

/** Page frames by the memory cgroup that they are charged to; all parts sum to the total. */
const cgroups = z.strictObject({
  /** Memory cgroups that have pages or objects, or are dying; largest first. */
  cgroups: z.array(
    z.strictObject({
      /** Path from the root of its hierarchy. */
      path: z.string(),
      /** Whether it was removed but is still charged. */
      dying: z.boolean(),
      ...charged,
      /** Slab objects charged to it, and the bytes of their slots. */
      slabObjects: count,
      slabObjectBytes: count,
      /** The kernel's counter, including child cgroups and per-CPU stock; null: the root cgroup. */
      usageBytes: count.nullable(),
    }),
  ),
  /** Frames charged to no cgroup. */
  uncharged: z.strictObject(charged),
  /** Slabs; their objects are charged separately. */
  slabs: z.strictObject(charged),
  /** Frames whose charge is unknown, by reason. */
  unnamed: z.array(
    z.strictObject({
      reason: z.enum(['unread', 'unreadable', 'damaged', 'not-listed']),
      ...charged,
      /** Reason for the first of them. */
      why: z.string().nullable(),
    }),
  ),
  /** Number of cgroups that have neither pages nor objects. */
  empty: count,
});

const held = {
  bytes: count,
  /** Allocations, or vmalloc areas. */
  allocations: count,
  /** By category, largest first; empty: unknown. */
  categories: z.array(z.strictObject({ category: z.string(), bytes: count })),
};

/** One source of allocation sites. Sources overlap: a page of a slab contains objects with sites of their own. */
const siteSource = z.strictObject({
  source: z.enum(['page-owner', 'allocation-tags', 'slab-tracks', 'vmalloc-callers']),
  /** `off`: the kernel could note sites, but does not. `absent`: it was built without this. */
  state: z.enum(['on', 'off', 'absent', 'unreadable']),
  /** Why it has no sites; null: it has. */
  why: z.string().nullable(),
  /** What all of its sites hold. */
  bytes: count,
  allocations: count,
  /**
   * The same with the kernel’s own count of each stack (page_owner, since 6.9), except stacks of early boot, which it
   * does not count; null: it counts none.
   */
  countedBytes: count.nullable(),
  /** Pages of slabs, whose objects have sites of their own; not in `bytes`. */
  slabPageBytes: count,
  /** Largest first, at most 10,000. */
  sites: z.array(
    z.strictObject({
      /** `line`: a line of source. `caller`: a function. */
      kind: z.enum(['stack', 'line', 'caller']),
      /** Innermost first; empty: unknown. */
      frames: z.array(siteFrameSchema),
      /** Slab cache of its objects; null: pages. */
      cache: z.string().nullable(),
      ...held,
    }),
  ),
  omitted: z.strictObject({ sites: count, bytes: count }),
  /** By the innermost module of each site; null: the kernel image. Largest first. */
  modules: z.array(z.strictObject({ module: z.string().nullable(), sites: count, ...held })),
});

/** Large folios of anonymous memory (THP, mTHP), without hugetlb. */
const zeros = {
  folios: count,
  bytes: count,
  /** Base pages that contain only zeros: without huge pages the process might not have them. */
  zeroBytes: count,
  /** Base pages whose content was not readable: they may be zero, too. */
  unreadBytes: count,
};

const hugePages = z.strictObject({
  ...zeros,
  /** By zero bytes, the largest first. */
  owners: z.array(
    z.strictObject({
      /** Null: `(several processes)`, or unknown. */
      pid: z.int().nullable(),
      /** Null: no page table that was read refers to these huge pages. */
      comm: z.string().nullable(),
      ...zeros,
    }),
  ),
});

/** A category of page frames, or a group of categories; children sum to it, to the byte. */
export const categorySchema = z.strictObject({
  category: z.string(),
  bytes: count,
  frames: count,
  known: z.enum(['walked', 'flags', 'counter']),
  /** The kernel's own counter; null: there is none. */
  counterBytes: z.int().nullable(),
  /** `bytes` minus `counterBytes`; null if there is no counter. */
  differenceBytes: z.int().nullable(),
  /** What page flags alone show, where they cannot tell some pages and `bytes` follows the counter. */
  flagBytes: count.optional(),
  /** The largest known owners. */
  owners: z.array(owner),
  get children() {
    return z.array(categorySchema);
  },
  /** The command that lists details; null: there is none. */
  next: z.string().nullable(),
  complete: z.boolean(),
  /** Why it is incomplete, or not supported for this kernel; otherwise null. */
  why: z.string().nullable(),
  /**
   * Bounds, if it is known by counters, which may overlap, be read at different times, or be missing. Memory that this
   * kernel does not count is part of `unattributed`. Null: a group, or the source reads page frames.
   */
  range: z.strictObject({ leastBytes: count, mostBytes: count }).nullable(),
  /** Frames that belong to the subject of this category but are counted in other categories. */
  elsewhere: z.array(z.strictObject({ category: z.string(), frames: count, bytes: count })),
});

/** `kdump-mem memory --json`. */
export const memorySchema = z.strictObject({
  schema: z.literal('kdump-mem.memory/1'),
  /** Null if the source is page flags or counters: then `host` is set. */
  kernel: kernelSchema.nullable(),
  /** `pageSizeKnown` is false if a capture does not show it: `frames` are then units of 4096 bytes. */
  host: z.strictObject({ release: z.string(), pageSize: count, pageSizeKnown: z.boolean() }).nullable(),
  origin: originSchema,
  /** Host and time of the capture read with `--from`; null: not a capture. */
  captured: capturedSchema,
  /**
   * Source of the answer: page frames of a dump (`vmcore`), page frames of the running kernel through its
   * memory (`kcore`) or page flags in /proc (`pageflags`), or only counters in /proc (`counters`).
   */
  source: z.enum(['vmcore', 'kcore', 'pageflags', 'counters']),
  /** Sources of a running kernel with more detail, and why they are not available. */
  unavailable: z.array(z.strictObject({ source: z.string(), code: unavailableCode, why: z.string() })),
  memory: categorySchema,
  /** Details of unattributed memory; null: not available. */
  unattributed: z
    .strictObject({
      sizes: z.array(z.strictObject({ order: count, blocks: count, frames: count })),
      zones: z.array(z.strictObject({ zone: z.string(), frames: count })),
      chargedBytes: count,
      /**
       * Large kmallocs that the kernel counts but does not mark in page frames; null: this kernel marks them.
       */
      largeKmallocBytes: z.int().nullable(),
    })
    .nullable(),
  /** For `pageflags`: frames without an identifying flag, which counters partly cover; otherwise null. */
  unflagged: z
    .strictObject({
      bytes: count,
      sizes: z.array(z.strictObject({ order: count, blocks: count, frames: count })),
      zones: z.array(z.strictObject({ zone: z.string(), frames: count })),
      /** Null: unknown. */
      chargedBytes: count.nullable(),
      /** Mapped into an address space. */
      mappedBytes: count,
      /** Counters of memory of which an unknown part is among these frames. */
      counters: z.array(z.strictObject({ name: z.string(), bytes: z.int() })),
    })
    .nullable(),
  /** Further properties of frames in these categories: by page flags, and by the counters Dirty and Writeback. */
  notes: z.array(
    z.strictObject({
      /** Transparent huge page or large folio, mlocked, hardware-poisoned, zero page, dirty, under writeback. */
      note: z.enum(['thp', 'mlocked', 'hwpoison', 'zero-page', 'dirty', 'writeback']),
      category: z.string(),
      bytes: count,
    }),
  ),
  /**
   * Free memory according to page flags or zones, and according to MemFree, if they contradict each other;
   * otherwise null.
   */
  freeConflict: z
    .strictObject({
      foundBy: z.enum(['pageflags', 'counters']),
      foundBytes: count,
      /** MemFree, without unaccepted or uninitialized memory. */
      countedBytes: z.int(),
    })
    .nullable(),
  /** Sum of changes of counters while a running kernel was read; 0 for a dump. */
  driftBytes: count,
  caches: z.array(
    z.strictObject({
      /** Name as in /proc/slabinfo; untrusted. */
      name: z.string(),
      /** Null: unknown. */
      reclaimable: z.boolean().nullable(),
      bytes: count,
      slabs: count,
      /** Slots of its slabs; `used`: allocated ones, including objects on per-CPU lists. */
      slots: count,
      used: count,
      /** Bytes of an object; `slotSize`: of its slot; null: unreadable. */
      objectSize: count.nullable(),
      slotSize: count.nullable(),
    }),
  ),
  callers: z.array(z.strictObject({ caller: z.string(), bytes: count, category: z.string() })),
  /** Zones of each NUMA node, in base pages. */
  zones: z.array(
    z.strictObject({
      node: count,
      zone: z.string(),
      presentPages: count,
      managedPages: count,
      /** Pages in its free blocks; null: not available. */
      freePages: count.nullable(),
      /** Free blocks by order, according to the free lists. */
      freeBlocks: z.array(count),
      /**
       * Watermarks in free pages: below `min` allocations stall or fail, below `low` kswapd wakes, above
       * `high` it sleeps; null: unknown.
       */
      watermarks: z.strictObject({ min: count, low: count, high: count }).nullable(),
    }),
  ),
  /** Null: not requested (`--files`, `--cgroups`, `--all`), or unknown. */
  files: files.nullable(),
  /**
   * Programs whose pipes can hold most of the memory in no counter, largest first; null: little is in no counter, pipes
   * are unknown, or the category `pipes` has them.
   */
  pipes: z
    .array(
      z.strictObject({
        /** The process with most of them. */
        pid: count,
        comm: z.string().nullable(),
        processes: count,
        pipes: count,
        /** Upper bound: 1 MiB for each pipe by default (pipe-max-size). */
        mostBytes: count,
      }),
    )
    .nullable(),
  /**
   * Parts of categories that sources beside /proc/meminfo name: they add nothing to the rows. Null: a dump. An empty
   * list: nothing of it is in use, or it is in `notRead`.
   */
  named: z
    .array(
      z.strictObject({
        kind: z.enum(NAMED_KINDS),
        /** Size of huge pages, driver, device, cgroup, exporter or interface; untrusted. */
        name: z.string(),
        /** The category that contains it; null: several do, or another entry of its kind counts it. */
        category: z.string().nullable(),
        /** Null: only numbers of objects are known. */
        bytes: count.nullable(),
        /** The file or folder that reports it. */
        source: z.string(),
        /**
         * `huge-pages`: `pages`, `free`, of these `reserved`, and `surplus`, of `pageBytes`. `balloon`: `leastBytes` if its
         * counters differ, `isInMemTotal` 0 or 1. `zram`, `zswap`: `dataBytes` before compression; of zswap `unmarkedBytes` in no counter (zbud, z3fold). `zfs-arc`: what ZFS can
         * free (`reclaimableBytes`), and `pagesBytes`, its part in no counter of the kernel. `dying-cgroups`: `dying` of
         * the machine, `dyingInside` of them below the named cgroup. `gpu`: bounds of buffers in memory of the machine
         * (`leastBytes`, `mostBytes`), the part of the lower one that other devices, or dma-bufs, may have too
         * (`sharedBytes`), buffers in memory of the device (`deviceBytes`), `clients`, and those without sizes
         * (`silentClients`). `dma-buf`: `buffers`, those that no process has open (`unopenedBytes`), and bounds.
         * `page-pools`: `pools`, `pages`; of these `detachedPools`, `detachedPages`, `detachedBytes`, and the time since the
         * first was detached (`detachedSeconds`); pools of other memory (`foreignBytes`) are not in `bytes`. `nic-rings`:
         * bounds of an estimate from `descriptors`, at most `queues` and `mtu`. `bpf-maps`: `maps` that processes have open,
         * and the part of those that allocate on use (`lazyBytes`), an upper bound before 6.4.
         * `trace-rings`: of BPF as `bpf-maps`; of perf the number of `mappings`, and `mappedBytes`, an upper bound of `bytes` for these mappings;
         * `pinnedBytes` of it is in VmPin.
         * `pinned`: bounds of registered buffers, `rings` of io_uring that have some, and those that were busy (`busyRings`), or
         * `regions` of RDMA; `processes` have what they registered.
         * Null: unknown.
         */
        figures: z.record(z.string(), z.number().nullable()),
        /** Huge pages by NUMA node; null: another kind, or not read. */
        nodes: z.array(z.strictObject({ node: count, pages: count, free: count, surplus: count })).nullable(),
        /** Processes that map most huge pages, or have most buffers open, each counting for all of them; null: unknown, or another kind. */
        processes: z.array(z.strictObject({ pid: count, comm: z.string().nullable(), bytes: count })).nullable(),
      }),
    )
    .nullable(),
  /** Sources of `named` that the host uses and that were not read, or contradict another one. */
  notRead: z.array(z.strictObject({ kind: z.enum(NAMED_KINDS), code: unavailableCode, why: z.string() })),
  /**
   * Estimated memory of socket queues (`ss`), which is part of other categories, mainly unattributed memory and
   * slab; null: not requested, or the category `network-sockets` has it.
   */
  socketEstimate: z
    .strictObject({
      /** Sockets with data in a queue, or a packet ring. */
      sockets: count,
      leastBytes: count,
      /** Null: some sockets are unreadable. */
      likelyBytes: count.nullable(),
      /** Null: unknown. */
      mostBytes: count.nullable(),
      /** Why sockets are missing; empty: none is. */
      unread: z.array(z.strictObject({ code: z.literal('unreadable'), why: z.string() })),
    })
    .nullable(),
  /**
   * `--files` of a running kernel without /proc/kcore: files that processes have open or mapped, with their
   * resident pages; null: not requested, or `files` has all.
   */
  cachedFiles: z
    .strictObject({
      source: z.literal('fincore'),
      bytes: count,
      /** Page cache and shared memory of other files; null: unknown, since overlays may share files. */
      elsewhereBytes: z.int().nullable(),
      /** Largest first; without files that have no resident pages. */
      files: z.array(
        z.strictObject({
          /** As the process sees it. */
          path: z.string(),
          /** A process that has it open or mapped. */
          pid: count,
          deleted: z.boolean(),
          mapped: z.boolean(),
          fsType: z.string(),
          /** Inode number in decimal. */
          inode: z.string(),
          bytes: count,
          sizeBytes: count,
        }),
      ),
      /** Processes and files that were not read, by reason. */
      leftOut: z.array(z.strictObject({ reason: z.enum(LEFT_OUT_REASONS), count })),
    })
    .nullable(),
  /** `--as`: standard figures computed from categories; null: not requested. */
  figures: z
    .strictObject({
      format: z.enum(['free', 'meminfo']),
      lines: z.array(
        z.strictObject({
          /** Name as printed by that program. */
          name: z.string(),
          /** Categories that are summed; empty: none applies. */
          rows: z.array(z.string()),
          /** Whether the line equals the sum of the categories, or is at most or at least that. */
          bound: z.enum(['same', 'at-most', 'at-least']),
          /** Computed from the categories; null: unknown. */
          bytes: z.int().nullable(),
          /** Value of the kernel's own counters; null: unknown. */
          kernelBytes: z.int().nullable(),
        }),
      ),
      /** Categories that are counted only in the line of total memory. */
      onlyInTotal: z.array(z.strictObject({ category: z.string(), bytes: count })),
    })
    .nullable(),
  /** `--watch`: number of the sample, and changes since the first and the last one; null: a single answer. */
  sample: z
    .strictObject({
      number: count,
      at: z.iso.datetime(),
      changes: z.array(
        z.strictObject({
          category: z.string(),
          /** Null: the first sample. */
          sinceFirstBytes: z.int().nullable(),
          sinceLastBytes: z.int().nullable(),
        }),
      ),
    })
    .nullable(),
  /** Why caches, callers or zones are not available; empty if they are. */
  noDetails: z.strictObject({
    caches: z.string().optional(),
    callers: z.string().optional(),
    zones: z.string().optional(),
  }),
  /** Codes of these reasons. */
  noDetailCodes: z.strictObject({
    caches: unavailableCode.optional(),
    callers: unavailableCode.optional(),
    zones: unavailableCode.optional(),
  }),
  /** Null: not requested (`--cgroups`, `--all`), or unknown. */
  cgroups: cgroups.nullable(),
  /** Memory by allocation site (`--by`); null: not requested. */
  sites: z.array(siteSource).nullable(),
  /** Zeros in transparent huge pages (`--huge`); null: not requested, or unknown. */
  hugePages: hugePages.nullable(),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

/** The last line of `kdump-mem memory --watch --json`; a stream without it is truncated. */
export const memoryEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.memory-end/1'),
  samples: count,
  /** Whether a signal or a key stopped it; otherwise `--count` was reached. */
  interrupted: z.boolean(),
});

export type MemoryEndJson = Immutable<z.input<typeof memoryEndSchema>>;
export type CategoryJson = Immutable<z.input<typeof categorySchema>>;
export type CgroupsJson = Immutable<z.input<typeof cgroups>>;
export type HugePages = Immutable<z.input<typeof hugePages>>;
export type FilesJson = Immutable<z.input<typeof files>>;
export type SlabCacheJson = MemoryJson['caches'][number];
export type MemoryJson = Immutable<z.input<typeof memorySchema>>;
