import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import type { SkcheckReport } from './schema.js';
import { formatSpan } from './words.js';

/** What stands above the table, a line each: what matters first, then what it was judged by. */
export function headlinesOf(report: SkcheckReport): [string, ...string[]] {
  const { host, totals, processes, bounds } = report;
  const lines: [string, ...string[]] = [headlineOf(report)];
  if (host.source === 'capture') lines.push(captureWords(host));
  const others = othersOf(report);
  if (others !== '') lines.push(others);
  if (totals.mptcp > 0) lines.push(mptcpWords(totals));
  if (host.samples === 1)
    lines.push(
      `(from one sample, judged by when data last came; ${host.source === 'capture' ? 'skcheck --capture takes two, which are surer' : '--interval 2 is surer'})`,
    );
  if (bounds.census) lines.push(...boundsOf(bounds));
  for (const { pid, comm, because } of processes)
    lines.push(
      `pid ${pid}${comm === null ? '' : ` (${escapeText(comm)})`}: ${because} (may leak descriptors)`,
    );
  return lines;
}

function headlineOf({ totals, host, complete }: SkcheckReport): string {
  const { stalled, sockets } = totals;
  const of = `${formatCount(sockets)} ${sockets === 1 ? 'socket' : 'sockets'}`;
  if (stalled === 0) {
    const doubts = [
      ...(totals.undecided === 0 ? [] : [`${formatCount(totals.undecided)} could not be judged`]),
      ...(complete ? [] : ['not everything could be looked at']),
    ];
    return doubts.length === 0
      ? `None of ${of} has stopped reading`
      : `None of ${of} is seen to have stopped reading; ${doubts.join('; ')}`;
  }
  const have =
    host.samples === 1
      ? stalled === 1
        ? 'seems to have'
        : 'seem to have'
      : stalled === 1
        ? 'has'
        : 'have';
  const they = stalled === 1 ? 'it pins' : 'they pin';
  const { localPeers } = totals;
  const besides =
    localPeers.sockets === 0
      ? ''
      : `, and the send ${localPeers.sockets === 1 ? 'queue of a local peer' : `queues of ${formatCount(localPeers.sockets)} local peers`} ${pinnedWords(localPeers.pinned)}`;
  return `${formatCount(stalled)} of ${of} ${have} stopped reading; ${they} ${pinnedWords(totals.pinned)}${besides}`;
}

/** `about 33.0 KiB (4.88 KiB to 585 KiB)`, or without an upper bound where none is known. */
function pinnedWords({ low, likely, atMost }: SkcheckReport['totals']['pinned']): string {
  return atMost === null
    ? `at least ${formatSize(low)}, likely ${formatSize(likely)}`
    : `about ${formatSize(likely)} (${formatSize(low)} to ${formatSize(atMost)})`;
}

/** Where and when a capture was taken, so that nobody takes it for this host, now. */
function captureWords({ name, takenAt, takenAtKnown }: SkcheckReport['host']): string {
  const where = name === '' ? 'a host that it does not name' : escapeText(name);
  const when = takenAtKnown
    ? `${takenAt.slice(0, 10)} ${takenAt.slice(11, 19)} UTC`
    : 'at a time that it does not tell';
  return `Captured on ${where}, ${when}`;
}

function mptcpWords({ mptcp, countedBy }: SkcheckReport['totals']): string {
  const all = `${formatCount(mptcp)} ${mptcp === 1 ? 'is MPTCP' : 'are MPTCP'}`;
  const counted =
    countedBy === 'descriptor'
      ? 'with --pid both are counted as the one descriptor that they are'
      : 'both are counted';
  return `(${all}: ss lists the TCP sockets beneath, its subflows, as well; ${counted})`;
}

/** With --census: what all sockets together can pin at most. */
function boundsOf({ census, theoreticalWorstBytes }: SkcheckReport['bounds']): string[] {
  if (!census) return [];
  const orders = Object.entries(census.orders).map(
    ([order, count]) => `${formatCount(count)} of order ${order}`,
  );
  const words = [
    `Census: ${formatSize(census.bytes)} of pages that packets can lie in (${orders.join(', ') || 'none'}), counted in ${formatSpan(census.tookMs)}.`,
  ];
  if (theoreticalWorstBytes !== null)
    words.push(
      `Theoretical worst case, not an estimate: ${formatSize(theoreticalWorstBytes)} (each skb in use with 18 pages of 32 KiB).`,
    );
  return words;
}

/** What else is wrong on the host, by number: `2 senders are stalled, 1 listener is full`. */
function othersOf({ totals: { verdicts } }: SkcheckReport): string {
  const said = OTHERS.flatMap(([code, one, many]) => {
    const count = verdicts[code] ?? 0;
    return count === 0 ? [] : [`${formatCount(count)} ${count === 1 ? one : many}`];
  });
  return said.length === 0 ? '' : `Also: ${said.join(', ')}`;
}

const OTHERS = [
  ['stalled-sender', 'sender waits for its peer', 'senders wait for their peers'],
  ['never-accepting', 'listener accepts nothing', 'listeners accept nothing'],
  ['backlog-full', 'listener is full', 'listeners are full'],
  ['udp-dropping', 'socket drops packets', 'sockets drop packets'],
  ['slow-reader', 'reader is too slow', 'readers are too slow'],
] as const;
