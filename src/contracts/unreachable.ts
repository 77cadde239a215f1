import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CONTENT_KINDS } from '../records/references.js';
import { address, count, kernelSchema, warningSchema } from './common.js';
import { siteSchema } from './whatis.js';

/**
 * Known reason why nothing refers to an allocation in use. `split-block`: a page behind one that is reached may be
 * part of its allocation, since alloc_pages_exact splits blocks into pages, and only the first has a pointer.
 * `sysctl-table`: a registered table without entries, or one of boot, which the kernel never frees. `vmcoreinfo`: the
 * text that a crash replaces by a safe copy.
 */
const UNREACHABLE_REASONS = ['split-block', 'sysctl-table', 'vmcoreinfo'] as const;

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

export type UnreachableAnswer = Immutable<z.output<typeof unreachableSchema>>;
export type UnreachableJson = Immutable<z.input<typeof unreachableSchema>>;
/** Allocations that are alike, and that no reference from reachable memory was found to. Names are untrusted. */
export type UnreachableGroup = UnreachableAnswer['groups'][number];
export type UnreachableAmount = UnreachableAnswer['searched'];
