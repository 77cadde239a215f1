import { z } from 'zod';

const bytes = z.number().int().nonnegative();
const count = z.number().int().nonnegative();
const milliseconds = z.number().int().nonnegative();

const pinned = z
  .strictObject({ low: bytes, likely: bytes, high: bytes })
  .refine((each) => each.low <= each.likely && each.likely <= each.high);

const holder = z.strictObject({
  pid: count,
  comm: z.string().nullable(),
  fds: z.array(count).min(1),
  /** One state letter for each thread; null when the process ended meanwhile. */
  threadStates: z.string().nullable(),
  waitsIn: z.string().nullable(),
});

const socket = z.strictObject({
  /** The first of `holders`; null when there is none that we know. */
  pid: count.nullable(),
  comm: z.string().nullable(),
  fds: z.array(count),
  holders: z.array(holder),
  family: z.enum(['AF_INET', 'AF_INET6', 'AF_UNIX']),
  type: z.enum(['SOCK_STREAM', 'SOCK_DGRAM', 'SOCK_SEQPACKET']),
  protocol: z.enum(['TCP', 'UDP', 'UNIX']),
  state: z.string(),
  local: z.string(),
  peer: z.string(),
  inode: count,
  netns: count.nullable(),
  cgroup: z.string().nullable(),
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
      d: count,
    })
    .nullable(),
  /** Payload; for UDP truesize, for unix datagrams the next datagram only. */
  unreadBytes: bytes,
  stalled: z.strictObject({
    verdict: z.enum(['stalled-reader', 'undecided', 'reading']),
    certainty: z.enum(['proved', 'likely']).nullable(),
    /** The unread data has waited for at least so long; null: not known. */
    forMs: milliseconds.nullable(),
    because: z.string(),
  }),
  pinned,
});

/** What `skcheck --json` prints. Text in it is what the host said, hostile or not. */
export const skcheckSchema = z.strictObject({
  schema: z.literal('skcheck/1'),
  host: z.strictObject({
    name: z.string(),
    release: z.string(),
    netns: count.nullable(),
    takenAt: z.iso.datetime(),
    samples: z.union([z.literal(1), z.literal(2)]),
    /** From the end of the first sample to the beginning of the last; 0 with one sample. */
    watchedMs: milliseconds,
  }),
  sockets: z.array(socket),
  /** `unreadBytes` and `pinned` are those of the stalled sockets. */
  totals: z.strictObject({
    sockets: count,
    stalled: count,
    undecided: count,
    unreadBytes: bytes,
    pinned,
  }),
  warnings: z.array(
    z.strictObject({
      code: z.enum([
        'one-sample',
        'owner-unknown',
        'undecided',
        'row-unreadable',
        'row-contested',
        'no-tcp-info',
      ]),
      count,
      message: z.string(),
    }),
  ),
});

export type SkcheckReport = z.infer<typeof skcheckSchema>;
export type SkcheckSocket = SkcheckReport['sockets'][number];
export type SkcheckWarning = SkcheckReport['warnings'][number];
