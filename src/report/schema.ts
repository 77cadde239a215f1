import { z } from 'zod';

/**
 * The JSON contract that commands of kdump-mem share, version 1. Addresses are hex strings, sizes
 * bytes, counts integers. Text from a dump (comm, addresses, protocol names) is as the kernel has
 * it: JSON escapes it.
 */

const count = z.int().nonnegative();
const address = z.string().regex(/^0x[0-9a-f]{1,16}$/);

export const kernelSchema = z.strictObject({
  release: z.string(),
  arch: z.enum(['x86_64', 'arm64']),
  pageSize: z.int().positive(),
  source: z.enum(['vmcore', 'kcore']),
  engine: z.enum(['crash', 'native']),
});

/** `Q`: the figures of a queue, or of several. */
export const figuresSchema = z.strictObject({
  skbs: count,
  payloadBytes: count,
  truesizeBytes: count,
  frags: count,
  maxFragsPerSkb: count,
  pages: count,
  orders: z.record(z.string().regex(/^(\d{1,2}|unknown)$/), count),
  pageBytes: count,
  slabBytes: count,
  pinnedBytes: count,
  complete: z.boolean(),
});

export const socketSchema = z.strictObject({
  file: address,
  sock: address,
  inode: count,
  family: z.string(),
  type: z.string(),
  protocol: z.string(),
  state: z.string(),
  local: z.string().nullable(),
  peer: z.string().nullable(),
  netns: count,
});

export const queueNameSchema = z.enum([
  'receive',
  'outOfOrder',
  'backlog',
  'error',
  'write',
  'retransmit',
  'reader',
]);

export const queuesSchema = z.partialRecord(queueNameSchema, figuresSchema);

export const processSchema = z.strictObject({ pid: z.int().nonnegative(), comm: z.string() });

export const warningSchema = z.strictObject({ code: z.string(), message: z.string() });

/** One queue entry, listed by `--verbose`. */
export const skbEntrySchema = z.strictObject({
  address,
  length: count,
  truesize: count,
  frags: count,
});

/** `kdump-mem skb --pid N --fd N --json`. */
export const skbSchema = z.strictObject({
  schema: z.literal('kdump-mem.skb/1'),
  kernel: kernelSchema,
  process: processSchema,
  fd: count,
  socket: socketSchema,
  queues: queuesSchema,
  total: figuresSchema,
  skbs: z.partialRecord(queueNameSchema, z.array(skbEntrySchema)).optional(),
  warnings: z.array(warningSchema),
});

/** `kdump-mem skb --pid N --json`: every socket of the process, what pins most first. */
export const skbProcessSchema = z.strictObject({
  schema: z.literal('kdump-mem.skb-process/1'),
  kernel: kernelSchema,
  process: processSchema,
  sockets: z.array(
    z.strictObject({
      fds: z.array(count),
      socket: socketSchema,
      queues: queuesSchema,
      total: figuresSchema,
    }),
  ),
  total: figuresSchema,
  warnings: z.array(warningSchema),
});

/** `--engine verify --json`, of any command. */
export const verifySchema = z.strictObject({
  schema: z.literal('kdump-mem.verify/1'),
  compared: count,
  differences: z.array(
    z.strictObject({ path: z.string(), native: z.unknown(), crash: z.unknown() }),
  ),
});

export type SkbJson = z.infer<typeof skbSchema>;
export type SkbProcessJson = z.infer<typeof skbProcessSchema>;
