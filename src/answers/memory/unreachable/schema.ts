import { z } from 'zod';
import { UNREACHABLE_REASONS } from '../../../account/references/unreachable.js';
import type { Immutable } from '../../../base/util.js';
import { CONTENT_KINDS } from '../../../walk/memory/contents.js';
import { address, count, kernelSchema, warningSchema } from '../../schema.js';
import { siteSchema } from '../../whatis/schema.js';

const amount = z.strictObject({ allocations: count, bytes: count });

/** `kdump-mem memory --unreachable --json`, version 1. */
export const unreachableSchema = z.strictObject({
  schema: z.literal('kdump-mem.memory-unreachable/1'),
  kernel: kernelSchema,
  /** All slab objects, page blocks and vmalloc areas to which references were searched. */
  searched: amount,
  /**
   * Allocations of groups without a known reason, and with one. Null: unknown, since too much memory that may contain
   * references is missing.
   */
  unreachable: amount.nullable(),
  explained: amount.nullable(),
  /** Slab objects that may be allocated or free: they are in no group. */
  undecided: count,
  /** Memory that may contain references, and the part of it that was not read. */
  holderBytes: count,
  unreadBytes: count,
  /** Allocations that are alike: those without a known reason first, then largest first. */
  groups: z.array(
    z.strictObject({
      kind: z.enum(['slab-object', 'pages', 'vmalloc-area']),
      /** Slab cache, or function that allocated the areas; null: pages, or unknown. Untrusted. */
      name: z.string().nullable(),
      /** Whether the kernel merged several caches into this one. Null: no slab object, or unknown. */
      merged: z.boolean().nullable(),
      /** Bytes of one allocation. */
      size: count,
      allocations: count,
      bytes: count,
      /** Whether other allocations that are unreachable refer to each of them. */
      referencedBy: z.enum(['nothing', 'unreachable']),
      /** Known reason why nothing refers to an allocation in use; null: none. */
      reason: z.enum(UNREACHABLE_REASONS).nullable(),
      /** What most of their pages contain that are not zero. */
      content: z.enum(CONTENT_KINDS),
      /** What the kernel noted when it allocated the first of them; null: nothing. */
      site: siteSchema.nullable(),
      /** Addresses of some. */
      examples: z.array(address),
    }),
  ),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type UnreachableJson = Immutable<z.infer<typeof unreachableSchema>>;
