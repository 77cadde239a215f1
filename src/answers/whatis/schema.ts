import { z } from 'zod';
import { CATEGORIES } from '../../account/memory/categories.js';
import type { Immutable } from '../../base/util.js';
import { count, kernelSchema } from '../../contracts/common.js';
import { address, siteFrameSchema, warningSchema } from '../schema.js';

const offset = count;
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

/** What an address is part of; offsets and sizes are bytes. Names are untrusted. */
export const objectSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('symbol'),
    name: z.string(),
    offset,
    /** Null: the kernel image. */
    module: z.string().nullable(),
    /** For a per-CPU variable. */
    cpu: count.nullable(),
  }),
  z.strictObject({
    kind: z.literal('slab-object'),
    cache: z.string(),
    /** Address of the object’s slot. */
    start: address,
    offset,
    /** Size of an object of the cache. */
    size: count,
    /** `unknown`: free lists are not readable. */
    state: z.enum(['allocated', 'free', 'unknown']),
    /** `struct.member` at the offset; null: unknown, or the cache has objects of several types. */
    member: z.string().nullable(),
  }),
  /** Bytes of a slab behind its last object. */
  z.strictObject({ kind: z.literal('slab-padding'), cache: z.string() }),
  z.strictObject({ kind: z.literal('page-struct'), frame: count, offset }),
  z.strictObject({ kind: z.literal('stack'), pid, comm: z.string(), offset, size: count }),
  z.strictObject({
    kind: z.literal('vmalloc-area'),
    start: address,
    /** With the guard page. */
    size: count,
    offset,
    /** Function that allocated it; null: unknown. */
    caller: z.string().nullable(),
  }),
  z.strictObject({
    kind: z.literal('file-page'),
    /** Path, or name of the block device; null: unknown. */
    path: z.string().nullable(),
    /** Offset in the file, in decimal: it may need 64 bits. */
    offset: z.string(),
    fsType: z.string(),
    inode: z.string(),
    deleted: z.boolean(),
  }),
  /** Anonymous memory: the first process that maps it, and its user-space address there. */
  z.strictObject({ kind: z.literal('process-page'), pid, comm: z.string(), address }),
  z.strictObject({
    kind: z.literal('socket-page'),
    sock: address,
    protocol: z.string(),
    /** A process that holds the socket; null: none. */
    pid: pid.nullable(),
    comm: z.string().nullable(),
  }),
  /** Any other page. `order`: log2 of the pages of its allocation; null: unknown. */
  z.strictObject({ kind: z.literal('page'), order: count.nullable() }),
]);

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

export type WhatisJson = Immutable<z.infer<typeof whatisSchema>>;
