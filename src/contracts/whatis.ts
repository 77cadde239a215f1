import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { CATEGORIES } from '../records/categories.js';
import { address, count, kernelSchema, siteFrameSchema, warningSchema } from './common.js';
import { objectSchema } from './object.js';

/** What the kernel noted when it allocated a page or an object. */
export const siteSchema = z.strictObject({
  source: z.enum(['page-owner', 'slab-tracks', 'allocation-tags']),
  /** Whether it is the allocation of the slab object, or of the page. */
  of: z.enum(['page', 'object']),
  /** Innermost first; one line of source from `allocation-tags`; empty: unknown. */
  frames: z.array(siteFrameSchema),
  /** Thread and process; null: not noted. */
  pid: count.nullable(),
  tgid: count.nullable(),
  comm: z.string().nullable(),
  /** Seconds between boot and the allocation, without suspend; null: unknown. */
  seconds: z.number().nullable(),
});

/** An address, and what it is part of. */
export const identitySchema = z.strictObject({
  address,
  /** Physical address; null: not mapped. */
  physical: address.nullable(),
  frame: count.nullable(),
  /** Category of the page, as in `kdump-mem memory`; null: not mapped, or unknown. */
  category: z.enum(CATEGORIES).nullable(),
  /** Null: unknown. */
  object: objectSchema.nullable(),
  /** What the kernel noted when it allocated the slab object, or else the page; null: nothing. */
  site: siteSchema.nullable(),
});

/** `kdump-mem whatis --json`, version 1. */
export const whatisSchema = z.strictObject({
  schema: z.literal('kdump-mem.whatis/1'),
  kernel: kernelSchema,
  /** In the order of the arguments. */
  identities: z.array(identitySchema),
  complete: z.boolean(),
  warnings: z.array(warningSchema),
});

export type WhatisAnswer = Immutable<z.output<typeof whatisSchema>>;
/** An address, and what it is part of. Names are untrusted, in all of these. */
export type Identity = WhatisAnswer['identities'][number];
/** What the kernel noted when it allocated a page or an object. */
export type AllocationRecord = NonNullable<Identity['site']>;
