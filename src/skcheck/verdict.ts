/**
 * Possible problems of a socket, most severe first.
 * - `deadlocked-pair`: both ends are on this host, neither reads, and each waits to be read.
 * - `stalled-reader`: its application reads none of the received data.
 * - `stalled-sender`: the peer acknowledges none of the sent data.
 * - `never-accepting`: connections wait at a listener that accepts none.
 * - `backlog-full`: a listener's accept queue is full.
 * - `udp-dropping`: datagrams are dropped because its queue is full (also raw, packet, netlink).
 * - `slow-reader`: it reads, but data waits longer than the observation.
 * - `undecided`: there is unread data, and the evidence is inconclusive.
 * - `reading`: it read some data.
 */
export const VERDICT_CODES = [
  'deadlocked-pair',
  'stalled-reader',
  'stalled-sender',
  'never-accepting',
  'backlog-full',
  'udp-dropping',
  'slow-reader',
  'undecided',
  'reading',
] as const;
export type VerdictCode = (typeof VERDICT_CODES)[number];

/** Verdicts that mean that the holder has stopped reading the socket. */
export const STALE_CODES: readonly VerdictCode[] = ['deadlocked-pair', 'stalled-reader'];

export function isProblem(code: VerdictCode): boolean {
  return code !== 'undecided' && code !== 'reading';
}

/** `proved` by kernel counters, or `likely`: the evidence fits but allows another cause. */
export type Certainty = 'proved' | 'likely';

export interface Verdict {
  readonly verdict: VerdictCode;
  /** Null if there is no problem, or none is known. */
  readonly certainty: Certainty | null;
  /** Minimum time for which data has been unread, milliseconds; null if unknown. */
  readonly waitedMs: number | null;
  readonly evidence: Evidence;
}

/** Compares verdicts: most severe first. */
export function bySeverity(a: Verdict, b: Verdict): number {
  return VERDICT_CODES.indexOf(a.verdict) - VERDICT_CODES.indexOf(b.verdict);
}

/** Evidence for a verdict; `answers/` formats it. Times are milliseconds. */
export type Evidence =
  /** TCP: received minus unread bytes, unchanged between the samples. */
  | { readonly kind: 'consumed-nothing'; readonly watchedMs: number }
  | { readonly kind: 'consumed'; readonly bytes: number; readonly watchedMs: number }
  /** One sample: age of the newest data; all unread data is at least as old. */
  | { readonly kind: 'newest-data'; readonly ageMs: number }
  /** The queue was empty at the first sample, so the data arrived later. */
  | { readonly kind: 'came-since'; readonly watchedMs: number }
  /** No potential reader, or no potential writer, ran; the queue was unchanged. */
  | {
      readonly kind: 'did-not-run';
      /** The side that did not run; `either`: alternately. */
      readonly side: 'reader' | 'writer' | 'either';
      readonly watchedMs: number;
      /** False: processes with unreadable descriptors could hold the socket too. */
      readonly holdersComplete: boolean;
    }
  /** The same, but only for part of the time. */
  | { readonly kind: 'partly-idle'; readonly idleMs: number; readonly watchedMs: number }
  | { readonly kind: 'queue-was-read' }
  /** Less was read than was queued at the start, so the rest of that data is still unread. */
  | { readonly kind: 'consumed-part'; readonly bytes: number; readonly received: number; readonly watchedMs: number }
  /** TCP: nothing acknowledged; `probing`: the peer's window is closed (persist timer). */
  | {
      readonly kind: 'acknowledged-nothing';
      readonly unsentBytes: number;
      readonly probing: boolean;
      /** Number of timer expirations: probes, or retransmissions. */
      readonly expired: number;
      readonly watchedMs: number;
    }
  /** The connections that were pending at the first sample are still pending. */
  | { readonly kind: 'accepted-nothing'; readonly waiting: number; readonly watchedMs: number }
  | {
      readonly kind: 'backlog-full';
      readonly waiting: number;
      readonly limit: number;
      /** Connections refused in between (LINUX_MIB_LISTENDROPS on this socket). */
      readonly dropped: number;
    }
  | {
      readonly kind: 'dropped';
      readonly packets: number;
      /** sk_rmem_alloc and sk_rcvbuf at the last sample; null: unknown. */
      readonly queue: { readonly bytes: number; readonly limit: number } | null;
      readonly watchedMs: number;
    }
  /** Both ends have unread data and have sent data that the other does not read. */
  | {
      readonly kind: 'waits-for-each-other';
      readonly peerInode: number;
      readonly peerPid: number | null;
      readonly watchedMs: number;
    }
  /** Both sides ran: the queue may have been emptied and refilled. */
  | { readonly kind: 'both-ran'; readonly watchedMs: number }
  /** UDP, unix: no known process holds the socket. */
  | { readonly kind: 'no-holder' }
  | { readonly kind: 'no-tcp-info' }
  /** The two values of one sample were read at different times and are inconsistent. */
  | { readonly kind: 'raced' }
  /** Lines of the first sample were lost, possibly including this socket. */
  | { readonly kind: 'first-sample-torn' }
  /** One sample is inconclusive for a socket of this protocol. */
  | { readonly kind: 'one-sample' };
