import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { capturedSchema, count, kernelSchema, warningSchema } from './common.js';

/**
 * `kdump-mem log --json`, version 1, and its lines with --ndjson, for a kernel, a capture or text. Text
 * (messages, comm, devices) is copied from the kernel and JSON-escaped. Null: not in the source.
 */

/** Recognized format of a text log. */
export const textLogSchema = z.strictObject({
  name: z.string(),
  /** Files that continue each other (rotated logs, records of pstore), oldest first. */
  files: z.array(z.string()),
  /** `dmesg`, `syslog or journal`, …; null: unknown format. */
  format: z.string().nullable(),
  messages: count,
  lines: count,
  bytes: count,
  /** Lines that look like kernel messages, but have no known prefix. */
  unknownLines: count,
  /** Maximum number of distinct boots. */
  bootCount: count.min(1),
  /** The newest 100 boots, oldest first. */
  boots: z.array(
    z.strictObject({
      /** Boot offset as in journalctl: 0 is the last boot, -1 the one before. */
      boot: z.int().max(0),
      bootId: z.string().nullable(),
      release: z.string().nullable(),
      /** Whether the log contains the first message of the boot. */
      fromStart: z.boolean(),
    }),
  ),
});

const message = {
  /** Message number since boot; for text, line number from 0. */
  seq: count,
  /** Time since boot on the log's clock, as dmesg prints it: truncated to microseconds. */
  timestampMicroseconds: count.nullable(),
  /** Wall-clock time as printed in the text. */
  printedTime: z.string().nullable(),
  /** For text: its entry in `logs`, its boot from 1 (the oldest), and the boot ID of the journal. */
  log: z.string().nullable(),
  bootNumber: count.min(1).nullable(),
  bootId: z.string().nullable(),
  /** 0 (emerg) to 7 (debug), and its name. */
  level: z.int().min(0).max(7).nullable(),
  levelName: z.string().nullable(),
  facility: z.int().min(0).max(255).nullable(),
  /** Also null if the facility has no name. */
  facilityName: z.string().nullable(),
  /** Caller: a task with its id, or a CPU outside task context. */
  caller: z.strictObject({ kind: z.enum(['task', 'cpu']), id: count }).nullable(),
  /** Name of the calling task; null: this kernel does not record it. */
  comm: z.string().nullable(),
  /** The device that the message is about. */
  subsystem: z.string().nullable(),
  device: z.string().nullable(),
  text: z.string(),
};

const whole = {
  source: z.enum(['kernel', 'capture', 'text']),
  /** Set for a kernel. */
  kernel: kernelSchema.nullable(),
  /** Set for a capture. */
  captured: capturedSchema,
  /** Set for text. */
  logs: z.array(textLogSchema),
  /** Messages that were not selected. */
  omitted: count,
  /** Number of messages overwritten by newer ones; 0: all messages since boot exist; null: unknown. */
  overwritten: count.nullable(),
  /** Number of messages dropped for lack of space; null: unknown. */
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
export const logMessageSchema = z.strictObject({ schema: z.literal('kdump-mem.log-message/1'), ...message });

/** The last line of --ndjson, with the number of messages. */
export const logEndSchema = z.strictObject({ schema: z.literal('kdump-mem.log-end/1'), listed: count, ...whole });

export type LogJson = Immutable<z.input<typeof logSchema>>;
/** All of an answer but its messages. */
export type LogRest = Omit<Immutable<z.output<typeof logSchema>>, 'schema' | 'messages'>;
export type LogMessageJson = Immutable<z.input<typeof logMessageSchema>>;
export type LogEndJson = Immutable<z.input<typeof logEndSchema>>;
export type TextLogJson = Immutable<z.input<typeof textLogSchema>>;
