import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { count, warningSchema } from './common.js';

/** Number of distinct names of one kind that were replaced, and that were kept. */
const names = z.strictObject({ replaced: count, kept: count });

/** `kdump-mem extract --json`: contents of the written file. */
export const extractSchema = z.strictObject({
  schema: z.literal('kdump-mem.extract/1'),
  file: z.string(),
  sizeBytes: count,
  pages: count,
  /** Pages of which only part was kept. */
  partialPages: count,
  /** Sockets that the extract contains. */
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
  /** Data that is never anonymized. */
  stays: z.array(z.enum(['ports', 'pids', 'inodes', 'kernel-threads', 'modules', 'build', 'crash-time', 'log'])),
  release: z.string(),
  /** Seconds since 1970; null if the dump does not contain it. */
  crashTime: count.nullable(),
  /** The kernel log: included, not requested, or requested and unreadable. */
  log: z.enum(['kept', 'left-out', 'unreadable']),
  /** The file that maps replacements to original names. */
  map: z.string().nullable(),
  warnings: z.array(warningSchema),
});

export type ExtractAnswer = Immutable<z.output<typeof extractSchema>>;
