import { STALE_CODES } from '../../skcheck/verdict.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { comesBack } from './owners.js';
import type { SkcheckReport, SkcheckSocket } from './schema.js';

/** What to do: who would have to read, and how much of the memory that gives back. */
export function adviceOf({ sockets, totals }: SkcheckReport): string[] {
  const owner = totals.worstOwner;
  if (!owner || !sockets.some(isStale)) return [];
  const { pid, unaccepted } = owner;
  const who = `pid ${pid}${owner.comm === null ? '' : ` (${escapeText(owner.comm)})`}`;
  const whole = owner.sockets === totals.stalled;
  const share = whole
    ? 'The memory'
    : `About ${formatSize(comesBack(owner))} of the ${formatSize(totals.pinned.likely + totals.localPeers.pinned.likely)}`;
  const ends = `${owner.sockets === 1 ? 'descriptor' : 'descriptors'} or exits`;
  const how =
    unaccepted === 0
      ? `reads, closes its ${ends}`
      : unaccepted === owner.sockets
        ? 'accepts and reads its pending connections, closes its listener or exits'
        : `reads, accepts its pending connections, closes its ${ends}`;
  const lines = owner.stopped
    ? [
        `${who} is stopped: kill -CONT ${pid} resumes it.${whole ? '' : ` ${share} is in its sockets${owner.localPeers === 0 ? '' : ' and those of local peers'}.`}`,
      ]
    : [`${share} is freed when ${who} ${how}.`];
  if (owner.localPeers > 0) {
    const peers = sockets.filter(({ pid: reader, localPeer }) => reader === pid && localPeer);
    lines.push(
      `Its ${owner.sockets === 1 ? 'socket pins' : 'sockets pin'} about ${formatSize(owner.likelyPinnedBytes)}, and the send ${owner.localPeers === 1 ? 'queue of its local peer pins' : `queues of ${formatCount(owner.localPeers)} local peers pin`} about ${formatSize(owner.likelyLocalPeersBytes)}${peerNames(peers)}.`,
    );
  }
  if (owner.shared > 0)
    lines.push(
      `Other processes hold ${owner.sockets === 1 ? 'it' : `${formatCount(owner.shared)} of its ${formatCount(owner.sockets)} sockets`} too: killing pid ${pid} alone does not free that memory.`,
    );
  return lines;
}

const MOST_NAMED = 3;

/** `: pid 12 (node), pid 13 (curl) and others`; empty where none of them is known. */
function peerNames(sockets: readonly SkcheckSocket[]): string {
  const names = new Set(
    sockets.flatMap(({ localPeer }) =>
      localPeer?.pid == null
        ? []
        : [
            `pid ${localPeer.pid}${localPeer.comm === null ? '' : ` (${escapeText(localPeer.comm)})`}`,
          ],
    ),
  );
  if (names.size === 0) return '';
  const named = [...names].slice(0, MOST_NAMED).join(', ');
  return `: ${named}${names.size > MOST_NAMED ? ' and others' : ''}`;
}

/** From here on it is worth a sentence that the likely figure may be far too low. */
const MUCH_BYTES = 32 * 2 ** 20;
const MUCH_TIMES = 10;

/**
 * A packet may keep a page of 32 KiB for the 1.5 KiB that it is charged (docs/estimates.md), and nothing in user
 * space tells whether it does: it may then be as much as the memory that no counter has.
 */
export function doubtsOf({ totals, bounds, host }: SkcheckReport): string[] {
  const { likely, high } = totals.pinned;
  if (totals.stalled === 0 || high < MUCH_BYTES || high < MUCH_TIMES * likely) return [];
  const counts =
    host.source === 'capture'
      ? 'A vmcore has the exact figure.'
      : 'skcheck --exact counts it (root, /proc/kcore).';
  return [
    `${formatSize(likely)} is what the sockets are charged. Packets can pin larger pages: up to ${formatSize(high)} may be pinned. No counter accounts for ${formatSize(bounds.unplacedBytes)} of memory. ${counts}`,
  ];
}

/** What the columns mean, as far as this table needs it. */
export function legendOf({ sockets }: SkcheckReport, verbose: boolean): string[] {
  const words = [
    'AGE: stalled for at least this long. PINNED: likely kernel memory (BOUNDS: at least - at most).',
  ];
  if (sockets.some(({ stalled }) => stalled.certainty === 'likely'))
    words.push('A verdict with ? is likely, not proven.');
  if (sockets.some(({ via, fds }) => via === 'accept-queue' && fds.length > 0))
    words.push('FD in parentheses: the listener that has not accepted the connection.');
  if (!verbose) words.push('-v shows why and where.');
  return [words.join(' ')];
}

function isStale({ stalled }: SkcheckSocket): boolean {
  return STALE_CODES.includes(stalled.verdict);
}
