import { z } from 'zod';
import { STATUSES } from '../../diff/lists.js';
import { NOTE_CODES } from '../../diff/notes.js';
import { growthSchema } from '../growth/schema.js';
import { socketEndsShape } from '../schema.js';

/**
 * `kdump-mem diff --json`, version 1: what changed from the first input to the last. Sizes are bytes; null: it is not
 * known, 0: known to be nothing. Text is as inputs have it: JSON escapes it.
 */

const count = z.int().nonnegative();
const bytes = count.nullable();
const change = z.int().nullable();

const course = {
  beforeBytes: bytes,
  afterBytes: bytes,
  /** After less before. */
  changeBytes: change,
  /** That, a minute; null: times are not known, or of different boots. */
  perMinuteBytes: z.number().nullable(),
  /** At each input, in the order of `inputs`. */
  bytes: z.array(bytes),
  /** Bytes a second by all inputs, with its interval; null: there are too few. */
  growth: growthSchema,
  course: z.enum(['grows', 'grew', 'steady', 'shrank', 'shrinks']).nullable(),
  /** It grew from each input to the next; null: there are two, or it is not known. */
  grewEachTime: z.boolean().nullable(),
};

const category = z.strictObject({
  category: z.string(),
  // A schema that has itself in it cannot be spread into.
  beforeBytes: course.beforeBytes,
  afterBytes: course.afterBytes,
  changeBytes: course.changeBytes,
  perMinuteBytes: course.perMinuteBytes,
  bytes: course.bytes,
  growth: course.growth,
  course: course.course,
  grewEachTime: course.grewEachTime,
  /** Children's changes and this sum to the change, to the byte: what cannot be compared among them. */
  uncomparedBytes: change,
  get children() {
    return z.array(category);
  },
});

const measured = {
  ...course,
  /** What was measured; null: nothing that both first and last know. */
  measure: z
    .enum(['pss', 'rss', 'pinned', 'estimated', 'unread', 'bytes', 'charged', 'usage'])
    .nullable(),
  /**
   * `was-empty`, `is-empty`: it had nothing then, or was not there. `only-after`, `only-before`: the other list is not
   * whole.
   */
  status: z.enum(STATUSES),
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

/** Null: not all inputs know of such. */
function list<Item extends z.ZodType>(item: Item) {
  return z
    .strictObject({
      /** What changed most first. */
      items: z.array(item),
      grewBytes: count,
      /** 0 or less. */
      shrankBytes: z.int(),
      /** They came after the first input and had ended before the last. */
      between: count,
      /** Every input lists all of them. */
      complete: z.boolean(),
    })
    .nullable();
}

export const diffSchema = z.strictObject({
  schema: z.literal('kdump-mem.diff/1'),
  /** In the order of time, where it is known; else as they were given. */
  inputs: z.array(
    z.strictObject({
      name: z.string(),
      at: z.iso.datetime().nullable(),
      host: z.string().nullable(),
      bootId: z.string().nullable(),
      uptimeSeconds: z.number().nullable(),
      release: z.string().nullable(),
      pageSize: count.nullable(),
      /** How deep its categories were looked at; null: it knows none. */
      source: z.string().nullable(),
    }),
  ),
  /** From the first to the last; null: not known, or of different boots. */
  seconds: z.number().nullable(),
  /** All are of one boot of one host; null: nothing tells. */
  sameBoot: z.boolean().nullable(),
  /** The sentence that matters first. */
  summary: z.string(),
  /** What became of free memory; null: categories are not known to all. */
  loss: z
    .strictObject({
      /** What free memory fell by; below 0: it rose. */
      lostBytes: z.int(),
      /** Memory plugged in, or (below 0) out. */
      pluggedBytes: z.int(),
      /** lost + plugged = grew + shrank + unattributed + uncompared. Null: categories cannot be compared. */
      grewBytes: count.nullable(),
      shrankBytes: change,
      /** Of the categories without owners: `unattributed`, `unread`. */
      unattributedBytes: change,
      uncomparedBytes: change,
      /** `nothing`: what grew is less than half of the loss. Null: nothing was lost, another boot, or unknown. */
      explanation: z.enum(['categories', 'nothing']).nullable(),
    })
    .nullable(),
  categories: category.nullable(),
  processes: list(process),
  sockets: list(socket),
  caches: list(cache),
  callers: list(caller),
  cgroups: list(cgroup),
  complete: z.boolean(),
  warnings: z.array(z.strictObject({ code: z.enum(NOTE_CODES), message: z.string() })),
});

export type DiffJson = z.infer<typeof diffSchema>;
export type CategoryDiffJson = z.infer<typeof category>;
