import { z } from 'zod';
import { warningSchema } from '../schema.js';

const count = z.int().nonnegative();

/** Names of one kind, each counted once: how many others stand in place of, and how many are true. */
const names = z.strictObject({ replaced: count, kept: count });

/** `kdump-mem extract --json`: what is inside the file that was written. */
export const extractSchema = z.strictObject({
  schema: z.literal('kdump-mem.extract/1'),
  file: z.string(),
  sizeBytes: count,
  pages: count,
  /** Pages of which only some bytes are kept. */
  partialPages: count,
  /** Sockets that can be asked about. */
  sockets: count,
  anonymized: z.boolean(),
  names: z.strictObject({
    addresses: names,
    paths: names,
    commands: names,
    cgroups: names,
    interfaces: names,
    hosts: names,
  }),
  /** What is as it was, whatever was replaced. */
  stays: z.array(
    z.enum(['ports', 'pids', 'inodes', 'kernel-threads', 'modules', 'build', 'crash-time', 'log']),
  ),
  release: z.string(),
  /** Seconds since 1970; null where the dump does not say. */
  crashTime: count.nullable(),
  /** The kernel's: asked for and there, not asked for, or asked for and not to be read. */
  log: z.enum(['kept', 'left-out', 'unreadable']),
  /** The file that tells what was replaced by what. */
  map: z.string().nullable(),
  warnings: z.array(warningSchema),
});

export type ExtractJson = z.infer<typeof extractSchema>;
