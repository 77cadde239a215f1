import { LEAST_SLOW_MS, type Moment } from './judge.js';
import type { Verdict } from './verdict.js';

/** States in which sent data waits for the peer (SYN-SENT's one byte is no data). */
const SENDING = new Set(['ESTABLISHED', 'CLOSE-WAIT', 'FIN-WAIT-1', 'LAST-ACK', 'CLOSING']);

/**
 * A TCP socket whose peer took nothing between two samples: Send-Q (write_seq − snd_una) held data at
 * both, and `bytes_acked` did not move. With the persist timer running the peer has closed its
 * window, so it does not read; otherwise it does not answer at all, or the way is broken.
 * Null when nothing is wrong.
 */
export function judgeSender(first: Moment | null, last: Moment | null): Verdict | null {
  if (!first || !last || last.socket.protocol !== 'TCP') return null;
  const one = first.socket;
  const other = last.socket;
  if (!SENDING.has(other.state) || unsentBytes(one) === 0 || unsentBytes(other) === 0) return null;
  if (!one.tcp || !other.tcp || one.tcp.bytesAcked === null || other.tcp.bytesAcked === null)
    return null;
  if (one.tcp.bytesAcked !== other.tcp.bytesAcked) return null;
  const watchedMs = Math.max(0, last.startedMs - first.endedMs);
  if (watchedMs < LEAST_SLOW_MS) return null;
  const probing = other.timer?.kind === 'persist';
  const retransmits = other.timer?.kind === 'on' && other.timer.expired > 0;
  if (!probing && !retransmits && one.sendQ > other.sendQ) return null;
  return {
    verdict: 'stalled-sender',
    certainty: probing ? 'proved' : 'likely',
    waitedMs: watchedMs,
    evidence: {
      kind: 'acknowledged-nothing',
      unsentBytes: unsentBytes(other),
      probing,
      expired: other.timer?.expired ?? 0,
      watchedMs,
    },
  };
}

/** Bytes written that the peer has not acknowledged. Our own FIN takes one of Send-Q. */
export function unsentBytes({ state, sendQ }: Moment['socket']): number {
  if (!SENDING.has(state)) return 0;
  return state === 'ESTABLISHED' || state === 'CLOSE-WAIT' ? sendQ : Math.max(0, sendQ - 1);
}
