import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CATEGORIES } from '../records/categories.js';
import {
  LEAK_NOTE_CODES,
  LEAK_REASONS,
  LEAK_VERDICTS,
  LOOKUP_SOURCES,
  PLACES,
  UNPLACED,
} from '../records/leak-codes.js';
import { address, count, siteFrameSchema, unavailableCode } from './common.js';
import { growthSchema } from './growth.js';
import { socketEndsShape } from './sockets.js';

const method = z.enum([
  'page-owner-stacks',
  'page-owner',
  'allocinfo',
  'slab-traces',
  'vmallocinfo',
  'tracefs',
  'bpftrace',
]);

/** `kdump-mem leaks --methods --json`, version 1. */
export const leakMethodsSchema = z.strictObject({
  schema: z.literal('kdump-mem.leak-methods/1'),
  type: z.enum(['page', 'slab', 'vmalloc']),
  /** Default of `--method`; null: no method is available. */
  default: method.nullable(),
  /** Best method first. */
  methods: z.array(
    z.strictObject({
      method,
      /**
       * Null: available. `absent`: this kernel was built without it, or is too old. `off`: it must be enabled
       * at boot. `not-mounted`: debugfs or tracefs is not mounted. `denied`: root only. `threshold`: it omits
       * small amounts. `not-installed`: a required program is not installed. `not-readable`: see `why`.
       */
      refusal: z
        .enum(['absent', 'off', 'not-mounted', 'denied', 'threshold', 'not-installed', 'not-readable'])
        .nullable(),
      /** Message of the host; untrusted. */
      why: z.string().nullable(),
      reports: z.string(),
      costs: z.string(),
      message: z.string(),
    }),
  ),
});

export type LeakMethodsJson = Immutable<z.input<typeof leakMethodsSchema>>;

/**
 * `kdump-mem leaks --json`, version 1. Sizes are bytes; null: unknown. Names (functions, modules, caches,
 * commands) are as in the kernel.
 */

/**
 * Memory that was allocated during the recording and is still held. Scaled if sampled: the true value is
 * between `lowBytes` and `highBytes` with 95 % confidence.
 */
const held = {
  bytes: count,
  lowBytes: count,
  highBytes: count,
  /** Null: the source does not count blocks, or there are fewer but larger ones than before. */
  blocks: count.nullable(),
};

const socket = z.strictObject({
  sock: address,
  inode: count.nullable(),
  protocol: z.string(),
  local: z.string().nullable(),
  peer: z.string().nullable(),
  ...socketEndsShape,
  holders: z.array(z.strictObject({ pid: count, comm: z.string(), fd: count })),
  blocks: count,
  bytes: count,
});

/** Looked-up blocks of a site; not scaled. */
const survivors = z.strictObject({
  blocks: count,
  bytes: count,
  order: count.nullable(),
  places: z.array(
    z.strictObject({
      place: z.enum(PLACES),
      /** Category of kdump-mem memory. */
      category: z.enum(CATEGORIES).nullable(),
      cache: z.string().nullable(),
      /** Why a place is unknown. */
      why: z.enum(UNPLACED).nullable(),
      blocks: count,
      bytes: count,
    }),
  ),
  sockets: z.array(socket),
  /** Milliseconds since their allocation. */
  ages: z.strictObject({ median: z.number().nonnegative(), oldest: z.number().nonnegative() }).nullable(),
  /**
   * Number of unreferenced or queued blocks that were allocated in the first, second and last third of the
   * recording.
   */
  thirds: z.array(count).length(3).nullable(),
  commands: z.array(z.strictObject({ command: z.string(), blocks: count })),
});

export const leaksSchema = z.strictObject({
  schema: z.literal('kdump-mem.leaks/1'),
  /** Pages of the buddy allocator, slab objects, vmalloc areas. */
  type: z.enum(['page', 'slab', 'vmalloc']),
  method: z.enum([
    'allocinfo',
    'page-owner',
    'page-owner-stacks',
    'slab-traces',
    'vmallocinfo',
    'tracefs',
    'bpftrace',
    'perf-script',
    'trace-text',
    'memleak',
  ]),
  seconds: z.number().nonnegative(),
  windows: count,
  /** One block in `oneIn` is traced: those whose frame number or object address has `residue` in the bits of `mask`. */
  sample: z.strictObject({ oneIn: z.int().positive(), mask: address, residue: address }),
  endedEarly: z.boolean(),
  total: z.strictObject(held),
  /** Ordered by verdict: leaking, growing, unknown, transient. */
  sites: z.array(
    z.strictObject({
      verdict: z.enum(LEAK_VERDICTS),
      reason: z.enum(LEAK_REASONS),
      kind: z.enum(['stack', 'caller', 'line']),
      /** Innermost first. */
      frames: z.array(siteFrameSchema),
      ...held,
      /** Bytes at the beginning; null: unknown, as for traced events. */
      beforeBytes: count.nullable(),
      growth: growthSchema,
      /** Null: no block was looked up. */
      survivors: survivors.nullable(),
    }),
  ),
  /** Number of sites omitted by --limit. */
  omitted: count,
  /** Source of the blocks’ current use. */
  lookedUpBy: z.enum(LOOKUP_SOURCES),
  unavailable: z.array(z.strictObject({ source: z.enum(LOOKUP_SOURCES), code: unavailableCode, why: z.string() })),
  lookedUp: count,
  foundFree: z.strictObject({ blocks: count, bytes: count }),
  /** Null: unknown. */
  losses: z.strictObject({
    /** Events lost because the kernel's buffers were not read in time. */
    overrun: count.nullable(),
    /** Frees without a recorded allocation, mostly older than the recording. */
    unknownFrees: count.nullable(),
    /** Allocations of memory that still counted as held: a free was missed. */
    missedFrees: count.nullable(),
    withoutStack: count.nullable(),
    /** Allocations that were dropped because our own memory is limited. */
    dropped: count.nullable(),
  }),
  /** Page frames allocated during the recording, according to /proc/vmstat (pgalloc_*) and to events, scaled. */
  unseen: z.strictObject({ allocated: count, traced: count, low: count, high: count }).nullable(),
  /** Page frames freed without an event; null: unknown. */
  unseenFrees: count.nullable(),
  /** Cost of tracing, as a share of one CPU. Null: no events were traced. */
  tracing: z
    .strictObject({
      /** Our own time, and kernel time by the cost of an event on this machine; null: unknown. */
      share: z.number().nonnegative().nullable(),
      /** Maximum share; null: the sample was given. */
      budget: z.number().positive().nullable(),
      /** Allocations and frees that were read. */
      events: count,
      /** Estimated, before sampling; null: unknown. */
      offeredPerSecond: z.number().nonnegative().nullable(),
      /** Events that arrived after later ones: frees among them may count as missing. */
      lateEvents: count,
      /** Tracefs instances left by a killed run. */
      orphansRemoved: z.array(z.string()),
      /** Ours, which could not be removed because another program has them open. */
      leftBehind: z.array(z.string()),
      /** Trace settings that another program changed, which stopped the recording. */
      settingsChanged: z.array(z.string()),
      /** Difference between the kernel's count of read events and our count. */
      unmatchedEvents: count.nullable(),
    })
    .nullable(),
  complete: z.boolean(),
  warnings: z.array(
    z.strictObject({
      code: z.enum(LEAK_NOTE_CODES),
      count: count.nullable(),
      bytes: count.nullable(),
      message: z.string(),
    }),
  ),
});

export type LeaksAnswer = Immutable<z.output<typeof leaksSchema>>;
/** What a site holds at the end, with its verdict. Names are untrusted, in all of these. */
export type LeakSite = LeaksAnswer['sites'][number];
export type LeakSurvivors = NonNullable<LeakSite['survivors']>;
export type LeakPlace = LeakSurvivors['places'][number];
