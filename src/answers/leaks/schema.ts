import { z } from 'zod';
import { CATEGORIES } from '../../account/memory/categories.js';
import { LEAK_NOTE_CODES } from '../../leaks/notes.js';
import { LOOKUP_SOURCES } from '../../leaks/survivors/lookup.js';
import { PLACES, UNPLACED } from '../../leaks/survivors/place.js';
import { LEAK_REASONS, LEAK_VERDICTS } from '../../leaks/verdict.js';
import { growthSchema } from '../growth/schema.js';
import { socketEndsShape } from '../schema.js';
import { unavailableCode } from '../unavailable-code.js';

/**
 * `kdump-mem leaks --json`, version 1. Sizes are bytes; null: not known. Names (of functions, modules, caches, commands)
 * are as the kernel has them.
 */

const count = z.int().nonnegative();
const address = z.string().regex(/^0x[0-9a-f]{1,16}$/);

/** What was allocated since it began and is held. Scaled where only a sample is followed: then the true bytes are between `lowBytes` and `highBytes` with 95 %. */
const held = {
  bytes: count,
  lowBytes: count,
  highBytes: count,
  /** Null: the source does not count them; or there are fewer than before, which are larger. */
  blocks: count.nullable(),
};

const frame = z.strictObject({
  symbol: z.string().nullable(),
  /** Bytes from the start of the function. */
  offset: count.nullable(),
  module: z.string().nullable(),
  /** File and line; null: the source does not say. */
  line: z.string().nullable(),
  /** The kernel’s own unwinder has it. */
  guess: z.boolean(),
});

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

/** What was looked up of a site; not scaled. */
const survivors = z.strictObject({
  blocks: count,
  bytes: count,
  order: count.nullable(),
  places: z.array(
    z.strictObject({
      place: z.enum(PLACES),
      /** As kdump-mem memory names it. */
      category: z.enum(CATEGORIES as [string, ...string[]]).nullable(),
      cache: z.string().nullable(),
      /** Why a place is unknown. */
      why: z.enum(UNPLACED).nullable(),
      blocks: count,
      bytes: count,
    }),
  ),
  sockets: z.array(socket),
  /** Milliseconds since they were allocated. */
  ages: z
    .strictObject({ median: z.number().nonnegative(), oldest: z.number().nonnegative() })
    .nullable(),
  /** Unreferenced or queued blocks that were allocated in the first, second and last third of the time. */
  thirds: z.array(count).length(3).nullable(),
  commands: z.array(z.strictObject({ command: z.string(), blocks: count })),
});

export const leaksSchema = z.strictObject({
  schema: z.literal('kdump-mem.leaks/1'),
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
  ]),
  seconds: z.number().nonnegative(),
  windows: count,
  /** One in so many is followed: those whose number (page frames) or address (objects) has these bits. */
  sample: z.strictObject({ oneIn: z.int().positive(), mask: address, residue: address }),
  endedEarly: z.boolean(),
  total: z.strictObject(held),
  /** By verdict: leaking, growing, unknown, transient. */
  sites: z.array(
    z.strictObject({
      verdict: z.enum(LEAK_VERDICTS),
      reason: z.enum(LEAK_REASONS),
      kind: z.enum(['stack', 'caller', 'line']),
      /** Innermost first. */
      frames: z.array(frame),
      ...held,
      /** What it held before; null: not known, as where events are followed. */
      beforeBytes: count.nullable(),
      growth: growthSchema,
      /** Null: nothing of it was looked up. */
      survivors: survivors.nullable(),
    }),
  ),
  /** Sites that --limit left out. */
  omitted: count,
  /** The source of the blocks’ current use. */
  lookedUpBy: z.enum(LOOKUP_SOURCES),
  unavailable: z.array(
    z.strictObject({ source: z.enum(LOOKUP_SOURCES), code: unavailableCode, why: z.string() }),
  ),
  lookedUp: count,
  foundFree: z.strictObject({ blocks: count, bytes: count }),
  losses: z.strictObject({
    overrun: count.nullable(),
    unknownFrees: count.nullable(),
    missedFrees: count.nullable(),
    withoutStack: count.nullable(),
    dropped: count.nullable(),
  }),
  /** Page frames that were allocated while it was recorded, by /proc/vmstat and by events. */
  unseen: z.strictObject({ allocated: count, traced: count, low: count, high: count }).nullable(),
  /** Page frames freed without an event; null: unknown. */
  unseenFrees: count.nullable(),
  /** Of events: what it cost. Shares are of one CPU. Null: no events were followed. */
  tracing: z
    .strictObject({
      share: z.number().nonnegative().nullable(),
      budget: z.number().positive().nullable(),
      events: count,
      offeredPerSecond: z.number().nonnegative().nullable(),
      lateEvents: count,
      /** Instances of tracefs that a run that was killed had left. */
      orphansRemoved: z.array(z.string()),
      leftBehind: z.array(z.string()),
      /** Trace settings that another program changed, which ended the recording. */
      settingsChanged: z.array(z.string()),
      /** Events by which the kernel's count of what was read differs from ours. */
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

export type LeaksJson = z.infer<typeof leaksSchema>;
