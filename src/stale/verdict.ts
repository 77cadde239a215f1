/**
 * What is wrong with a socket. `stalled-reader`: its application takes nothing of what has come.
 * `reading`: it took something. `undecided`: there is unread data, and no way to tell.
 */
export type VerdictCode = 'stalled-reader' | 'reading' | 'undecided';

/** `proved` by what the kernel counts, or `likely`: the evidence fits and could have another cause. */
export type Certainty = 'proved' | 'likely';

export interface Verdict {
  readonly verdict: VerdictCode;
  /** Null unless stalled. */
  readonly certainty: Certainty | null;
  /** Data has certainly waited unread for so long, milliseconds; null when that is not known. */
  readonly waitedMs: number | null;
  readonly evidence: Evidence;
}

/** What a verdict rests on; `report/` puts it into words. Times are milliseconds. */
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
      readonly kind: 'nobody-ran';
      /** Which of the two stood still; `either`: now the one, now the other. */
      readonly side: 'reader' | 'writer' | 'either';
      readonly watchedMs: number;
      /** False: processes that we may not look into could hold the socket too. */
      readonly holdersComplete: boolean;
    }
  /** The same, in a part of the time only. */
  | { readonly kind: 'partly-still'; readonly stillMs: number; readonly watchedMs: number }
  | { readonly kind: 'queue-was-read' }
  /** Both sides ran: the queue may have been emptied and filled again. */
  | { readonly kind: 'both-ran'; readonly watchedMs: number }
  /** UDP, unix: we know of no process that holds the socket. */
  | { readonly kind: 'no-holder' }
  | { readonly kind: 'no-tcp-info' }
  /** The two figures of one sample were taken apart in time and contradict each other. */
  | { readonly kind: 'raced' }
  /** One sample says nothing about a socket of this protocol. */
  | { readonly kind: 'one-sample' };
