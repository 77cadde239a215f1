import { z } from 'zod';
import type { Immutable } from '../base/util.js';
import { QUEUE_NAMES } from '../records/queues.js';
import { address, count, kernelSchema, originSchema, warningSchema } from './common.js';

/** Names (protocols, addresses, tasks, cgroups) are as in the kernel. */

/** Figures of one queue, or the sum of several. */
const figuresSchema = z.strictObject({
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

const socketSchema = z.strictObject({
  /** Of its `struct file`; 0: it has none. */
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

/** Parts of `total.pinnedBytes`. */
const ownership = {
  /** All references are found here: these bytes are freed if all of them are dropped. */
  exclusiveBytes: count,
  /**
   * Other holders have references as well: a socket, process, driver or page-frag cache. Or a driver’s page
   * pool has room for it, and may take it back.
   */
  sharedBytes: count,
};

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

const queueNameSchema = z.enum(QUEUE_NAMES);

const processSchema = z.strictObject({ pid: z.int().nonnegative(), comm: z.string() });

/** A socket, the contents of each of its queues, and the memory that they pin together. */
const accountShape = {
  socket: socketSchema,
  queues: z.partialRecord(queueNameSchema, figuresSchema),
  /** Of all queues; shared memory is counted once. */
  total: figuresSchema,
  /** Received payload, without the part of the first skb that was already read; null: unknown. */
  unreadBytes: count.nullable(),
  ...ownership,
};

/** A queue entry, listed by `--verbose`. */
const skbEntrySchema = z.strictObject({
  address,
  /** Payload: `skb->len`, bytes. */
  length: count,
  /** Charge to the socket: `skb->truesize`, bytes. */
  truesize: count,
  /** Number of entries of `frags`, in it and in the skbs of its frag_list. */
  frags: count,
});

/** `kdump-mem skb --pid N --fd N --json`; with `--sock`, there is no process and no fd. */
export const skbSchema = z.strictObject({
  schema: z.literal('kdump-mem.skb/1'),
  kernel: kernelSchema,
  process: processSchema.nullable(),
  fd: count.nullable(),
  ...accountShape,
  /**
   * Includes this socket with its subflows and pending connections: none of it if another process holds the socket
   * too, and possibly none if a reference is of unknown origin. Null: no process was requested, or the holders of
   * the socket could not be read.
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
  /** Descriptors of one file are one socket. */
  sockets: z.array(z.strictObject({ fds: z.array(count), ...accountShape })),
  total: figuresSchema,
  /** Includes all memory of the process, and sockets without a descriptor. */
  freedIfKilled: freed,
  warnings: z.array(warningSchema),
});

const owner = { pid: count, comm: z.string(), cgroup: z.string().nullable() };
const holder = z.strictObject({ ...owner, fd: count });

// Keys of the published schema stand where they always stood.
const firstShape = { socket: socketSchema };

/** A socket of the census. */
const censusEntrySchema = z.strictObject({
  ...firstShape,
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
  ...accountShape,
});

/** A row of `--by`: the memory that a group of sockets pins. */
const groupSchema = z.strictObject({
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

export type SkbAnswer = Immutable<z.output<typeof skbSchema>>;
export type SkbJson = Immutable<z.input<typeof skbSchema>>;
/** Every socket of a process. */
export type ProcessSockets = Immutable<z.output<typeof skbProcessSchema>>;
export type SkbProcessJson = Immutable<z.input<typeof skbProcessSchema>>;
export type SocketsAnswer = Immutable<z.output<typeof socketsSchema>>;
export type SocketsJson = Immutable<z.input<typeof socketsSchema>>;
export type SocketLine = Immutable<z.output<typeof socketLineSchema>>;
export type SocketLineJson = Immutable<z.input<typeof socketLineSchema>>;
export type SocketsEnd = Immutable<z.output<typeof socketsEndSchema>>;
export type SocketsEndJson = Immutable<z.input<typeof socketsEndSchema>>;
/** A socket, the contents of each of its queues, and the memory that they pin together. Text is untrusted, in all of these. */
export type SocketAccount = Pick<SkbAnswer, keyof typeof accountShape>;
export type SocketEnds = Pick<SocketAccount['socket'], keyof typeof socketEndsShape>;
/** Bytes without another holder, and with one. */
export type Ownership = Pick<SocketAccount, keyof typeof ownership>;
/** Figures of one or more queues. */
export type Figures = SocketAccount['total'];
/** Bounds of the bytes that are returned to the allocators. */
export type Freed = ProcessSockets['freedIfKilled'];
export type Skb = NonNullable<NonNullable<SkbAnswer['skbs']>['receive']>[number];
/** One socket of the machine, with its memory. */
export type ListedSocket = SocketsAnswer['sockets'][number];
/** A process that references a socket. */
export type CensusOwner = ListedSocket['mappedBy'][number];
/** A process that holds a socket. */
export type CensusHolder = ListedSocket['holders'][number];
/** Memory that the sockets of a group pin together. A socket that two processes hold is in both groups. */
export type Group = NonNullable<SocketsAnswer['groups']>[number];
