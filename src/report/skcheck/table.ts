import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';
import type { Column } from '../text/table.js';
import { VERDICT_WORDS } from './reason.js';
import type { SkcheckSocket } from './schema.js';
import { formatSpan, socketWords } from './words.js';

/** One line a socket: who, which, what is wrong, how much and for how long, what it pins. */
export const COLUMNS: readonly Column<SkcheckSocket>[] = [
  { heading: 'PID', align: 'right', value: ({ pid }) => (pid === null ? '-' : String(pid)) },
  {
    heading: 'COMM',
    value: ({ comm }) => (comm === null ? '-' : escapeText(comm)),
    shrinks: { keeps: 'start', least: 6 },
  },
  { heading: 'FD', align: 'right', value: fdWords, spare: 2 },
  { heading: 'SOCKET', value: socketWords, shrinks: { keeps: 'ends', least: 14 } },
  { heading: 'VERDICT', value: verdictWords, shrinks: { keeps: 'start', least: 10 } },
  {
    heading: 'UNREAD',
    align: 'right',
    value: ({ unreadBytes, unsentBytes }) => formatSize(unreadBytes || unsentBytes),
    spare: 1,
  },
  { heading: 'FOR', align: 'right', value: forWords, spare: 3 },
  { heading: 'PINNED', align: 'right', value: pinnedWords },
  { heading: 'BOUNDS', value: boundsWords, spare: 4 },
];

/** `3+1`: descriptor 3, and another; `(3)`: that of the listener that has not accepted it. */
function fdWords({ fds, via }: SkcheckSocket): string {
  if (fds.length === 0) return '-';
  const words = `${fds[0]}${fds.length > 1 ? `+${fds.length - 1}` : ''}`;
  return via === 'accept-queue' ? `(${words})` : words;
}

function verdictWords({ stalled: { verdict, certainty } }: SkcheckSocket): string {
  return `${VERDICT_WORDS[verdict]}${certainty === 'likely' ? '?' : ''}`;
}

function forWords({ stalled: { verdict, forMs } }: SkcheckSocket): string {
  if (forMs === null) return verdict === 'reading' ? '-' : '?';
  return formatSpan(forMs).replace(' min', 'm').replace(' ', '');
}

function pinnedWords({ pinned, counted }: SkcheckSocket): string {
  if (counted?.complete) return formatSize(counted.pinnedBytes);
  return pinned.high === 0 ? '-' : formatSize(pinned.likely);
}

function boundsWords({ pinned, counted }: SkcheckSocket): string {
  if (counted?.complete) return 'counted';
  return pinned.high === 0 ? '' : formatRange(pinned.low, pinned.atMost);
}

/** `0.84-2.9 MiB`; the unit once where both ends share it; `0.84 MiB-?`: at most is not known. */
export function formatRange(low: number, high: number | null): string {
  if (high === null) return `${formatSize(low)}-?`;
  const [from, to] = [formatSize(low), formatSize(high)];
  const unit = to.slice(to.indexOf(' '));
  return from.endsWith(unit) && unit.startsWith(' ')
    ? `${from.slice(0, -unit.length)}-${to}`
    : `${from}-${to}`;
}
