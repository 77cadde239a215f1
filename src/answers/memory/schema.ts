import { z } from 'zod';
import { capturedSchema } from '../captured-schema.js';
import { originSchema } from '../origin-schema.js';
import { kernelSchema, warningSchema } from '../schema.js';
import { unavailableCode } from '../unavailable-code.js';

const count = z.int().nonnegative();

const owner = z.strictObject({
  kind: z.enum(['process', 'cache', 'caller', 'table', 'row', 'file', 'device']),
  name: z.string(),
  /** Of a process. */
  pid: count.optional(),
  bytes: count,
});

/** Page cache and shared memory by file; all parts sum to the bytes of both categories. */
const files = z.strictObject({
  /** The largest first. */
  files: z.array(
    z.strictObject({
      bytes: count,
      /** Of these, what is in the category `page-cache`, and in `shared`. */
      pageCacheBytes: count,
      sharedBytes: count,
      /** Of these, dirty pages and pages under writeback. */
      dirtyBytes: count,
      writebackBytes: count,
      /** Null: a block device, or the kernel dropped the dentry. */
      path: z.string().nullable(),
      /** Mount namespace of the path; `none`: the path begins at the root of its file system. */
      mounts: z.enum(['init', 'other', 'none']).nullable(),
      /** Such as `sda1`; null: a file. */
      blockDevice: z.string().nullable(),
      deleted: z.boolean(),
      /** Mapped by a process. */
      mapped: z.boolean(),
      fsType: z.string(),
      /** `major:minor` of what its file system lies on. */
      device: z.string(),
      /** The inode's number, in decimal: it may need 64 bits. */
      inode: z.string(),
      sizeBytes: count,
    }),
  ),
  /** Frames of unknown files, by reason. */
  unnamed: z.array(
    z.strictObject({
      reason: z.enum(['unreadable', 'damaged', 'not-listed', 'moved']),
      files: count,
      /** Of `moved` below 0 where files above have frames that others took meanwhile. */
      bytes: z.int(),
      /** Cause of the first. */
      why: z.string().nullable(),
    }),
  ),
});

const charged = {
  bytes: count,
  /** By category, the largest first. */
  categories: z.array(z.strictObject({ category: z.string(), bytes: count })),
};

/** Page frames by the memory cgroup that they are charged to; all parts sum to the total. */
const cgroups = z.strictObject({
  /** Memory cgroups that have pages or objects, or are dying; the largest first. */
  cgroups: z.array(
    z.strictObject({
      /** From the root of its hierarchy. */
      path: z.string(),
      /** Removed, but still charged. */
      dying: z.boolean(),
      ...charged,
      /** Objects in slabs that are charged to it, and the bytes of their slots. */
      slabObjects: count,
      slabObjectBytes: count,
      /** The kernel's counter, with child cgroups and per-CPU stock; null: the root cgroup. */
      usageBytes: count.nullable(),
    }),
  ),
  /** Charged to no cgroup. */
  uncharged: z.strictObject(charged),
  /** Slabs, whose objects are charged separately. */
  slabs: z.strictObject(charged),
  /** Frames of unknown charge, by reason. */
  unnamed: z.array(
    z.strictObject({
      reason: z.enum(['unread', 'unreadable', 'damaged', 'not-listed']),
      ...charged,
      /** Cause of the first. */
      why: z.string().nullable(),
    }),
  ),
  /** Cgroups that have neither pages nor objects. */
  empty: count,
});

/** A place that page frames are in, or a group of such; children sum to it, to the byte. */
export const categorySchema = z.strictObject({
  category: z.string(),
  bytes: count,
  frames: count,
  known: z.enum(['walked', 'flags', 'counter']),
  /** The kernel's own counter; null: there is none. */
  counterBytes: z.int().nullable(),
  /** `bytes` less `counterBytes`; null as that. */
  differenceBytes: z.int().nullable(),
  /** The largest known owners. */
  owners: z.array(owner),
  get children() {
    return z.array(categorySchema);
  },
  /** The command that lists details; null: there is none. */
  next: z.string().nullable(),
  complete: z.boolean(),
  /** Why it is incomplete, or not walked on this kernel; else null. */
  why: z.string().nullable(),
  /** Frames that belong to what this category is of, and that are in other categories. */
  elsewhere: z.array(z.strictObject({ category: z.string(), frames: count, bytes: count })),
});

/** `kdump-mem memory --json`. */
export const memorySchema = z.strictObject({
  schema: z.literal('kdump-mem.memory/1'),
  /** Null where only counters were read: then `host` tells of it. */
  kernel: kernelSchema.nullable(),
  host: z.strictObject({ release: z.string(), pageSize: count }).nullable(),
  origin: originSchema,
  /** `--from`: host and time of the capture; null: not a capture. */
  captured: capturedSchema,
  /**
   * Source of the answer: page frames of a dump, or of the running kernel through its memory or its page
   * flags in /proc, or counters in /proc only.
   */
  source: z.enum(['vmcore', 'kcore', 'pageflags', 'counters']),
  /** Of a running kernel: more detailed sources, and why they are not available. */
  unavailable: z.array(
    z.strictObject({ source: z.string(), code: unavailableCode, why: z.string() }),
  ),
  memory: categorySchema,
  /** Description of unattributed memory; null: not available. */
  unattributed: z
    .strictObject({
      sizes: z.array(z.strictObject({ order: count, blocks: count, frames: count })),
      zones: z.array(z.strictObject({ zone: z.string(), frames: count })),
      chargedBytes: count,
      /** Large kmallocs that the kernel counts and whose pages do not say it; null: they do. */
      largeKmallocBytes: z.int().nullable(),
    })
    .nullable(),
  /** Of `pageflags`: what no flag tells of, some of which counters put into categories; else null. */
  unflagged: z
    .strictObject({
      bytes: count,
      sizes: z.array(z.strictObject({ order: count, blocks: count, frames: count })),
      zones: z.array(z.strictObject({ zone: z.string(), frames: count })),
      /** Null: nothing tells. */
      chargedBytes: count.nullable(),
      /** Mapped into some address space. */
      mappedBytes: count,
      /** Counters of what is in part among these; nobody can tell which part. */
      counters: z.array(z.strictObject({ name: z.string(), bytes: z.int() })),
    })
    .nullable(),
  /** Of `pageflags`: what flags say besides, of frames that are in these categories. */
  notes: z.array(
    z.strictObject({
      /** In a transparent huge page or large folio, mlocked, damaged memory, a page of zeros. */
      note: z.enum(['thp', 'mlocked', 'hwpoison', 'zero-page']),
      category: z.string(),
      bytes: count,
    }),
  ),
  /** Free memory by page flags or zones, and by MemFree, that contradict each other; null: they do not. */
  freeConflict: z
    .strictObject({
      foundBy: z.enum(['pageflags', 'counters']),
      foundBytes: count,
      countedBytes: z.int(),
    })
    .nullable(),
  /** By how much counters changed while a running kernel was read, added up; 0 of a dump. */
  driftBytes: count,
  caches: z.array(
    z.strictObject({
      name: z.string(),
      /** Null: nothing tells. */
      reclaimable: z.boolean().nullable(),
      bytes: count,
      slabs: count,
      slots: count,
      used: count,
      objectSize: count.nullable(),
      slotSize: count.nullable(),
    }),
  ),
  callers: z.array(z.strictObject({ caller: z.string(), bytes: count, category: z.string() })),
  /** Zones of each NUMA node; pages are base pages. */
  zones: z.array(
    z.strictObject({
      node: count,
      zone: z.string(),
      presentPages: count,
      managedPages: count,
      /** Free blocks by order, as the free lists count them. */
      freeBlocks: z.array(count),
      /** Free pages below which allocations wait or fail, kswapd wakes and sleeps; null: not known. */
      watermarks: z.strictObject({ min: count, low: count, high: count }).nullable(),
    }),
  ),
  /** Null: not asked for (`--files`, `--all`), or it cannot be told. */
  files: files.nullable(),
  /** `--as`: how figures that people know come from categories; null: not asked for. */
  figures: z
    .strictObject({
      format: z.enum(['free', 'meminfo']),
      lines: z.array(
        z.strictObject({
          name: z.string(),
          /** The categories in its sum; empty: none applies. */
          rows: z.array(z.string()),
          /** The line is what the categories have, or at most (at least) that. */
          bound: z.enum(['same', 'at-most', 'at-least']),
          /** Computed from the categories; null: unknown. */
          bytes: z.int().nullable(),
          /** By the kernel's own counters; null: unknown. */
          kernelBytes: z.int().nullable(),
        }),
      ),
      /** Categories that only the line of total memory counts. */
      onlyInTotal: z.array(z.strictObject({ category: z.string(), bytes: count })),
    })
    .nullable(),
  /** `--watch`: sample number, and changes since the first and the last sample; null: a single answer. */
  sample: z
    .strictObject({
      number: count,
      at: z.iso.datetime(),
      changes: z.array(
        z.strictObject({
          category: z.string(),
          /** Null: this is the first sample. */
          sinceFirstBytes: z.int().nullable(),
          sinceLastBytes: z.int().nullable(),
        }),
      ),
    })
    .nullable(),
  /** Why caches, callers or zones are not there; empty: they are. */
  noDetails: z.strictObject({
    caches: z.string().optional(),
    callers: z.string().optional(),
    zones: z.string().optional(),
  }),
  /** The same for programs. */
  noDetailCodes: z.strictObject({
    caches: unavailableCode.optional(),
    callers: unavailableCode.optional(),
    zones: unavailableCode.optional(),
  }),
  /** Null: not asked for (`--cgroups`, `--all`), or it cannot be told. */
  cgroups: cgroups.nullable(),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

/** The last line of `kdump-mem memory --watch --json`: a stream without it was cut off. */
export const memoryEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.memory-end/1'),
  samples: count,
  /** By a signal or a key; otherwise `--count` was reached. */
  interrupted: z.boolean(),
});

export type MemoryEndJson = z.infer<typeof memoryEndSchema>;
export type CategoryJson = z.infer<typeof categorySchema>;
export type CgroupsJson = z.infer<typeof cgroups>;
export type FilesJson = z.infer<typeof files>;
export type MemoryJson = z.infer<typeof memorySchema>;
