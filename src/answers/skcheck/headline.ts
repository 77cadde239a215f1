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
      `(one sample, judged by the age of the newest data; ${host.source === 'capture' ? 'skcheck --capture takes two, which is more reliable' : '--interval 2 is more reliable'})`,
    );
  if (bounds.census) lines.push(...boundsOf(bounds));
  for (const { pid, comm, because } of processes)
    lines.push(
      `Possible descriptor leak in pid ${pid}${comm === null ? '' : ` (${escapeText(comm)})`}: ${because}`,
    );
  return lines;
}

function headlineOf({ totals, host, complete }: SkcheckReport): string {
  const { stalled, sockets } = totals;
  const of = `${formatCount(sockets)} ${sockets === 1 ? 'socket' : 'sockets'}`;
  if (stalled === 0) {
    const doubts = [
      ...(totals.undecided === 0 ? [] : [`${formatCount(totals.undecided)} undecided`]),
      ...(complete ? [] : ['the scan is incomplete']),
    ];
    return doubts.length === 0
      ? `No stalled socket among ${of}`
      : `No stalled socket found among ${of}: ${doubts.join(', ')}`;
  }
  const is = stalled === 1 ? 'is' : 'are';
  const seems = host.samples === 1 ? `${is} probably` : is;
  const pins = stalled === 1 ? 'pins' : 'pin';
  const { localPeers } = totals;
  const peers =
    localPeers.sockets === 0
      ? ''
      : `. The send ${localPeers.sockets === 1 ? 'queue of a local peer pins' : `queues of ${formatCount(localPeers.sockets)} local peers pin`} ${pinnedWords(localPeers.pinned)}`;
  return `${formatCount(stalled)} of ${of} ${seems} stalled and ${pins} ${pinnedWords(totals.pinned)}${peers}`;
}

/** `about 33.0 KiB (4.88 KiB to 585 KiB)`, or without an upper bound where none is known. */
function pinnedWords({ low, likely, atMost }: SkcheckReport['totals']['pinned']): string {
  return atMost === null
    ? `at least ${formatSize(low)}, likely ${formatSize(likely)}`
    : `about ${formatSize(likely)} (${formatSize(low)} to ${formatSize(atMost)})`;
}

/** Where and when a capture was taken, so that nobody takes it for this host, now. */
function captureWords({ name, takenAt, takenAtKnown }: SkcheckReport['host']): string {
  const where = name === '' ? 'an unnamed host' : escapeText(name);
  const when = takenAtKnown
    ? `${takenAt.slice(0, 10)} ${takenAt.slice(11, 19)} UTC`
    : 'at an unknown time';
  return `Captured on ${where}, ${when}`;
}

function mptcpWords({ mptcp, countedBy }: SkcheckReport['totals']): string {
  const all = `${formatCount(mptcp)} ${mptcp === 1 ? 'is MPTCP' : 'are MPTCP'}`;
  const counted =
    countedBy === 'descriptor' ? 'with --pid each descriptor counts once' : 'both are counted';
  return `(${all}: ss also lists their TCP subflows; ${counted})`;
}

/** With --census: what all sockets together can pin at most. */
function boundsOf({ census, theoreticalWorstBytes }: SkcheckReport['bounds']): string[] {
  if (!census) return [];
  const orders = Object.entries(census.orders).map(
    ([order, count]) => `${formatCount(count)} of order ${order}`,
  );
  const words = [
    `Census: ${formatSize(census.bytes)} in pages that can hold packets (${orders.join(', ') || 'none'}), counted in ${formatSpan(census.durationMs)}.`,
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
  ['backlog-full', 'listener has a full backlog', 'listeners have a full backlog'],
  ['udp-dropping', 'socket drops packets', 'sockets drop packets'],
  ['slow-reader', 'reader is too slow', 'readers are too slow'],
] as const;
