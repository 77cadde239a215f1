import { z } from 'zod';
import { capturedSchema } from '../captured-schema.js';
import { kernelSchema, warningSchema } from '../schema.js';

/**
 * `kdump-mem log --json`, version 1, and its lines with --ndjson: of a kernel, a capture or text. Text (messages,
 * comm, devices) is as the kernel has it: JSON escapes it. Null: the source does not have it.
 */

const count = z.int().nonnegative();

/** What a log that is text was recognized as. */
export const textLogSchema = z.strictObject({
  name: z.string(),
  /** Files that continue each other (rotated logs, records of pstore), the oldest first. */
  files: z.array(z.string()),
  /** `dmesg`, `syslog or journal`, …; null: lines have no form that is known. */
  format: z.string().nullable(),
  messages: count,
  lines: count,
  bytes: count,
  /** Boots that are told apart. */
  bootCount: count.min(1),
  /** The newest 100 of them, the oldest first. */
  boots: z.array(
    z.strictObject({
      /** As journalctl counts them: 0 is the last, -1 the one before. */
      boot: z.int().max(0),
      bootId: z.string().nullable(),
      release: z.string().nullable(),
      /** The log contains its first message. */
      fromStart: z.boolean(),
    }),
  ),
});

const message = {
  /** Counts messages since boot; of text lines from 0 on. */
  seq: count,
  /** Since boot, on the log's clock, as dmesg prints it: parts of a microsecond are cut off. */
  timestampMicroseconds: count.nullable(),
  /** Wall-clock time as a text prints it. */
  printedTime: z.string().nullable(),
  /** Of a text: which of `logs`, its boot from 1 (the oldest) on, and the journal's id of that. */
  log: z.string().nullable(),
  bootNumber: count.min(1).nullable(),
  bootId: z.string().nullable(),
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
  source: z.enum(['kernel', 'capture', 'text']),
  /** Of a kernel. */
  kernel: kernelSchema.nullable(),
  /** Of a capture. */
  captured: capturedSchema,
  /** Of text. */
  logs: z.array(textLogSchema),
  /** Messages that were not asked for. */
  omitted: count,
  /** Messages that newer ones have overwritten; 0: all since boot are there; null: not known. */
  overwritten: count.nullable(),
  /** Messages for which the kernel had no room when they came; null: not known. */
  noRoom: count.nullable(),
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

export type LogJson = z.infer<typeof logSchema>;
export type LogMessageJson = z.infer<typeof logMessageSchema>;
export type LogEndJson = z.infer<typeof logEndSchema>;
export type TextLogJson = z.infer<typeof textLogSchema>;
