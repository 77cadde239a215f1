import { z } from 'zod';
import { CATEGORIES } from '../../account/memory/categories.js';
import type { Immutable } from '../../base/util.js';
import { count, kernelSchema } from '../../contracts/common.js';
import { objectSchema } from '../../contracts/object.js';
import { address, siteFrameSchema, warningSchema } from '../schema.js';

const pid = count;

/** What the kernel noted when it allocated a page or an object. */
export const siteSchema = z.strictObject({
  source: z.enum(['page-owner', 'slab-tracks', 'allocation-tags']),
  /** Whether it is the allocation of the slab object, or of the page. */
  of: z.enum(['page', 'object']),
  /** Innermost first; one line of source from `allocation-tags`; empty: unknown. */
  frames: z.array(siteFrameSchema),
  /** Thread and process; null: not noted. */
  pid: pid.nullable(),
  tgid: pid.nullable(),
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

export type WhatisJson = Immutable<z.input<typeof whatisSchema>>;
