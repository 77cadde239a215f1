import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { DEVICE_KINDS } from '../records/named-memory.js';
import { count } from './common.js';
import { growthSchema } from './growth.js';
import { socketEndsShape } from './sockets.js';

/**
 * `kdump-mem diff --json`, version 1: changes from the first input to the last. Sizes are bytes; null:
 * unknown, 0: known to be zero. Text is copied from the inputs and JSON-escaped.
 */

const bytes = count.nullable();
const change = z.int().nullable();

const NOTE_CODES = [
  'reordered',
  'same-time',
  'time-unknown',
  'clock-set',
  'different-hosts',
  'different-boots',
  'boot-unknown',
  'different-kernels',
  'different-page-sizes',
  'different-sources',
  'memory-hotplug',
  'different-memory-sizes',
  'missing-in-input',
  'list-incomplete',
  'missed-process',
  'lesser-measure',
  'change-unknown',
  'pid-reused',
  'incomplete',
  'inconsistent',
  'spread',
] as const;

const course = {
  beforeBytes: bytes,
  afterBytes: bytes,
  /** After minus before. */
  changeBytes: change,
  /** Change per minute; null: the times are unknown, or from different boots. */
  perMinuteBytes: z.number().nullable(),
  /** Value at each input, in the order of `inputs`. */
  bytes: z.array(bytes),
  /** Growth in bytes per second over all inputs, with its confidence interval; null: too few inputs. */
  growth: growthSchema,
  course: z.enum(['grows', 'grew', 'steady', 'shrank', 'shrinks']).nullable(),
  /** Whether it grew from each input to the next; null: only two inputs, or unknown. */
  grewEachTime: z.boolean().nullable(),
};

const category = z.strictObject({
  category: z.string(),
  // A recursive schema cannot be built with the spread operator.
  beforeBytes: course.beforeBytes,
  afterBytes: course.afterBytes,
  changeBytes: course.changeBytes,
  perMinuteBytes: course.perMinuteBytes,
  bytes: course.bytes,
  growth: course.growth,
  course: course.course,
  grewEachTime: course.grewEachTime,
  /**
   * Part of the change that the children cannot account for because they are not comparable: this plus the
   * children's changes equals the change, to the byte.
   */
  uncomparedBytes: change,
  get children() {
    return z.array(category);
  },
});

const measured = {
  ...course,
  /** The compared measure; null: the first and last input have none in common. */
  measure: z.enum(['pss', 'rss', 'pinned', 'estimated', 'unread', 'bytes', 'charged', 'usage']).nullable(),
  /**
   * `was-empty`, `is-empty`: it held nothing then, or was absent. `only-after`, `only-before`: the other list
   * is incomplete.
   */
  status: z.enum(['both', 'new', 'gone', 'was-empty', 'is-empty', 'only-after', 'only-before']),
};

const process = z.strictObject({
  pid: count,
  comm: z.string(),
  startTicks: count,
  cgroup: z.string().nullable(),
  ...measured,
});

const socket = z.strictObject({
  inode: count.nullable(),
  netns: count.nullable(),
  family: z.string(),
  protocol: z.string(),
  local: z.string().nullable(),
  peer: z.string().nullable(),
  ...socketEndsShape,
  holder: z.strictObject({ pid: count, comm: z.string().nullable(), fd: count }).nullable(),
  ...measured,
});

const cache = z.strictObject({ name: z.string(), category: z.string().nullable(), ...measured });
const caller = z.strictObject({ name: z.string(), category: z.string(), ...measured });
const cgroup = z.strictObject({ path: z.string(), dying: z.boolean(), ...measured });
const device = z.strictObject({ of: z.enum(DEVICE_KINDS), name: z.string(), ...measured });

/** Null: not all inputs contain such a list. */
function list<Item extends z.ZodType>(item: Item) {
  return z
    .strictObject({
      /** Largest change first. */
      items: z.array(item),
      grewBytes: count,
      /** 0 or less. */
      shrankBytes: z.int(),
      /** Number of items that appeared after the first input and disappeared before the last. */
      between: count,
      /** Whether every input lists all items. */
      complete: z.boolean(),
    })
    .nullable();
}

export const diffSchema = z.strictObject({
  schema: z.literal('kdump-mem.diff/1'),
  /** Ordered by time if known, otherwise as given. */
  inputs: z.array(
    z.strictObject({
      name: z.string(),
      at: z.iso.datetime().nullable(),
      host: z.string().nullable(),
      bootId: z.string().nullable(),
      uptimeSeconds: z.number().nullable(),
      release: z.string().nullable(),
      pageSize: count.nullable(),
      /** Source of the categories; null: the input has none. */
      source: z.string().nullable(),
    }),
  ),
  /** Seconds from the first input to the last; null: unknown, or from different boots. */
  seconds: z.number().nullable(),
  /** Whether all inputs are from one boot of one host; null: unknown. */
  sameBoot: z.boolean().nullable(),
  /** The headline: the most important result. */
  summary: z.string(),
  /** Change of free memory; null: not all inputs contain categories. */
  loss: z
    .strictObject({
      /** Decrease of free memory; negative: free memory rose. */
      lostBytes: z.int(),
      /** Memory that was hot-added; negative: hot-removed. */
      pluggedBytes: z.int(),
      /** lost + plugged = grew + shrank + unattributed + uncompared. Null: categories cannot be compared. */
      grewBytes: count.nullable(),
      shrankBytes: change,
      /** Change of the categories without owners: `unattributed`, `unread`. */
      unattributedBytes: change,
      uncomparedBytes: change,
      /**
       * `nothing`: the growth is less than half of the loss. Null: nothing was lost, the boots differ, or
       * unknown.
       */
      explanation: z.enum(['categories', 'nothing']).nullable(),
    })
    .nullable(),
  categories: category.nullable(),
  processes: list(process),
  sockets: list(socket),
  caches: list(cache),
  callers: list(caller),
  cgroups: list(cgroup),
  /** Buffers of GPUs, dma-bufs, rings of ftrace and perf, and pins: parts of categories, as `named` of `memory` lists them. */
  devices: list(device),
  complete: z.boolean(),
  warnings: z.array(z.strictObject({ code: z.enum(NOTE_CODES), message: z.string() })),
});

export type DiffJson = Immutable<z.infer<typeof diffSchema>>;
export type CategoryDiff = Immutable<z.infer<typeof category>>;
/** A figure over all inputs. */
export type Course = Omit<CategoryDiff, 'category' | 'uncomparedBytes' | 'children'>;
