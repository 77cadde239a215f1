import { z } from 'zod';
import { HOST_ERROR_CODES, KERNEL_ERROR_CODES, READ_ERROR_CODES } from '../base/errors.js';
import type { Immutable } from '../base/util.js';
import { type capturedSchema, count, kernelSchema, originSchema } from '../contracts/common.js';
import { QUEUE_NAMES } from '../walk/queues/queue.js';

/**
 * Common JSON contract of kdump-mem commands, version 1. Addresses are hex strings, sizes are bytes, counts
 * are integers. Text from a dump (comm, addresses, protocol names) is copied from the kernel and
 * JSON-escaped.
 */

export { capturedSchema, count, kernelSchema, originSchema } from '../contracts/common.js';

export const warningSchema = z.strictObject({ code: z.string(), message: z.string() });

export const address = z.string().regex(/^0x[0-9a-f]{1,16}$/);

export type OriginJson = Immutable<z.infer<typeof originSchema>>;

export type CapturedJson = Immutable<z.infer<typeof capturedSchema>>;

/** Figures of one queue, or the sum of several. */
export const figuresSchema = z.strictObject({
  /** List entries. */
  skbs: count,
  /** Σ `skb->len`. */
  payloadBytes: count,
  /** Σ `skb->truesize`. */
  truesizeBytes: count,
  /** Frag entries, including those of frag_lists; entries that clones share count once. */
  frags: count,
  /** Maximum number of frags of a list entry, including its frag_list. */
  maxFragsPerSkb: count,
  /** Unique page allocations. */
  pages: count,
  /** Number of allocations by order; `unknown` if the kernel does not record it. */
  orders: z.record(z.string().regex(/^(\d{1,2}|unknown)$/), count),
  /** Σ page size << order over the unique allocations; one page if the order is unknown. */
  pageBytes: count,
  /** Slab slots in use: skb objects and slab-allocated linear heads, each once. */
  slabBytes: count,
  pinnedBytes: count,
  /** False if something could not be read; a warning describes it. */
  complete: z.boolean(),
});

/**
 * The two ends of a socket as fields (src/records/socket-ends.ts); null: no end, or a name instead of an
 * address.
 */
export const socketEndsShape = {
  /**
   * IP address without brackets and interface, `*` for any address of either family, or the CID of a vsock.
   */
  localAddress: z.string().nullable(),
  localPort: count.nullable(),
  peerAddress: z.string().nullable(),
  peerPort: count.nullable(),
};

export const socketSchema = z.strictObject({
  file: address,
  sock: address,
  /** 0: no `struct socket`; null: not in the dump. */
  inode: count.nullable(),
  family: z.string(),
  type: z.string(),
  protocol: z.string(),
  state: z.string(),
  local: z.string().nullable(),
  peer: z.string().nullable(),
  ...socketEndsShape,
  /** Null if the namespace cannot be read. */
  netns: count.nullable(),
});

/** Received payload, without the part of the first skb that was already read; null: unknown. */
const unreadBytes = count.nullable();

/** Parts of `total.pinnedBytes`: memory without other holders, and with other holders. */
const ownership = { exclusiveBytes: count, sharedBytes: count };

/** Bounds of the bytes freed if the process is killed. */
const freed = z.strictObject({
  /**
   * Memory whose references are all held by objects that would be freed; includes pages that a driver’s page
   * pool has no room for.
   */
  low: count,
  /**
   * Memory freed if every other holder releases its part, including unsent data of peers on this machine,
   * without pages that page pools keep. Null: something could not be read, or may not belong to the process.
   */
  high: count.nullable(),
  /** Part of the difference that the page pools of drivers may take back and keep. */
  toPools: count,
  /** Memory that page pools take back and keep: lower and upper bound; null: unknown. */
  keptByPools: z.strictObject({ low: count, high: count.nullable() }),
  /** The difference between `low` and `high` by reason; its parts sum to it. Null if `high` is null. */
  between: z
    .strictObject({
      /** Also held by other processes or the kernel; in the answer to one fd, by other sockets of the process too. */
      shared: count,
      /** Page pools may have room for it, or parts of its pages are in use elsewhere. */
      pools: count,
      /** Unsent data that connections keep after close until it is acknowledged or they time out. */
      unsent: count,
      /** Unsent data of peers on this machine. */
      peers: count,
      /** Memory of sockets for which a reference was not found. */
      uncertain: count,
    })
    .nullable(),
});

export const queueNameSchema = z.enum(QUEUE_NAMES);

export const queuesSchema = z.partialRecord(queueNameSchema, figuresSchema);

export const processSchema = z.strictObject({ pid: z.int().nonnegative(), comm: z.string() });

/** A queue entry, listed by `--verbose`. */
export const skbEntrySchema = z.strictObject({ address, length: count, truesize: count, frags: count });

/** `kdump-mem skb --pid N --fd N --json`; with `--sock`, there is no process and no fd. */
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
  /**
   * Includes this socket with its subflows and pending connections. Null: no process was requested, or it was
   * not found again.
   */
  freedIfKilled: freed.nullable(),
  skbs: z.partialRecord(queueNameSchema, z.array(skbEntrySchema)).optional(),
  warnings: z.array(warningSchema),
});

/** `kdump-mem skb --pid N --json`: all sockets of the process, in decreasing order of pinned memory. */
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
  /** Includes all memory of the process, and sockets without a descriptor. */
  freedIfKilled: freed,
  warnings: z.array(warningSchema),
});

const owner = { pid: count, comm: z.string(), cgroup: z.string().nullable() };
const holder = z.strictObject({ ...owner, fd: count });

/** A socket of the census. */
export const censusEntrySchema = z.strictObject({
  socket: socketSchema,
  holders: z.array(holder),
  /** Processes that map its file (as for AF_PACKET rings), once per mapping. */
  mappedBy: z.array(z.strictObject(owner)),
  foundBy: z.array(z.enum(['fd', 'slab', 'accept', 'scm', 'io_uring', 'mptcp'])),
  /** Listener whose accept queue contains it. */
  acceptedFrom: address.nullable(),
  /** MPTCP connection of this subflow. */
  subflowOf: address.nullable(),
  /** Sockets whose queued messages carry its file, once per message. */
  carriedBy: z.array(address),
  /** Processes with io_uring instances that its file is registered with. */
  registeredWith: z.array(z.strictObject({ pid: count, comm: z.string(), fd: count })),
  queues: queuesSchema,
  total: figuresSchema,
  unreadBytes,
  ...ownership,
});

/** A row of `--by`: the memory that a group of sockets pins. */
export const groupSchema = z.strictObject({
  key: z.string(),
  /** Pid if the group is a process, otherwise null. */
  pid: count.nullable(),
  comm: z.string().nullable(),
  sockets: count,
  total: figuresSchema,
  ...ownership,
  /** Null: the group is not a process. */
  freedIfKilled: freed.nullable(),
});

/** `kdump-mem sockets --json`; totals count each page of the machine once. */
export const socketsSchema = z.strictObject({
  schema: z.literal('kdump-mem.sockets/1'),
  kernel: kernelSchema,
  origin: originSchema,
  sockets: z.array(censusEntrySchema),
  /** Number of sockets (of groups, if there are any) omitted by `--limit`. */
  omitted: count,
  /** Whether all sockets that are not listed pin nothing, since no other option omitted any. */
  allListed: z.boolean(),
  groups: z.array(groupSchema).optional(),
  totals: z.strictObject({ sockets: count, ...figuresSchema.shape }),
  outsideQueues: z.array(
    z.strictObject({
      what: z.string(),
      objects: count.nullable(),
      bytes: count.nullable(),
      message: z.string(),
      /** False if memory that the count requires is missing or damaged. */
      complete: z.boolean(),
    }),
  ),
  warnings: z.array(warningSchema),
});

/** A line of `kdump-mem sockets --ndjson`: one socket. */
export const socketLineSchema = z.strictObject({ schema: z.literal('kdump-mem.socket/1'), ...censusEntrySchema.shape });

/** The last line of `kdump-mem sockets --ndjson`: totals. A stream without it is truncated. */
export const socketsEndSchema = z.strictObject({
  schema: z.literal('kdump-mem.sockets-end/1'),
  /** Number of socket lines before this one, and number of sockets omitted by `--limit`. */
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

export type SocketLineJson = Immutable<z.infer<typeof socketLineSchema>>;
export type SocketsEndJson = Immutable<z.infer<typeof socketsEndSchema>>;
export type CensusEntryJson = Immutable<z.infer<typeof censusEntrySchema>>;
export type SocketsJson = Immutable<z.infer<typeof socketsSchema>>;

export type SkbJson = Immutable<z.infer<typeof skbSchema>>;
export type SkbProcessJson = Immutable<z.infer<typeof skbProcessSchema>>;

/** A function on the stack of an allocation, or a line of source. Names are untrusted. */
export const siteFrameSchema = z.strictObject({
  symbol: z.string().nullable(),
  /** Bytes from the start of the function. */
  offset: count.nullable(),
  module: z.string().nullable(),
  /** File and line; null: the source does not report them. */
  line: z.string().nullable(),
  /** Always false: frames come from the kernel’s own unwinder. */
  guess: z.boolean(),
});

/** Why a source could not be had. */
export const unavailableCode = z.enum([...KERNEL_ERROR_CODES, ...READ_ERROR_CODES, ...HOST_ERROR_CODES]);
