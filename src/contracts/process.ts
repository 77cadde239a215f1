import { z } from 'zod';
import { hex, type Immutable } from '../base/util.js';
import { DESCRIPTOR_KINDS } from '../records/files.js';
import { MAPPING_KINDS, MAPPING_SIZES, type MappingSize } from '../records/mappings.js';
import { capturedSchema, count, kernelSchema, warningSchema } from './common.js';
import { processShape } from './procs.js';

/**
 * `kdump-mem procs --pid N --json`, version 1: the process as in `kdump-mem.procs/1`, and its mappings. Sizes
 * are bytes, null if unknown. Names are copied from the kernel and JSON-escaped.
 */

const bytes = count.nullable();

const sizes = Object.fromEntries(Object.keys(MAPPING_SIZES).map((size) => [size, bytes])) as Record<
  MappingSize,
  typeof bytes
>;

/** As in /proc/PID/smaps: any number of digits. */
const address = z.codec(z.string().regex(/^0x[0-9a-f]+$/), z.bigint(), { decode: BigInt, encode: hex });

const mapping = z.strictObject({
  /** Virtual address range; `end` is exclusive. */
  start: address,
  end: address,
  /** As in /proc/PID/maps: `r-xp`. */
  permissions: z.string(),
  /** Offset in its file, bytes. */
  offset: address,
  kind: z.enum(MAPPING_KINDS),
  /** Name as in /proc/PID/maps: a path, `[heap]`, `[anon:NAME]`; null: no name. */
  path: z.string().nullable(),
  sizeBytes: count,
  ...sizes,
});

const group = z.strictObject({
  kind: z.enum(MAPPING_KINDS),
  path: z.string().nullable(),
  mappings: count,
  sizeBytes: count,
  ...sizes,
});

export const processSchema = z.strictObject({
  schema: z.literal('kdump-mem.process/1'),
  kernel: kernelSchema.nullable(),
  source: z.enum(['vmcore', 'kcore', 'proc']),
  captured: capturedSchema,
  ...processShape,
  /** Ordered by address. */
  mappings: z.array(mapping),
  /** Grouped by file and kind, in decreasing order of memory that no other process holds. */
  groups: z.array(group),
  mapped: group.omit({ kind: true, path: true }),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

/** One process, and its mappings. */
export type ProcessAnswer = Immutable<z.output<typeof processSchema>>;
/** A mapping of a process. */
export type Mapping = ProcessAnswer['mappings'][number];
/** Mappings of one file, or of one kind of memory. */
export type MappingGroup = ProcessAnswer['groups'][number];
export type MappingTotal = ProcessAnswer['mapped'];
/** Bytes of a mapping in memory and in swap; null: unknown. */
export type MappingSizes = Pick<Mapping, MappingSize>;

/** `kdump-mem procs --pid N --fds --json`, version 1: open descriptors by kind. */
export const processFdsSchema = z.strictObject({
  schema: z.literal('kdump-mem.process-fds/1'),
  pid: z.int().positive(),
  comm: z.string().nullable(),
  /** Number of open descriptors; unreadable ones are in no group. */
  count: count,
  /** RLIMIT_NOFILE; null: unlimited or unknown. */
  limit: count.nullable(),
  /** Most descriptors first. */
  groups: z.array(
    z.strictObject({
      kind: z.enum(DESCRIPTOR_KINDS),
      count: count,
      /**
       * Memory of memfds and dma-bufs, of pipes in a dump, of BPF maps with --live, counting each object once; null:
       * unknown.
       */
      bytes,
      /** Number of files that epoll or inotify watches, or of fanotify marks; null: another kind. */
      items: bytes,
      /** Most frequent names; sockets and pipes have no names of their own. */
      names: z.array(z.strictObject({ name: z.string(), count: z.int().positive() })),
    }),
  ),
  /** Descriptors in messages (SCM_RIGHTS) that its unix sockets have not received; null: unknown. */
  passed: bytes,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

/** The open descriptors of a process. */
export type DescriptorsAnswer = Immutable<z.output<typeof processFdsSchema>>;
