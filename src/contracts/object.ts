import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { address, count } from './common.js';

const offset = count;
const pid = count;

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

export type Identified = Immutable<z.output<typeof objectSchema>>;
