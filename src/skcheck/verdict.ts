/**
 * What is wrong with a socket, worst first.
 * - `deadlocked-pair`: both ends are on this host, neither reads, and each waits to be read.
 * - `stalled-reader`: its application takes nothing of what has come.
 * - `stalled-sender`: the peer takes nothing of what was sent.
 * - `never-accepting`: connections wait at a listener that accepts none.
 * - `backlog-full`: a listener has as many waiting connections as it lets wait.
 * - `udp-dropping`: datagrams are dropped because its queue is full (also raw, packet, netlink).
 * - `slow-reader`: it reads, and data waits longer than we watched.
 * - `undecided`: there is unread data, and no way to tell.
 * - `reading`: it took something.
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

/** The verdicts that say: who has this socket open has stopped reading it. */
export const STALE_CODES: readonly VerdictCode[] = ['deadlocked-pair', 'stalled-reader'];

/** True for the verdicts that name something wrong. */
export function isProblem(code: VerdictCode): boolean {
  return code !== 'undecided' && code !== 'reading';
}

/** `proved` by what the kernel counts, or `likely`: the evidence fits and could have another cause. */
export type Certainty = 'proved' | 'likely';

export interface Verdict {
  readonly verdict: VerdictCode;
  /** Null when nothing is wrong, or not known to be. */
  readonly certainty: Certainty | null;
  /** Data has certainly waited unread for so long, milliseconds; null when that is not known. */
  readonly waitedMs: number | null;
  readonly evidence: Evidence;
}

/** Orders the worst first. */
export function bySeverity(a: Verdict, b: Verdict): number {
  return VERDICT_CODES.indexOf(a.verdict) - VERDICT_CODES.indexOf(b.verdict);
}

/** What a verdict rests on; `answers/` puts it into words. Times are milliseconds. */
export type Evidence =
  /** TCP: bytes received less bytes unread, the same in both samples. */
  | { readonly kind: 'consumed-nothing'; readonly watchedMs: number }
  | { readonly kind: 'consumed'; readonly bytes: number; readonly watchedMs: number }
  /** One sample: the newest data came so long ago, and all unread data before it. */
  | { readonly kind: 'newest-data'; readonly ageMs: number }
  /** The queue held nothing at the first sample, so the data came after it. */
  | { readonly kind: 'came-since'; readonly watchedMs: number }
  /** Nobody who could read, or nobody who could write, ran; the queue stayed as it was. */
  | {
      readonly kind: 'did-not-run';
      /** Which of the two stood still; `either`: now the one, now the other. */
      readonly side: 'reader' | 'writer' | 'either';
      readonly watchedMs: number;
      /** False: processes that we may not look into could hold the socket too. */
      readonly holdersComplete: boolean;
    }
  /** The same, in a part of the time only. */
  | { readonly kind: 'partly-idle'; readonly idleMs: number; readonly watchedMs: number }
  | { readonly kind: 'queue-was-read' }
  /** It took less than was waiting when we began: what is left of that waits still. */
  | {
      readonly kind: 'consumed-part';
      readonly bytes: number;
      readonly received: number;
      readonly watchedMs: number;
    }
  /** TCP: nothing acknowledged; `probing`: the peer's window is closed (persist timer). */
  | {
      readonly kind: 'acknowledged-nothing';
      readonly unsentBytes: number;
      readonly probing: boolean;
      /** How often the timer has run out: probes, or retransmissions. */
      readonly expired: number;
      readonly watchedMs: number;
    }
  /** A connection that waited at the first sample still does, and all others from then too. */
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
      /** sk_rmem_alloc and sk_rcvbuf at the last sample; null: not known. */
      readonly queue: { readonly bytes: number; readonly limit: number } | null;
      readonly watchedMs: number;
    }
  /** Both ends hold unread data and have sent what the other does not read. */
  | {
      readonly kind: 'waits-for-each-other';
      readonly peerInode: number;
      readonly peerPid: number | null;
      readonly watchedMs: number;
    }
  /** Both sides ran: the queue may have been emptied and filled again. */
  | { readonly kind: 'both-ran'; readonly watchedMs: number }
  /** UDP, unix: we know of no process that holds the socket. */
  | { readonly kind: 'no-holder' }
  | { readonly kind: 'no-tcp-info' }
  /** The two figures of one sample were taken apart in time and contradict each other. */
  | { readonly kind: 'raced' }
  /** The first sample has lost lines, and this socket may have been in one of them. */
  | { readonly kind: 'first-sample-torn' }
  /** One sample says nothing about a socket of this protocol. */
  | { readonly kind: 'one-sample' };
