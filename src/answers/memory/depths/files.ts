import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { type FileFigures, fileName, type UnnamedFiles } from '../../../account/memory/files.js';
import { wrap } from '../../text/cut.js';
import { escapeText } from '../../text/escape.js';
import { formatCount, formatSize } from '../../text/size.js';
import { type Column, type ListOptions, renderTable } from '../../text/table.js';

/** Formats files and block devices by page cache and shared memory, largest first. */
export function filesTable({ files }: MemoryAnswer, { limit, width }: ListOptions): string {
  if (files === undefined) return 'Files of the page cache are unknown: see the warnings.';
  const { unnamed } = files;
  const shown = files.files.slice(0, limit);
  const left = files.files.slice(limit);
  const table = renderTable(COLUMNS, shown, width);
  const all = [...files.files, ...unnamed].reduce((sum, { bytes }) => sum + bytes, 0);
  const rest = left.reduce((sum, { bytes }) => sum + bytes, 0);
  const said = [
    ...(left.length > 0
      ? [`${formatCount(left.length)} more files with ${formatSize(rest)}: --limit N lists them.`]
      : []),
    ...unnamed.map(unnamedWords),
    `Total: ${formatSize(all)} of page cache and shared memory.`,
  ];
  return [table, ...said.map((words) => wrap(words, width).join('\n'))].join('\n\n');
}

const COLUMNS: readonly Column<FileFigures>[] = [
  {
    heading: 'FILE',
    value: (file) => `${escapeText(fileName(file))}${marks(file)}`,
    shrinks: { keeps: 'ends', least: 20 },
  },
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  {
    heading: 'DIRTY',
    align: 'right',
    // Shared memory is never written to a file system.
    value: ({ cacheBytes, dirtyBytes }) => (cacheBytes > 0 ? formatSize(dirtyBytes) : ''),
    spare: 2,
  },
  {
    heading: 'WRITEBACK',
    align: 'right',
    value: ({ writebackBytes }) => (writebackBytes > 0 ? formatSize(writebackBytes) : ''),
    spare: 3,
  },
  { heading: 'MAPPED', value: ({ mapped }) => (mapped ? 'yes' : ''), spare: 4 },
  { heading: 'FILE SIZE', align: 'right', value: ({ size }) => formatSize(size), spare: 5 },
  {
    heading: 'FILESYSTEM',
    value: ({ fsType, device }) => `${escapeText(fsType)} ${device}`,
    spare: 1,
  },
];

function marks({ deleted, path }: FileFigures): string {
  const elsewhere = path?.mounts === 'other' ? ' (in another mount namespace)' : '';
  return `${deleted ? ' (deleted)' : ''}${elsewhere}`;
}

const REASONS: Readonly<Record<UnnamedFiles['reason'], string>> = {
  unreadable: 'unreadable',
  damaged: 'inconsistent with their pages',
  'not-listed': 'beyond the list limit',
  moved: 'changed during the scan',
};

function unnamedWords({ reason, files, bytes, why }: UnnamedFiles): string {
  const words = `${formatSize(bytes)} in ${formatCount(files)} ${files === 1 ? 'inode' : 'inodes'}: ${REASONS[reason]}`;
  return why === undefined ? `${words}.` : `${words} (${escapeText(why)}).`;
}
