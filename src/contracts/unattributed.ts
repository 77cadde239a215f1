import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CONTENT_KINDS } from '../records/references.js';
import { address, count, kernelSchema, warningSchema } from './common.js';
import { holderSchema } from './refs.js';

/** `kdump-mem memory --unattributed --json`, version 1. */
export const unattributedSchema = z.strictObject({
  schema: z.literal('kdump-mem.memory-unattributed/1'),
  kernel: kernelSchema,
  /** All unattributed pages; the groups sum to them. */
  bytes: count,
  blocks: count,
  /** Blocks to which no reference from the kernel’s memory was found. */
  unreferencedBlocks: count,
  unreferencedBytes: count,
  /** Those that may be part of the allocation of the pages before them, as alloc_pages_exact makes them. */
  followsBlockBytes: count,
  /** Blocks that are alike, largest first. */
  groups: z.array(
    z.strictObject({
      /** log2 of the base pages of a block, rounded up. */
      order: count,
      blocks: count,
      bytes: count,
      /** A place that refers to the blocks; null: none was found. */
      holder: holderSchema.nullable(),
      /** Number of references from the kernel’s memory to all blocks, whatever holds them. */
      references: count,
      /** What most of their pages contain that are not zero. */
      content: z.enum(CONTENT_KINDS),
      /** Nothing refers to them, but they may be part of the allocation of the pages before them. */
      followsBlock: z.boolean(),
      /** Ports in the headers of packets, in most blocks first. */
      ports: z.array(count),
      /** Direct-map address of the first block. */
      first: address,
    }),
  ),
  ramBytes: count,
  scannedBytes: count,
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type UnattributedAnswer = Immutable<z.output<typeof unattributedSchema>>;
/** Unattributed blocks of pages that are alike. */
export type UnattributedGroup = UnattributedAnswer['groups'][number];
