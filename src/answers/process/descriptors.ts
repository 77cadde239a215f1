import type { Descriptors } from '../../host/proc/descriptors.js';
import type { Warning } from '../../walk/warnings.js';
import { wrap } from '../text/cut.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import { type Column, renderTable } from '../text/table.js';
import type { ProcessFdsJson } from './schema.js';

/** The answer to `procs --pid --fds`. */
export interface DescriptorsAnswer extends Descriptors {
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}

/** Share of RLIMIT_NOFILE from which the headline names the limit as nearly reached. */
const NEAR = 0.9;

export function descriptorsAnswer(found: Descriptors): DescriptorsAnswer {
  const message = `${formatCount(found.unreadable)} descriptors of pid ${found.pid} could not be read: their kind is unknown`;
  const warnings = found.unreadable > 0 ? [{ code: 'unreadable', message } as const] : [];
  return { ...found, warnings, complete: warnings.length === 0 };
}

/** `kdump-mem.process-fds/1`. */
export function descriptorsJson(answer: DescriptorsAnswer): ProcessFdsJson {
  const { pid, comm, count, limit, groups, warnings, complete } = answer;
  return { schema: 'kdump-mem.process-fds/1', pid, comm, count, limit, groups, complete, warnings };
}

const COLUMNS: readonly Column<DescriptorsAnswer['groups'][number]>[] = [
  { heading: 'KIND', value: ({ kind }) => kind },
  { heading: 'COUNT', align: 'right', value: ({ count }) => formatCount(count) },
  {
    heading: 'BYTES',
    align: 'right',
    value: ({ bytes }) => (bytes === null ? '-' : formatSize(bytes)),
  },
  {
    heading: 'WATCHES',
    align: 'right',
    value: ({ items }) => (items === null ? '-' : formatCount(items)),
    spare: 1,
  },
  {
    heading: 'MOST FREQUENT',
    value: ({ names }) =>
      names.map(({ name, count }) => `${escapeText(name)} (${formatCount(count)})`).join(', '),
    shrinks: { keeps: 'start', least: 20 },
  },
];

/** A sentence, and a table by kind. @param width columns of the terminal; null: no terminal */
export function descriptorsText(answer: DescriptorsAnswer, width: number | null): string {
  const { pid, comm, count, limit, groups } = answer;
  const name = comm === null ? '' : ` (${escapeText(comm)})`;
  const of = limit === null ? '' : `, of at most ${formatCount(limit)} (RLIMIT_NOFILE)`;
  const near = limit !== null && count >= NEAR * limit ? ' The limit is nearly reached.' : '';
  const [most] = groups;
  const mostly = most ? ` Most frequent kind: ${most.kind}, ${formatCount(most.count)}.` : '';
  const head = `pid ${pid}${name} has ${formatCount(count)} descriptors open${of}.${near}${mostly}`;
  const parts = [wrap(head, width).join('\n')];
  if (groups.length > 0) parts.push(renderTable(COLUMNS, groups, width));
  parts.push(
    wrap(
      'BYTES: memory of memfds, dma-bufs and BPF maps. The kernel does not report it for the other kinds; skcheck estimates it for sockets.',
      width,
    ).join('\n'),
  );
  return parts.join('\n\n');
}
