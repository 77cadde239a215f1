import { InvalidArgumentError } from 'commander';
import type { ChosenProcs } from '../../account/processes/groups.js';
import { escapeText } from '../../base/escape.js';
import { formatSize } from '../../base/size.js';
import { PROCESS_SIZES, type ProcessSize } from '../../records/processes.js';
import { parseSize } from '../kit/arguments.js';
import { EXIT } from '../kit/failure.js';

/** A limit of `--fail-on` for each process, or for each group of `--by`, in bytes. */
export interface ProcessThreshold {
  readonly column: string;
  readonly size: ProcessSize;
  readonly bytes: number;
}

/** Columns by their names for --sort. */
export const SORT_WORDS = {
  freed: 'freedIfKilledBytes',
  uss: 'ussBytes',
  pss: 'pssBytes',
  rss: 'rssBytes',
  anon: 'anonBytes',
  file: 'fileBytes',
  shmem: 'shmemBytes',
  swap: 'swapBytes',
  hugetlb: 'hugetlbBytes',
  'page-tables': 'pageTableBytes',
  locked: 'lockedBytes',
  pinned: 'pinnedBytes',
  sockets: 'networkPinnedBytes',
  threads: 'threads',
  age: 'ageSeconds',
  oom: 'oomScore',
} as const;

/** Columns in bytes. */
const COLUMNS = Object.entries(SORT_WORDS).filter(([, size]) => PROCESS_SIZES.includes(size as never));
/** Rows that are printed for each limit. */
const MAX_LINES = 10;

/** Parses `anon=4G`, one of several. */
export function parseThreshold(text: string, previous: readonly ProcessThreshold[] = []): ProcessThreshold[] {
  const [, column = '', amount = ''] = /^([a-z-]+)=(.+)$/.exec(text) ?? [];
  const known = COLUMNS.find(([name]) => name === column);
  if (!known)
    throw new InvalidArgumentError(
      `It must be COLUMN=SIZE, such as anon=4G. Columns: ${COLUMNS.map(([name]) => name).join(', ')}.`,
    );
  const size = known[1] as ProcessSize;
  return [...previous, { column, size, bytes: parseSize(amount) }];
}

/** Exit status, and a line for each row that exceeds a limit; unknown figures may exceed it. */
export function checkThresholds(
  { answer: { processes, groups, complete }, members, hidden }: ChosenProcs,
  thresholds: readonly ProcessThreshold[],
): { readonly status: number | undefined; readonly lines: readonly string[] } {
  const rows =
    groups?.map((group, at) => ({ row: group, name: escapeText(group.key ?? '?'), parts: members[at] ?? [] })) ??
    processes.map((process) => ({
      row: process,
      name: `pid ${process.pid} (${escapeText(process.comm)})`,
      parts: [process],
    }));
  const lines: string[] = [];
  let status: number | undefined;
  for (const { column, size, bytes } of thresholds) {
    const limit = `limit ${formatSize(bytes)}`;
    const above = rows.filter(({ row }) => (row[size] ?? 0) > bytes);
    for (const { row, name } of above.slice(0, MAX_LINES))
      lines.push(`--fail-on: ${column} of ${name} is ${formatSize(row[size] ?? 0)} (${limit})`);
    if (above.length > MAX_LINES) lines.push(`--fail-on: ${above.length - MAX_LINES} more exceed the ${limit}`);
    const unknown = rows.filter(({ parts }) => parts.some((part) => part[size] === null)).length;
    if (above.length > 0) status = EXIT.differs;
    else if (unknown > 0 || hidden || !complete) {
      const what = unknown > 0 ? `unknown for ${unknown} rows` : 'incomplete';
      lines.push(`--fail-on: ${column} is ${what}, and may exceed the ${limit}`);
      status ??= EXIT.incomplete;
    }
  }
  return { status, lines };
}
