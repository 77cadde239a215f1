import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { count } from './common.js';

/** Why a report of the log cannot be trusted: lines are missing, or unrelated lines are mixed in. */
export const CORRUPTIONS = [
  'no-function',
  'no-first-lines',
  'interleaved',
  'lines-missing',
  'cut',
  'no-frames',
  'no-trace',
] as const;
export type Corruption = (typeof CORRUPTIONS)[number];

/** Kernel reports of faults, for answers and for `triage/log`. Text is untrusted. */

/** The lines of a stack trace as the kernel printed them. */
const printedFrames = z.array(
  z.strictObject({
    symbol: z.string(),
    /** Bytes into the function; null: inlined. */
    offset: count.nullable(),
    module: z.string().nullable(),
    /** As scripts/decode_stacktrace.sh prints it: `mm/slub.c:1234`. */
    source: z.string().nullable(),
    inline: z.boolean(),
    /** The unwinder was not sure: `? f+0x1/0x2`. */
    guess: z.boolean(),
  }),
);

/** Kernel report of one fault; null: not printed. */
export const crashReportSchema = z.strictObject({
  /** The function to blame; null: none could be named. */
  function: z.string().nullable(),
  /** Why the report cannot be trusted; null: it can. */
  corrupted: z.enum(CORRUPTIONS).nullable(),
  cpu: count.nullable(),
  pid: count.nullable(),
  /** Printed since 6.12. */
  uid: count.nullable(),
  comm: z.string().nullable(),
  taint: z.string().nullable(),
  release: z.string().nullable(),
  hardware: z.string().nullable(),
  /** Hexadecimal, as printed. */
  address: z.string().nullable(),
  access: z.enum(['read', 'write']).nullable(),
  accessBytes: count.nullable(),
  modules: z.array(z.string()),
  /** Of these, what is no part of the kernel: flag O (Documentation/admin-guide/tainted-kernels.rst). */
  outOfTree: z.array(z.string()),
  stack: printedFrames,
  allocatedBy: printedFrames,
  freedBy: printedFrames,
});

const bytes = count.nullable();
/** RSS counts shared pages with each process. */
const taskMemory = { rssBytes: count, swapBytes: bytes, pageTableBytes: bytes };

/** Kernel report of a memory shortage; null: not printed, or truncated. Names are untrusted. */
export const oomReportSchema = z.strictObject({
  /** In the order in which they were killed. */
  victims: z.array(
    z.strictObject({
      pid: count,
      comm: z.string(),
      uid: count.nullable(),
      totalVmBytes: bytes,
      anonBytes: bytes,
      fileBytes: bytes,
      shmemBytes: bytes,
      pageTableBytes: bytes,
      oomScoreAdj: z.int().nullable(),
      /** Result of the OOM reaper: `reaped` or `failed`; null: not printed. */
      reaper: z.string().nullable(),
    }),
  ),
  /** The stack of the process that invoked the OOM killer. */
  stack: printedFrames,
  /** Counters of the whole machine by the kernel's names, in pages. */
  pages: z.record(z.string(), count),
  zones: z.array(
    z.strictObject({
      node: count,
      zone: z.string(),
      freeBytes: count,
      minBytes: count,
      lowBytes: bytes,
      highBytes: bytes,
      presentBytes: bytes,
      managedBytes: bytes,
      /** Part of the free memory, which only movable memory may use. */
      cmaFreeBytes: bytes,
      /** Pages that an allocation for a higher zone has to leave, by index of that zone (`lowmem_reserve`). */
      reserves: z.array(count),
      /** Letters of migrate types as printed (`UME`); '' where none are. */
      freeBlocks: z.array(z.strictObject({ order: count, count, types: z.string() })).nullable(),
    }),
  ),
  /** The largest by RSS, page tables and swap. */
  tasks: z.array(
    z.strictObject({
      pid: count,
      /** Differs from `pid` where the first thread of the process has exited. */
      tgid: bytes,
      name: z.string(),
      uid: count.nullable(),
      ...taskMemory,
      totalVmBytes: bytes,
      oomScoreAdj: z.int().nullable(),
    }),
  ),
  byName: z.array(z.strictObject({ name: z.string(), tasks: count, ...taskMemory })),
  /** By the names of memory.stat: bytes, or events. */
  memcgs: z.array(z.strictObject({ path: z.string(), counters: z.record(z.string(), count) })),
  /** Unreclaimable slab caches. */
  slabs: z.array(z.strictObject({ cache: z.string(), usedBytes: count, totalBytes: count })),
  /** Memory allocation profiling; the kernel rounds to three digits. */
  sites: z.array(z.strictObject({ site: z.string(), calls: count, aboutBytes: count })),
});

export type CrashReport = Immutable<z.infer<typeof crashReportSchema>>;
export type PrintedFrame = CrashReport['stack'][number];
export type OomReport = Immutable<z.infer<typeof oomReportSchema>>;
export type OomVictim = OomReport['victims'][number];
export type ZoneShown = OomReport['zones'][number];
export type FreeBlocks = NonNullable<ZoneShown['freeBlocks']>[number];
export type ListedTask = OomReport['tasks'][number];
export type TaskGroup = OomReport['byName'][number];
export type TaskMemory = Pick<TaskGroup, 'rssBytes' | 'swapBytes' | 'pageTableBytes'>;
export type MemcgCounters = OomReport['memcgs'][number];
export type SlabShown = OomReport['slabs'][number];
export type SiteShown = OomReport['sites'][number];
