import type { CategoryMeasure, Measure, Who } from '../../diff/state.js';
import { escapeText } from '../text/escape.js';
import { formatSize } from '../text/size.js';

/** The name of an owner, escaped: `pid 4711 (nginx)`. */
export function whoWords(who: Who): string {
  switch (who.kind) {
    case 'process':
      return `pid ${who.pid} (${escapeText(who.comm)})`;
    case 'socket':
      return socketWords(who);
    case 'cache':
      return escapeText(who.name);
    case 'caller':
      return escapeText(who.name);
    case 'cgroup':
      return `${escapeText(who.path)}${who.dying ? ' (removed)' : ''}`;
  }
}

function socketWords({
  holder,
  protocol,
  family,
  local,
  peer,
  inode,
}: Extract<Who, { kind: 'socket' }>): string {
  const owner = holder
    ? `pid ${holder.pid} (${holder.comm === null ? '?' : escapeText(holder.comm)}) fd ${holder.fd}`
    : `inode ${inode ?? '?'} (no process)`;
  const ends = [local, peer].flatMap((end) => (end === null || end === '' ? [] : escapeText(end)));
  return `${owner}: ${escapeText(protocol || family)} ${ends.join(' ← ')}`.trimEnd();
}

const MEASURES: Readonly<Record<Measure | CategoryMeasure, string>> = {
  pss: 'PSS',
  rss: 'RSS',
  pssAnon: 'anonymous PSS',
  rssAnon: 'anonymous RSS',
  pssShmem: 'shared memory PSS',
  rssShmem: 'shared memory RSS',
  hugetlb: 'huge pages',
  pageTables: 'page tables',
  pinned: 'pinned',
  estimated: 'pinned, estimated',
  unread: 'unread',
  bytes: '',
  charged: 'charged',
  usage: 'usage with child cgroups',
};

export function measureWords({ by }: { readonly by: Measure | CategoryMeasure | null }): string {
  return by === null ? '?' : MEASURES[by];
}

/** `+1.20 MiB`, `-3 B`, `0`; `?` if unknown. */
export function signedSize(bytes: number | null): string {
  if (bytes === null) return '?';
  return bytes === 0 ? '0' : `${bytes > 0 ? '+' : '-'}${formatSize(Math.abs(bytes))}`;
}

export function sizeOrUnknown(bytes: number | null | undefined): string {
  return bytes === null || bytes === undefined ? '?' : formatSize(bytes);
}
