import type { CensusEntry, CensusHolder, Group, Grouping } from '../account/census-entry.js';
import type { Freed } from '../account/deaths.js';
import { type Keeper, keptBy } from '../account/owners.js';
import type { CensusAnswer } from '../account/sockets.js';
import { hex } from '../kernel/hex.js';
import { escapeText } from './escape.js';
import { formatCount, formatSize } from './size.js';
import { amplificationText, atLeast, socketText } from './skb-text.js';
import { formatTable } from './titled-table.js';

/**
 * The answer to `sockets`: who pins how much in a sentence, then a line for each socket or group.
 *
 * @param entries the sockets to list, of those in the answer
 */
export function socketsText(
  answer: CensusAnswer,
  entries: readonly CensusEntry[],
  { by, limit }: { by?: Grouping | undefined; limit: number },
): string {
  const groups = by && answer.groups;
  const table = groups
    ? groupsTable(groups.slice(0, limit), by)
    : socketsTable(entries.slice(0, limit));
  const all = groups ? groups.length : entries.length;
  const parts = [headline(answer)];
  if (all > 0) parts.push(table);
  else if (answer.sockets.length > 0) parts.push(NOTHING);
  if (all > limit) {
    const what = groups ? 'groups' : 'sockets';
    parts.push(`${formatCount(all - limit)} more ${what}: --limit N or --all lists them`);
  }
  if (answer.unexplained.length > 0) parts.push(unexplainedText(answer));
  return parts.join('\n\n');
}

const NOTHING = 'No socket to list. Without --all, those that pin nothing are left out.';

function headline(answer: CensusAnswer): string {
  const { sockets, total, processes } = answer;
  if (sockets.length === 0 && !total.complete)
    return 'No socket was found: what leads to them could not be read';
  const holding = sockets.filter((entry) => entry.total.pinnedBytes > 0).length;
  const pinned = `${formatCount(holding)} of ${formatCount(sockets.length)} sockets pin ${atLeast(total)}${formatSize(total.pinnedBytes)} for ${formatSize(total.payloadBytes)} of payload`;
  const [top] = processes;
  if (!top || top.total.pinnedBytes === 0) return pinned;
  const share = Math.round((top.total.pinnedBytes / total.pinnedBytes) * 100);
  return `${pinned}; ${ownerText(top.key)} holds ${share} % of it`;
}

function ownerText(key: string): string {
  return /^\d+ /.test(key)
    ? `pid ${escapeText(key.replace(/^(\d+) (.*)$/s, '$1 ($2)'))}`
    : escapeText(key);
}

function socketsTable(entries: readonly CensusEntry[]): string {
  return formatTable(
    [
      { title: 'PINNED', align: 'right' },
      { title: 'PAGES', align: 'right' },
      { title: 'PAYLOAD', align: 'right' },
      { title: '×', align: 'right' },
      { title: 'QUEUE' },
      { title: 'STATE' },
      { title: 'SOCKET' },
      { title: 'OWNER' },
    ],
    entries.map((entry) => [
      `${entry.total.complete ? '' : '≥ '}${formatSize(entry.total.pinnedBytes)}`,
      pagesText(entry),
      formatSize(entry.total.payloadBytes),
      amplificationText(entry.total) ?? '',
      busiestQueue(entry),
      escapeText(entry.socket.state),
      socketText(entry),
      holdersText(entry),
    ]),
  );
}

/** `430`, or with orders other than 0: `188 (1×0 187×3)`. */
function pagesText({ total }: CensusEntry): string {
  const orders = Object.entries(total.orders).filter(([, pages]) => pages > 0);
  if (orders.every(([order]) => order === '0')) return formatCount(total.pages);
  const detail = orders.map(([order, pages]) => `${pages}×${order === 'unknown' ? '?' : order}`);
  return `${formatCount(total.pages)} (${detail.join(' ')})`;
}

function busiestQueue({ queues }: CensusEntry): string {
  const busy = Object.entries(queues).filter(
    ([, { skbs, pinnedBytes }]) => skbs > 0 || pinnedBytes > 0,
  );
  busy.sort(([, a], [, b]) => b.pinnedBytes - a.pinnedBytes);
  const [name] = busy[0] ?? ['-'];
  return busy.length > 1 ? `${name} +${busy.length - 1}` : name;
}

/**
 * `121 starver fd 4`; who else holds it is counted. One that no process has is told with its address,
 * which `skb --sock` takes.
 */
function holdersText(entry: CensusEntry): string {
  const { holders, connectionHolders } = entry;
  if (holders.length > 0) return namesOf(holders);
  if (connectionHolders.length > 0) return `(part of ${namesOf(connectionHolders)})`;
  const [mapper] = entry.mappedBy;
  if (mapper) return `${mapper.pid} ${escapeText(mapper.comm)} (mapped)`;
  return `${keeperText(entry)} ${hex(entry.socket.sock)}`;
}

function keeperText(entry: CensusEntry): string {
  const ring = entry.registeredWith[0]?.holders[0];
  const keeper = keptBy(entry);
  if (ring && keeper === 'io_uring') {
    return `(io_uring of ${ring.task.pid} ${escapeText(ring.task.comm)} fd ${ring.fd})`;
  }
  return KEEPERS[keeper];
}

function namesOf(holders: readonly CensusHolder[]): string {
  const [first] = holders;
  if (!first) return '';
  const others = new Set(holders.map(({ pid }) => pid)).size - 1;
  const and = others > 0 ? ` and ${others} more` : '';
  return `${first.pid} ${escapeText(first.comm)} fd ${first.fd}${and}`;
}

const KEEPERS: Readonly<Record<Keeper, string>> = {
  listener: '(waiting to be accepted)',
  message: '(in a message: SCM_RIGHTS)',
  io_uring: '(io_uring)',
  connection: '(part of an MPTCP connection)',
  nothing: '(orphan)',
  kernel: '(kernel)',
  unknown: '(no descriptor)',
};

function groupsTable(groups: readonly Group[], by: Grouping | undefined): string {
  const process = by === 'process';
  return formatTable(
    [
      { title: (by ?? '').toUpperCase() },
      { title: 'SOCKETS', align: 'right' },
      { title: 'SKBS', align: 'right' },
      { title: 'PAYLOAD', align: 'right' },
      { title: 'PINNED', align: 'right' },
      { title: process ? 'FREED IF KILLED' : 'EXCLUSIVE', align: 'right' },
    ],
    groups.map(({ key, sockets, total, ownership, freedIfKilled }) => [
      process ? ownerText(key) : escapeText(key),
      formatCount(sockets),
      formatCount(total.skbs),
      formatSize(total.payloadBytes),
      `${total.complete ? '' : '≥ '}${formatSize(total.pinnedBytes)}`,
      process ? freedText(freedIfKilled) : formatSize(ownership.exclusiveBytes),
    ]),
  );
}

function freedText(freed: Freed | null): string {
  if (freed === null) return '-';
  const { low, high } = freed;
  if (high === null) return `≥ ${formatSize(low)}`;
  const [from, to] = [formatSize(low), formatSize(high)];
  return from === to ? to : `${from} to ${to}`;
}

function unexplainedText({ unexplained }: CensusAnswer): string {
  const sizes = unexplained.map(({ bytes }) => (bytes === null ? '?' : formatSize(bytes)));
  const width = Math.max(...sizes.map(({ length }) => length));
  const lines = unexplained.map(
    ({ message }, index) => `  ${sizes[index]?.padStart(width)}  ${escapeText(message)}`,
  );
  return ['Not in any socket’s queue:', ...lines].join('\n');
}
