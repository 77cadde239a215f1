import { dropsAreLosses, type SocketRecord } from '../host/socket.js';
import { judge } from './judge.js';
import { judgeAccepting, judgeBacklog } from './judge-listener.js';
import { judgeSender } from './judge-sender.js';
import type { SocketHistory } from './socket-history.js';
import type { Verdict } from './verdict.js';

/** What is to be said of the reading of a socket with unread data. */
export function judgeReader(socket: SocketRecord, history: SocketHistory): Verdict {
  return judge({
    first: history.first(socket),
    last: history.last(socket),
    firstIsTorn: history.firstIsTorn(socket),
    windows: history.windows(socket),
  });
}

/** What is wrong besides with its reading: as a listener, as a sender, or because it drops. */
export function judgeOthers(socket: SocketRecord, history: SocketHistory): Verdict[] {
  const verdicts =
    socket.state === 'LISTEN'
      ? judgeListener(socket, history)
      : [judgeSender(history.first(socket), history.last(socket)), judgeDropping(socket, history)];
  return verdicts.filter((verdict) => verdict !== null);
}

function judgeListener(socket: SocketRecord, history: SocketHistory): (Verdict | null)[] {
  const first = history.first(socket);
  const last = history.last(socket);
  if (!first || !last) return [];
  const accepting = judgeAccepting({
    first,
    last,
    ...history.waiting(first.socket, socket),
    windows: history.windows(socket),
  });
  return [accepting, judgeBacklog(first.socket, socket)];
}

function judgeDropping(socket: SocketRecord, history: SocketHistory): Verdict | null {
  const first = history.first(socket);
  const last = history.last(socket);
  const packets = history.dropped(socket);
  if (packets === 0 || !first || !last || !dropsAreLosses(socket.protocol)) return null;
  const watchedMs = Math.max(0, last.startedMs - first.endedMs);
  return {
    verdict: 'udp-dropping',
    certainty: 'proved',
    waitedMs: null,
    evidence: {
      kind: 'dropped',
      packets,
      queue: socket.skmem && { bytes: socket.skmem.rmem, limit: socket.skmem.rcvbuf },
      watchedMs,
    },
  };
}
