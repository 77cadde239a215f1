import { z } from 'zod';
import type { Immutable } from '../../base/util.js';
import { socketEndsShape } from '../../contracts/sockets.js';
import { SOCKET_FAMILIES, SOCKET_PROTOCOLS, SOCKET_TYPES } from '../../host/socket.js';
import { SOCKET_OWNERS } from '../../skcheck/socket-memory.js';
import { VERDICT_CODES } from '../../skcheck/verdict.js';
import { SKCHECK_REASON_CODES } from './reasons.js';

const bytes = z.number().int().nonnegative();
const count = z.number().int().nonnegative();
const milliseconds = z.number().int().nonnegative();

/**
 * `atMost` is the upper bound; null if the only bound is the free memory of the host. `high` is always a
 * number: `atMost` if known, otherwise that free memory, which differs between scans and is not a property of
 * the socket.
 */
const pinned = z
  .strictObject({ low: bytes, likely: bytes, high: bytes, atMost: bytes.nullable() })
  .refine(
    (estimate) =>
      estimate.low <= estimate.likely &&
      estimate.likely <= estimate.high &&
      (estimate.atMost === null || estimate.atMost === estimate.high),
  );

const holder = z.strictObject({
  pid: count,
  comm: z.string().nullable(),
  fds: z.array(count).min(1),
  /** One state letter per thread; null if the process exited meanwhile. */
  threadStates: z.string().nullable(),
  waitsIn: z.string().nullable(),
  /** Its pid in each pid namespace, starting with ours. */
  nsPids: z.array(count),
  /** Path of its cgroup, which contains the container and pod. */
  cgroup: z.string().nullable(),
  container: z.string().nullable(),
  runtime: z.string().nullable(),
  pod: z.string().nullable(),
});

/** A unix socket at the other end, and the first process that has it open, if known. */
const otherEnd = z.strictObject({
  inode: count,
  pid: count.nullable(),
  comm: z.string().nullable(),
  fds: z.array(count),
});

const verdict = z.enum(VERDICT_CODES);

/** Elements of `because`. Each code has fixed names of figures. */
const reasons = z
  .array(
    z.strictObject({
      code: z.enum(SKCHECK_REASON_CODES),
      figures: z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()])),
    }),
  )
  .min(1);

const certainty = z.enum(['proved', 'likely']).nullable();

/** Groups of `skcheck --by`. */
export const SKCHECK_GROUPINGS = ['process', 'cgroup', 'pod'] as const;
export type SkcheckGrouping = (typeof SKCHECK_GROUPINGS)[number];

/** Memory in the send queues of local peers, each counted once; `pinned` of the readers does not include it. */
const localPeers = z.strictObject({ sockets: count, unsentBytes: bytes, pinned });

/**
 * Listed sockets of one process, cgroup or pod. A socket with several holders counts for the first one, as in
 * its row.
 */
const group = z.strictObject({
  /** By process; null if no holder is known. */
  pid: count.nullable(),
  comm: z.string().nullable(),
  /** By cgroup: its path; null if unknown. */
  cgroup: z.string().nullable(),
  /** By pod: its uid; null for all sockets outside pods. */
  pod: z.string().nullable(),
  sockets: count,
  /** Number of `sockets` that are no longer read. */
  stalled: count,
  /** Number of `sockets` that further processes hold. */
  shared: count,
  unreadBytes: bytes,
  unsentBytes: bytes,
  /** Packets dropped between the samples. */
  drops: count,
  /** The longest minimum duration; null: unknown for all of them. */
  forMs: milliseconds.nullable(),
  pinned,
  localPeers,
});

const socket = z.strictObject({
  /** The first of `holders`; null if none is known. `fds` lists its descriptors. */
  pid: count.nullable(),
  comm: z.string().nullable(),
  fds: z.array(count),
  /**
   * `descriptor`: `holders` have the socket open. `accept-queue`: it is not accepted yet, and `holders` have
   * its listener open, as `fds`. Null: no holder is known.
   */
  via: z.enum(['descriptor', 'accept-queue']).nullable(),
  holders: z.array(holder),
  /**
   * The listener that has not accepted it yet. Several if they share its port (SO_REUSEPORT): ss does not
   * report which one, and `holders` is empty unless one process has all of them.
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
  /** Inode of its network namespace; `netnsName`: the name under which it is mounted. */
  netns: count.nullable(),
  netnsName: z.string().nullable(),
  /** The socket's own cgroup (v2) according to ss; otherwise that of its first holder. */
  cgroup: z.string().nullable(),
  container: z.string().nullable(),
  pod: z.string().nullable(),
  /** Unix listeners: known clients whose connections are not accepted yet, oldest first. */
  waiting: z.array(otherEnd),
  /** Unix sockets: the connected end; null if there is none. */
  otherEnd: otherEnd.nullable(),
  /**
   * Stalled TCP readers: the peer, if it is a socket of this host (in any network namespace that was read)
   * with data in its send queue. Contains its first process, if known, and the memory that the send queue
   * holds until the reader reads or exits; `pinned` of this socket does not include it.
   */
  localPeer: otherEnd.extend({ netns: count.nullable(), unsentBytes: bytes, pinned }).nullable(),
  recvQ: count,
  sendQ: count,
  /** Fields of `ss -m`: bytes, except `d`, which is a count. */
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
  /**
   * Payload. For UDP, raw, packet, netlink, MPTCP and SCTP it is truesize; for unix datagrams, only the next
   * one.
   */
  unreadBytes: bytes,
  /** TCP: written, but not acknowledged by the peer. */
  unsentBytes: bytes,
  stalled: z.strictObject({
    verdict,
    certainty,
    /** Minimum duration of this state; null: unknown. */
    forMs: milliseconds.nullable(),
    because: z.string(),
    reasons,
  }),
  /** Further problems of the socket. */
  also: z.array(z.strictObject({ verdict, certainty, because: z.string(), reasons })),
  pinned,
  /** With --exact: bytes counted in kernel memory; null if not counted. */
  counted: z.strictObject({ skbs: count, pages: count, pinnedBytes: bytes, complete: z.boolean() }).nullable(),
});

/** Limits of an answer, and of the host. */
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

/** Output of `skcheck --json`. Text from the host is untrusted. */
export const skcheckSchema = z.strictObject({
  schema: z.literal('skcheck/1'),
  host: z.strictObject({
    name: z.string(),
    release: z.string(),
    netns: count.nullable(),
    takenAt: z.iso.datetime(),
    /** False: the sosreport or capture does not contain the time, and `takenAt` is the time of reading. */
    takenAtKnown: z.boolean(),
    /** Differs after each boot; null: unknown. */
    bootId: z.string().nullable(),
    uptimeSeconds: z.number().nonnegative().nullable(),
    /** MemTotal of /proc/meminfo; null: unknown. */
    memoryBytes: count.nullable(),
    /** MemAvailable; null: unknown. */
    memoryAvailableBytes: count.nullable(),
    samples: z.number().int().min(1),
    /** Number of checked network namespaces. */
    namespaces: count,
    /** Source of the sockets: `ss`, `/proc/net` only, or a capture. */
    source: z.enum(['ss', 'procfs', 'capture']),
    /** Time from the end of the first sample to the start of the last; 0 with one sample. */
    watchedMs: milliseconds,
  }),
  sockets: z.array(socket),
  /** With --by: groups of the listed sockets, and their number before --top. Null without it. */
  groups: z.strictObject({ by: z.enum(SKCHECK_GROUPINGS), count, rows: z.array(group) }).nullable(),
  /** False: something could not be checked (see `warnings`), and the absence of findings proves nothing. */
  complete: z.boolean(),
  /**
   * `unreadBytes` and `pinned` cover the stalled sockets; `unbounded` is the number of them without `atMost`.
   */
  totals: z.strictObject({
    sockets: count,
    stalled: count,
    undecided: count,
    /** Sockets by verdict. */
    verdicts: z.record(verdict, count),
    unreadBytes: bytes,
    unbounded: count,
    pinned,
    /** `stalledSenders`: number of `sockets` with this verdict. */
    localPeers: localPeers.extend({ stalledSenders: count }),
    /** Number of `never-accepting` listeners whose queues contain stalled sockets. */
    listeners: count,
    /** The process whose stalled sockets likely pin the most, with their sum. */
    worstOwner: z
      .strictObject({
        pid: count,
        comm: z.string().nullable(),
        sockets: count,
        /** Number of `sockets` that other processes hold, too. */
        shared: count,
        /** Whether the process and all other holders are stopped (SIGSTOP). */
        stopped: z.boolean(),
        /** Number of `sockets` in the accept queues of its listeners. */
        unaccepted: count,
        likelyPinnedBytes: bytes,
        /** Additional memory in the send queues of local peers (likely value). */
        localPeers: count,
        likelyLocalPeersBytes: bytes,
      })
      .nullable(),
    /**
     * Number of MPTCP sockets among `sockets`. Each consists of TCP sockets (subflows) with the inode of the
     * same descriptor, which ss also lists. `sockets` counts rows of ss, but with --pid inodes of descriptors
     * (and connections in its accept queues); the two differ by the subflows.
     */
    mptcp: count,
    /** Unit of `sockets`. */
    countedBy: z.enum(['row', 'descriptor']),
  }),
  /**
   * Memory in the queues and rings of all sockets, stalled or not, by owner: those with 1 MiB or more, the largest
   * first.
   */
  owners: z.array(
    z.strictObject({
      /** `orphans`: TCP sockets closed here with unacknowledged data. `unknown`: no process with it was found. */
      kind: z.enum(SOCKET_OWNERS),
      pid: count.nullable(),
      comm: z.string().nullable(),
      sockets: count,
      pinned,
      /** Data in queues whose payload the kernel reports. */
      payloadBytes: bytes,
      /** Charge of the other queues (UDP, raw, packet, netlink, MPTCP, SCTP), overhead included. */
      chargedBytes: bytes,
      /** Part of `pinned`: rings of packet sockets (PACKET_RX_RING, PACKET_TX_RING). */
      ringBytes: bytes,
      /** Address of the peer of the largest socket, and its state. */
      largest: z.strictObject({ protocol: z.string(), state: z.string(), local: z.string(), peer: z.string() }),
      /** For `unknown`: the unix socket with the most descriptors in flight (SCM_RIGHTS), which may be these sockets. */
      inFlight: z.strictObject({ pid: count, comm: z.string().nullable(), fd: count, descriptors: count }).nullable(),
    }),
  ),
  /** Processes with problems that do not concern a single socket. */
  processes: z.array(
    z.strictObject({
      verdict: z.literal('fd-leak'),
      pid: count,
      /** Null if it exited before its name was read: `because` reports that. */
      comm: z.string().nullable(),
      from: count,
      to: count,
      because: z.string(),
      reasons,
    }),
  ),
  /** Host-wide bounds of pinned memory; null if unknown or not requested. */
  bounds: z.strictObject({
    /** Memory outside all counters of /proc/meminfo; it includes the pages of packets. */
    unplacedBytes: bytes.nullable(),
    /** Allocations that are neither slab, file, anonymous nor page tables, from /proc/kpageflags. */
    census: z
      .strictObject({
        /** Allocations by order. */
        orders: z.record(z.string(), count),
        bytes,
        durationMs: milliseconds,
      })
      .nullable(),
    /** skbuff_head_cache × (MAX_SKB_FRAGS + 1) × 32 KiB: a theoretical maximum that was never observed. */
    theoreticalWorstBytes: bytes.nullable(),
    /** Retransmissions after which the kernel frees an orphan (tcp_orphan_retries), and tcp_max_orphans. */
    orphanRetries: count.nullable(),
    maxOrphans: count.nullable(),
  }),
  warnings: z.array(z.strictObject({ code: z.enum(SKCHECK_WARNING_CODES), count, message: z.string() })),
});

export type SkcheckReport = Immutable<z.infer<typeof skcheckSchema>>;
export type SkcheckSocket = SkcheckReport['sockets'][number];
export type SkcheckGroups = NonNullable<SkcheckReport['groups']>;
export type SkcheckBounds = SkcheckReport['bounds'];
export type SkcheckWarning = SkcheckReport['warnings'][number];
