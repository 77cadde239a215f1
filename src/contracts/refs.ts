import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CATEGORIES } from '../records/categories.js';
import { FORMS, SOURCES } from '../records/references.js';
import { address, count, kernelSchema, warningSchema } from './common.js';
import { identitySchema } from './whatis.js';

const category = z.enum(CATEGORIES).nullable();

/**
 * What the memory around a reference is: memory in use by the kernel, data of processes and files, freed
 * objects and pages, or the target itself and its own `struct page`.
 */
const source = z.enum(SOURCES);

/** Places that hold references and are alike. */
export const holderSchema = z.strictObject({
  kind: z.enum([
    'slab-object',
    'slab-padding',
    'symbol',
    'page-struct',
    'stack',
    'vmalloc-area',
    'file-page',
    'process-page',
    'socket-page',
    'page',
    'unknown',
  ] as const),
  /** Slab cache, symbol, or function that allocated the area; null: none. Untrusted. */
  name: z.string().nullable(),
  /** Offset in the slab object or `struct page`; null: other places. */
  offset: count.nullable(),
  /** `struct.member` at the offset; null: unknown. */
  member: z.string().nullable(),
  category,
});

/** `kdump-mem refs --json`, version 1. */
export const refsSchema = z.strictObject({
  schema: z.literal('kdump-mem.refs/1'),
  kernel: kernelSchema,
  /** The first targets, ascending by address; those of symbols and areas last. */
  targets: z.array(
    z.strictObject({
      /** Direct-map address of the first byte, or virtual address of a symbol, stack or area. */
      address,
      bytes: count,
      /** Whether a pointer to a `struct page` refers to it: it consists of complete pages. */
      pages: z.boolean(),
      /** Number of references from the kernel’s memory. */
      references: count,
    }),
  ),
  targetCount: count,
  /** Number of targets to which no reference from the kernel’s memory was found. */
  unreferencedTargets: count,
  /** Number of references by source. */
  counts: z.strictObject({ kernel: count, user: count, free: count, target: count }),
  /** References from alike places: most first, those from the kernel’s memory before others. */
  groups: z.array(
    z.strictObject({
      holder: holderSchema,
      source,
      references: count,
      forms: z.strictObject({ pointer: count, tagged: count, interior: count, page: count }),
    }),
  ),
  groupCount: count,
  /** The first references by physical address: those from the kernel’s memory before others. */
  references: z.array(
    z.strictObject({
      /** Address of the word that refers to the target. */
      address,
      /**
       * `pointer`: to its first byte; `tagged`: the same with low bits set; `interior`: to a byte in it; `page`:
       * to a `struct page` of it.
       */
      form: z.enum(FORMS),
      source,
      /** Address of the target. */
      target: address,
      holder: identitySchema,
    }),
  ),
  ramBytes: count,
  scannedBytes: count,
  /** Memory that is not in the dump, or unreadable, by category. */
  unscanned: z.array(z.strictObject({ category, bytes: count })),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type RefsAnswer = Immutable<z.output<typeof refsSchema>>;
export type RefsJson = Immutable<z.input<typeof refsSchema>>;
/** Places that hold references and are alike. */
export type Place = RefsAnswer['groups'][number]['holder'];
export type Unscanned = RefsAnswer['unscanned'][number];
