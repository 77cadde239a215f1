import { escapeText } from '../text/escape.js';
import { formatCount } from '../text/size.js';
import type { SkcheckSocket } from './schema.js';

export const VERDICT_WORDS: Record<SkcheckSocket['stalled']['verdict'], string> = {
  'deadlocked-pair': 'deadlocked',
  'stalled-reader': 'stalled',
  'stalled-sender': 'cannot send',
  'never-accepting': 'accepts nothing',
  'backlog-full': 'full',
  'udp-dropping': 'drops',
  'slow-reader': 'slow',
  undecided: 'cannot tell',
  reading: 'reads',
};

/**
 * The reason under a row: what was seen, who holds the socket or waits for it too, and where that runs. All
 * text in it is inert.
 */
export function reasonOf(socket: SkcheckSocket): string {
  const { verdict, certainty, because } = socket.stalled;
  const word = `${certainty === 'likely' ? 'likely ' : ''}${VERDICT_WORDS[verdict]}: `;
  const also = holdersWords(
    socket.via === 'accept-queue' ? 'its listener is also held by' : 'also held by',
    socket.holders.slice(1),
  );
  const waiting = holdersWords('those who wait:', known(socket.waiting));
  // A unix socket seldom has a name that tells who is behind it; of a pair it is told already.
  const other = holdersWords(
    'its other end:',
    known(verdict === 'deadlocked-pair' || !socket.otherEnd ? [] : [socket.otherEnd]),
  );
  const place = placeWords(socket);
  const besides = socket.also
    .map((each) => `; also ${VERDICT_WORDS[each.verdict]}: ${each.because}`)
    .join('');
  return `${word}${because}${waiting}${besides}${also}${other}${place}`;
}

interface HolderWords {
  readonly pid: number;
  readonly comm: string | null;
  readonly fds: readonly number[];
}

/** Those of which a process is known. */
function known(ends: SkcheckSocket['waiting']): HolderWords[] {
  return ends.flatMap(({ pid, comm, fds }) => (pid === null ? [] : [{ pid, comm, fds }]));
}

const MOST_NAMED = 5;

function holdersWords(lead: string, holders: readonly HolderWords[]): string {
  if (holders.length === 0) return '';
  const named = holders
    .slice(0, MOST_NAMED)
    .map(
      ({ pid, comm, fds }) => `${pid}${comm === null ? '' : ` (${escapeText(comm)})`} fd ${fds[0]}`,
    );
  const rest = holders.length - named.length;
  return `; ${lead} pid ${named.join(', ')}${rest > 0 ? ` and ${formatCount(rest)} more` : ''}`;
}

/** Where it runs, when that is not plainly this host. */
function placeWords({ pod, container, cgroup, netnsName, holders }: SkcheckSocket): string {
  const words: string[] = [];
  if (pod !== null) words.push(`pod ${escapeText(pod)}`);
  if (container !== null) words.push(`container ${escapeText(container.slice(0, 12))}`);
  if (netnsName !== null) words.push(`netns ${escapeText(netnsName)}`);
  const inner = holders[0]?.nsPids.at(-1);
  if (inner !== undefined && (holders[0]?.nsPids.length ?? 0) > 1)
    words.push(`pid ${inner} inside`);
  if (pod === null && container === null && cgroup !== null && cgroup !== '/')
    words.push(`cgroup ${escapeText(cgroup)}`);
  return words.length === 0 ? '' : `; in ${words.join(', ')}`;
}
