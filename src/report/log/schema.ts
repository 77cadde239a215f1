import { z } from 'zod';
import { capturedSchema } from '../captured-schema.js';
import { kernelSchema, warningSchema } from '../schema.js';

/**
 * `kdump-mem log --json`, version 1, and its lines with --ndjson. Text (messages, comm, devices) is as the
 * kernel has it: JSON escapes it. Null: the kernel's types do not tell.
 */

const count = z.int().nonnegative();

const message = {
  /** Counts messages since boot. */
  seq: count,
  /** Since boot, on the log's clock, as dmesg prints it: parts of a microsecond are cut off. */
  timestampMicroseconds: count,
  /** 0 (emerg) to 7 (debug), and its name. */
  level: z.int().min(0).max(7).nullable(),
  levelName: z.string().nullable(),
  facility: z.int().min(0).max(255).nullable(),
  /** Null also of one without a name. */
  facilityName: z.string().nullable(),
  /** Who called: a task by its own id, or a CPU that ran no task's code. */
  caller: z.strictObject({ kind: z.enum(['task', 'cpu']), id: count }).nullable(),
  /** Name of the calling task; null: this kernel does not note it. */
  comm: z.string().nullable(),
  /** The device that the message is about. */
  subsystem: z.string().nullable(),
  device: z.string().nullable(),
  text: z.string(),
};

const whole = {
  kernel: kernelSchema,
  /** Messages that were not asked for. */
  omitted: count,
  /** Messages that newer ones have overwritten; 0: all since boot are there. */
  overwritten: count,
  /** Messages for which the kernel had no room when they came. */
  noRoom: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
};

export const logSchema = z.strictObject({
  schema: z.literal('kdump-mem.log/1'),
  messages: z.array(z.strictObject(message)),
  ...whole,
});

/** A line of --ndjson. */
export const logMessageSchema = z.strictObject({
  schema: z.literal('kdump-mem.log-message/1'),
  ...message,
});

/** The last line of --ndjson, after so many messages. */
export const logEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.log-end/1'),
  listed: count,
  ...whole,
});

const wholeOfHost = {
  captured: capturedSchema,
  /** Messages that were not asked for. */
  omitted: count,
  /** Messages that newer ones had overwritten when it was captured; null: not known. */
  overwritten: count.nullable(),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
};

/** `log --from FILE --json`: the log of a host as it was captured. */
export const hostLogSchema = z.strictObject({
  schema: z.literal('kdump-mem.host-log/1'),
  messages: z.array(z.strictObject(message)),
  ...wholeOfHost,
});

/** The last line of --ndjson, after so many messages. */
export const hostLogEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.host-log-end/1'),
  listed: count,
  ...wholeOfHost,
});

export type HostLogJson = z.infer<typeof hostLogSchema>;
export type HostLogEndJson = z.infer<typeof hostLogEndSchema>;
export type LogJson = z.infer<typeof logSchema>;
export type LogMessageJson = z.infer<typeof logMessageSchema>;
export type LogEndJson = z.infer<typeof logEndSchema>;
