import { z } from 'zod';
import { QUEUE_NAMES } from '../walk/queues/queue.js';
import { originSchema } from './origin-schema.js';

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

/** The two ends of a socket, apart (src/records/socket-ends.ts); null: there is none, or it is a name. */
export const socketEndsShape = {
  localAddress: z.string().nullable(),
  localPort: count.nullable(),
  peerAddress: z.string().nullable(),
  peerPort: count.nullable(),
};

export const socketSchema = z.strictObject({
  file: address,
  sock: address,
  /** 0: it has no `struct socket` of its own; null: the dump lacks that. */
  inode: count.nullable(),
  family: z.string(),
  type: z.string(),
  protocol: z.string(),
  state: z.string(),
  local: z.string().nullable(),
  peer: z.string().nullable(),
  ...socketEndsShape,
  /** Null where the namespace cannot be read. */
  netns: count.nullable(),
});

/** Payload that has come, without what was read of the first skb; null: that could not be told. */
const unreadBytes = count.nullable();

/** Of `total.pinnedBytes`: what nobody else holds, and what somebody does. */
const ownership = { exclusiveBytes: count, sharedBytes: count };

/** Between so many bytes go back if the process is killed. */
const freed = z.strictObject({
  low: count,
  /** Null: something could not be read, or is not known to belong to the process or not. */
  high: count.nullable(),
  /** Of what lies between: page pools of drivers may take this back, and keep it. */
  toPools: count,
  /** What page pools take back and keep: in any case, and at most; null: not known. */
  keptByPools: z.strictObject({ low: count, high: count.nullable() }),
  /** What lies between, by why; the parts make up the difference. Null where `high` is. */
  between: z
    .strictObject({
      /** Others hold it too. */
      shared: count,
      /** Page pools may have room for it, or others have a part of their pages. */
      pools: count,
      /** Connections keep it after their close until it is acknowledged or given up. */
      unsent: count,
      /** Other ends on this machine have it still to send. */
      peers: count,
      /** Of sockets to which something refers that was not found. */
      uncertain: count,
    })
    .nullable(),
});

export const queueNameSchema = z.enum(QUEUE_NAMES);

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

/** `kdump-mem skb --pid N --fd N --json`; with `--sock` there is neither process nor fd. */
export const skbSchema = z.strictObject({
  schema: z.literal('kdump-mem.skb/1'),
  kernel: kernelSchema,
  process: processSchema.nullable(),
  fd: count.nullable(),
  socket: socketSchema,
  queues: queuesSchema,
  total: figuresSchema,
  unreadBytes,
  ...ownership,
  /** Of this socket and what hangs on it. Null: not asked for a process, or not found again. */
  freedIfKilled: freed.nullable(),
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
      unreadBytes,
      ...ownership,
    }),
  ),
  total: figuresSchema,
  /** Of all that it has, also of sockets without a descriptor. */
  freedIfKilled: freed,
  warnings: z.array(warningSchema),
});

const owner = { pid: count, comm: z.string(), cgroup: z.string().nullable() };
const holder = z.strictObject({ ...owner, fd: count });

/** One socket of the census. */
export const censusEntrySchema = z.strictObject({
  socket: socketSchema,
  holders: z.array(holder),
  /** Those that map its file, as rings of AF_PACKET are, once a mapping. */
  mappedBy: z.array(z.strictObject(owner)),
  foundBy: z.array(z.enum(['fd', 'slab', 'accept', 'scm', 'io_uring', 'mptcp'])),
  /** The listener in whose accept queue it waits. */
  acceptedFrom: address.nullable(),
  /** The MPTCP connection that it is part of. */
  subflowOf: address.nullable(),
  /** Sockets in whose queues messages carry its file, once a message. */
  carriedBy: z.array(address),
  /** Who holds rings of io_uring with which its file is registered. */
  registeredWith: z.array(z.strictObject({ pid: count, comm: z.string(), fd: count })),
  queues: queuesSchema,
  total: figuresSchema,
  unreadBytes,
  ...ownership,
});

/** A row of `--by`: what a group of sockets pins together. */
export const groupSchema = z.strictObject({
  key: z.string(),
  /** Of a process; null: the group is none. */
  pid: count.nullable(),
  comm: z.string().nullable(),
  sockets: count,
  total: figuresSchema,
  ...ownership,
  /** Null: the group is no process. */
  freedIfKilled: freed.nullable(),
});

/** `kdump-mem sockets --json`; totals count a page once over the whole machine. */
export const socketsSchema = z.strictObject({
  schema: z.literal('kdump-mem.sockets/1'),
  kernel: kernelSchema,
  origin: originSchema,
  sockets: z.array(censusEntrySchema),
  /** How many sockets, or groups if there are some, were left out by `--limit`. */
  omitted: count,
  /** What is not listed pins nothing: no option left out more. */
  allListed: z.boolean(),
  groups: z.array(groupSchema).optional(),
  totals: z.strictObject({ sockets: count, ...figuresSchema.shape }),
  outsideQueues: z.array(
    z.strictObject({
      what: z.string(),
      objects: count.nullable(),
      bytes: count.nullable(),
      message: z.string(),
      /** False if memory that it would be counted from is missing or damaged. */
      complete: z.boolean(),
    }),
  ),
  warnings: z.array(warningSchema),
});

/** A line of `kdump-mem sockets --ndjson`: one socket. */
export const socketLineSchema = z.strictObject({
  schema: z.literal('kdump-mem.socket/1'),
  ...censusEntrySchema.shape,
});

/** The last line of `kdump-mem sockets --ndjson`: the whole. A stream without it was cut off. */
export const socketsEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.sockets-end/1'),
  /** How many lines of sockets came before, and how many sockets more `--limit` left out. */
  listed: count,
  ...socketsSchema.pick({
    kernel: true,
    origin: true,
    omitted: true,
    totals: true,
    outsideQueues: true,
    warnings: true,
  }).shape,
});

export type SocketLineJson = z.infer<typeof socketLineSchema>;
export type SocketsEndJson = z.infer<typeof socketsEndSchema>;
export type CensusEntryJson = z.infer<typeof censusEntrySchema>;
export type SocketsJson = z.infer<typeof socketsSchema>;

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
