import { z } from 'zod';
import { SOCKET_FAMILIES, SOCKET_PROTOCOLS, SOCKET_TYPES } from '../../host/socket.js';
import { VERDICT_CODES } from '../../skcheck/verdict.js';
import { socketEndsShape } from '../schema.js';
import { SKCHECK_REASON_CODES } from './reasons.js';

const bytes = z.number().int().nonnegative();
const count = z.number().int().nonnegative();
const milliseconds = z.number().int().nonnegative();

/**
 * `atMost` is the upper bound: null where it is not known, because only the memory of the host that
 * happens to be free bounds it. `high` is a number always, as it was published: `atMost` where that is
 * known, else that memory, which changes from look to look and says nothing of the socket.
 */
const pinned = z
  .strictObject({ low: bytes, likely: bytes, high: bytes, atMost: bytes.nullable() })
  .refine(
    (each) =>
      each.low <= each.likely &&
      each.likely <= each.high &&
      (each.atMost === null || each.atMost === each.high),
  );

const holder = z.strictObject({
  pid: count,
  comm: z.string().nullable(),
  fds: z.array(count).min(1),
  /** One state letter for each thread; null when the process ended meanwhile. */
  threadStates: z.string().nullable(),
  waitsIn: z.string().nullable(),
  /** Its pid in each pid namespace, ours first. */
  nsPids: z.array(count),
  /** The path of its cgroup, and what that path says of container and pod. */
  cgroup: z.string().nullable(),
  container: z.string().nullable(),
  runtime: z.string().nullable(),
  pod: z.string().nullable(),
});

/** A unix socket at the other end, and the first process that has it open, where one is known. */
const otherEnd = z.strictObject({
  inode: count,
  pid: count.nullable(),
  comm: z.string().nullable(),
  fds: z.array(count),
});

const verdict = z.enum(VERDICT_CODES);

/** What `because` says, one after another. Figures have names that each code has for good. */
const reasons = z
  .array(
    z.strictObject({
      code: z.enum(SKCHECK_REASON_CODES),
      figures: z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()])),
    }),
  )
  .min(1);

const certainty = z.enum(['proved', 'likely']).nullable();

const socket = z.strictObject({
  /** The first of `holders`; null when there is none that we know. Its descriptors are `fds`. */
  pid: count.nullable(),
  comm: z.string().nullable(),
  fds: z.array(count),
  /**
   * `descriptor`: `holders` have it open. `accept-queue`: nobody has accepted it, `holders` have the
   * listener open at which it waits, by `fds`. Null: nobody is known.
   */
  via: z.enum(['descriptor', 'accept-queue']).nullable(),
  holders: z.array(holder),
  /**
   * The listener that has not accepted it. Several when they share its port (SO_REUSEPORT): which of
   * them it waits at is not told, and `holders` is empty unless all of them are one process's.
   */
  listeners: z.array(
    z.strictObject({
      inode: count,
      local: z.string(),
      localAddress: socketEndsShape.localAddress,
      localPort: socketEndsShape.localPort,
    }),
  ),
  family: z.enum(SOCKET_FAMILIES),
  type: z.enum(SOCKET_TYPES),
  protocol: z.enum(SOCKET_PROTOCOLS),
  state: z.string(),
  local: z.string(),
  peer: z.string(),
  ...socketEndsShape,
  inode: count,
  /** The inode of its network namespace, and the name that it is mounted under. */
  netns: count.nullable(),
  netnsName: z.string().nullable(),
  /** The socket's own cgroup (v2), which ss tells; else its first holder's. */
  cgroup: z.string().nullable(),
  container: z.string().nullable(),
  pod: z.string().nullable(),
  /** Unix listeners: the known clients whose connections wait to be accepted, oldest first. */
  waiting: z.array(otherEnd),
  /** Unix: the end that this one is connected to; null where there is none. */
  otherEnd: otherEnd.nullable(),
  /**
   * TCP readers that are stalled: the peer, where that is a socket of this host (in any network namespace
   * that was read) with data in its send queue. Its first process, where one is known, and what the send
   * queue keeps until the reader reads or exits; that is not in the `pinned` of this socket.
   */
  localPeer: otherEnd.extend({ netns: count.nullable(), unsentBytes: bytes, pinned }).nullable(),
  recvQ: count,
  sendQ: count,
  /** The names of `ss -m`: bytes, `d` is a count. */
  skmem: z
    .strictObject({
      r: bytes,
      rb: bytes,
      t: bytes,
      tb: bytes,
      f: bytes,
      w: bytes,
      o: bytes,
      bl: bytes,
      d: count.nullable(),
    })
    .nullable(),
  /** Payload; for UDP, raw, packet, netlink, MPTCP and SCTP truesize, for unix datagrams the next one only. */
  unreadBytes: bytes,
  /** TCP: written, and not acknowledged by the peer. */
  unsentBytes: bytes,
  stalled: z.strictObject({
    verdict,
    certainty,
    /** It has been like this for at least so long; null: not known. */
    forMs: milliseconds.nullable(),
    because: z.string(),
    reasons,
  }),
  /** What else is wrong with it. */
  also: z.array(z.strictObject({ verdict, certainty, because: z.string(), reasons })),
  pinned,
  /** With --exact: counted in the kernel's memory, bytes; null where it was not counted. */
  counted: z
    .strictObject({ skbs: count, pages: count, pinnedBytes: bytes, complete: z.boolean() })
    .nullable(),
});

/** What limits an answer, or is near a limit. */
export const SKCHECK_WARNING_CODES = [
  'one-sample',
  'owner-unknown',
  'undecided',
  'row-unreadable',
  'row-contested',
  'row-left-out',
  'ss-old',
  'no-tcp-info',
  'netns-closed',
  'netns-hidden',
  'without-ss',
  'tcp-orphans',
  'time-wait',
  'tcp-memory',
  'udp-memory',
  'census',
  'exact',
  'capture',
] as const;

/** What `skcheck --json` prints. Text in it is what the host said, hostile or not. */
export const skcheckSchema = z.strictObject({
  schema: z.literal('skcheck/1'),
  host: z.strictObject({
    name: z.string(),
    release: z.string(),
    netns: count.nullable(),
    takenAt: z.iso.datetime(),
    /** False: a sosreport or capture does not tell it, and `takenAt` is when it was read. */
    takenAtKnown: z.boolean(),
    /** Another one after each boot; null: it is not told. */
    bootId: z.string().nullable(),
    uptimeSeconds: z.number().nonnegative().nullable(),
    samples: z.number().int().min(1),
    /** The network namespaces looked at. */
    namespaces: count,
    /** Where the sockets were read: by `ss`, from `/proc/net` alone, or from a capture. */
    source: z.enum(['ss', 'procfs', 'capture']),
    /** From the end of the first sample to the beginning of the last; 0 with one sample. */
    watchedMs: milliseconds,
  }),
  sockets: z.array(socket),
  /** False: something could not be looked at (`warnings` say what), so that none found is no all-clear. */
  complete: z.boolean(),
  /** `unreadBytes` and `pinned` are those of the stalled sockets; `unbounded`: how many of them have no `atMost`. */
  totals: z.strictObject({
    sockets: count,
    stalled: count,
    undecided: count,
    /** Sockets by verdict. */
    verdicts: z.record(verdict, count),
    unreadBytes: bytes,
    unbounded: count,
    pinned,
    /** What the send queues of their local peers keep, each once, and without what `pinned` has. */
    localPeers: z.strictObject({ sockets: count, unsentBytes: bytes, pinned }),
    /** The process whose stalled sockets likely pin most, and what they pin together. */
    worstOwner: z
      .strictObject({
        pid: count,
        comm: z.string().nullable(),
        sockets: count,
        /** Of `sockets`, those that other processes hold as well. */
        shared: count,
        /** It and all who hold these with it are stopped (SIGSTOP). */
        stopped: z.boolean(),
        /** Of `sockets`, those that wait in the accept queue of a listener of its. */
        unaccepted: count,
        likelyPinnedBytes: bytes,
        /** What the send queues of their local peers likely keep besides. */
        localPeers: count,
        likelyLocalPeersBytes: bytes,
      })
      .nullable(),
    /**
     * Of `sockets`, those of MPTCP. Each has TCP sockets beneath it (subflows), which ss lists as well;
     * both have the inode of one descriptor. `sockets` counts rows of ss, and with --pid descriptors'
     * inodes (and what waits at its listeners), so that it differs by the subflows.
     */
    mptcp: count,
    /** What `sockets` counts. */
    countedBy: z.enum(['row', 'descriptor']),
  }),
  /** Processes with something wrong that is not one socket's. */
  processes: z.array(
    z.strictObject({
      verdict: z.literal('fd-leak'),
      pid: count,
      /** Null when it ended before its name was read: `because` says so. */
      comm: z.string().nullable(),
      from: count,
      to: count,
      because: z.string(),
      reasons,
    }),
  ),
  /** The host's own bounds on what sockets pin; null where they are not known or not asked for. */
  bounds: z.strictObject({
    /** Memory that no counter of /proc/meminfo places: pages of packets are within it. */
    unplacedBytes: bytes,
    /** From /proc/kpageflags: allocations that are neither slab, file, anonymous nor page tables. */
    census: z
      .strictObject({
        /** Allocations by order. */
        orders: z.record(z.string(), count),
        bytes,
        durationMs: milliseconds,
      })
      .nullable(),
    /** skbuff_head_cache × (MAX_SKB_FRAGS + 1) × 32 KiB: possible in theory, never seen. */
    theoreticalWorstBytes: bytes.nullable(),
  }),
  warnings: z.array(
    z.strictObject({
      code: z.enum(SKCHECK_WARNING_CODES),
      count,
      message: z.string(),
    }),
  ),
});

export type SkcheckReport = z.infer<typeof skcheckSchema>;
export type SkcheckSocket = SkcheckReport['sockets'][number];
export type SkcheckBounds = SkcheckReport['bounds'];
export type SkcheckWarning = SkcheckReport['warnings'][number];
