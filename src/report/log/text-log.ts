import { z } from 'zod';
import type { TextLogSummary } from '../../log/reader.js';

const count = z.int().nonnegative();

/** The newest boots are listed, up to this number. */
const MOST_BOOTS = 100;

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

export function textLogJson({
  name,
  files,
  log,
}: {
  readonly name: string;
  readonly files: readonly string[];
  readonly log: TextLogSummary;
}): z.infer<typeof textLogSchema> {
  const { format = null, messages, lines, bytes, bootCount, boots } = log;
  return {
    name,
    files: [...files],
    format,
    messages,
    lines,
    bytes,
    bootCount,
    boots: boots
      .map(({ id: bootId = null, release = null, fromStart }, index) => ({
        boot: index + 1 - bootCount,
        bootId,
        release,
        fromStart,
      }))
      .slice(-MOST_BOOTS),
  };
}
