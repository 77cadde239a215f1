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

/** Whose the page cache and shared memory are; all parts sum to the bytes of both categories. */
const files = z.strictObject({
  /** Those with the most first. */
  files: z.array(
    z.strictObject({
      bytes: count,
      /** Of these, what is in the category `page-cache`, and in `shared`. */
      pageCacheBytes: count,
      sharedBytes: count,
      /** Of these, what is not on the disk yet, and what is being written. */
      dirtyBytes: count,
      writebackBytes: count,
      /** Null: a block device, or the kernel has forgotten the name, which is on the disk. */
      path: z.string().nullable(),
      /** By whose mounts the path goes; `none`: it begins at the root of its file system. */
      mounts: z.enum(['init', 'other', 'none']).nullable(),
      /** Such as `sda1`; null: a file. */
      blockDevice: z.string().nullable(),
      deleted: z.boolean(),
      /** Some process has it mapped. */
      mapped: z.boolean(),
      fsType: z.string(),
      /** `major:minor` of what its file system lies on. */
      device: z.string(),
      /** The inode's number, in decimal: it may need 64 bits. */
      inode: z.string(),
      sizeBytes: count,
    }),
  ),
  /** Frames of which it is not known whose file they are, by the reason. */
  unnamed: z.array(
    z.strictObject({
      reason: z.enum(['unreadable', 'damaged', 'not-listed', 'moved']),
      files: count,
      /** Of `moved` below 0 where files above have frames that others took meanwhile. */
      bytes: z.int(),
      /** What is said of the first. */
      why: z.string().nullable(),
    }),
  ),
});

const charged = {
  bytes: count,
  /** By category, the most first. */
  categories: z.array(z.strictObject({ category: z.string(), bytes: count })),
};

/** Whom page frames are charged to; all parts sum to all of the memory. */
const cgroups = z.strictObject({
  /** Memory cgroups that have pages or objects, or are dying; those with the most first. */
  cgroups: z.array(
    z.strictObject({
      /** From the root of its hierarchy. */
      path: z.string(),
      /** Its folder was removed; what it has keeps it. */
      dying: z.boolean(),
      ...charged,
      /** Objects in slabs that are charged to it, and the bytes of their slots. */
      slabObjects: count,
      slabObjectBytes: count,
      /** What the kernel counts, with cgroups below and what CPUs keep in stock; null: of the root. */
      usageBytes: count.nullable(),
    }),
  ),
  /** Charged to no cgroup. */
  nobody: z.strictObject(charged),
  /** Slabs: their objects are charged one by one. */
  slabs: z.strictObject(charged),
  /** Frames of which it is not known who is charged, by the reason. */
  unnamed: z.array(
    z.strictObject({
      reason: z.enum(['unread', 'unreadable', 'damaged', 'not-listed']),
      ...charged,
      /** What is said of the first. */
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
  /** What the kernel's own counter says; null: it has none. */
  counterBytes: z.int().nullable(),
  /** `bytes` less `counterBytes`; null as that. */
  differenceBytes: z.int().nullable(),
  /** The largest of those that are known. */
  owners: z.array(owner),
  get children() {
    return z.array(categorySchema);
  },
  /** The command that tells more; null: there is none. */
  deeper: z.string().nullable(),
  complete: z.boolean(),
  /** Why it is not whole: what is not complete says so, and so does what is not walked on such a kernel. */
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
  /** `--from`: whose capture it is, and of when; null: it is no capture. */
  captured: capturedSchema,
  /**
   * How deep the answer looks: page frames of a dump, of the running kernel through its memory, the same
   * by their flags in /proc, or counters of /proc alone.
   */
  source: z.enum(['vmcore', 'kcore', 'pageflags', 'counters']),
  /** Of a running kernel: sources that tell more, and why they could not be had. */
  unavailable: z.array(
    z.strictObject({ source: z.string(), code: unavailableCode, why: z.string() }),
  ),
  memory: categorySchema,
  /** What nothing explains, described; null: it could not be. */
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
  familiar: z
    .strictObject({
      of: z.enum(['free', 'meminfo']),
      lines: z.array(
        z.strictObject({
          name: z.string(),
          /** The categories that make it up; empty: no category tells it. */
          rows: z.array(z.string()),
          /** The line is what the categories have, or at most (at least) that. */
          bound: z.enum(['same', 'at-most', 'at-least']),
          /** By the categories; null: they do not tell. */
          bytes: z.int().nullable(),
          /** By the kernel's own counters; null: not known. */
          kernelBytes: z.int().nullable(),
        }),
      ),
      /** Categories that no line but that of all memory counts. */
      nowhere: z.array(z.strictObject({ category: z.string(), bytes: count })),
    })
    .nullable(),
  /** `--watch`: which look it is, and what changed since the first and the last; null: there is one. */
  look: z
    .strictObject({
      number: count,
      at: z.iso.datetime(),
      changes: z.array(
        z.strictObject({
          category: z.string(),
          /** Null: it is the first look. */
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
  looks: count,
  /** By a signal, or a key; else it has looked as often as it was asked to. */
  interrupted: z.boolean(),
});

export type MemoryEndJson = z.infer<typeof memoryEndSchema>;
export type CategoryJson = z.infer<typeof categorySchema>;
export type CgroupsJson = z.infer<typeof cgroups>;
export type FilesJson = z.infer<typeof files>;
export type MemoryJson = z.infer<typeof memorySchema>;
