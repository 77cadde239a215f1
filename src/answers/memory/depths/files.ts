import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { type FileFigures, fileName, type UnnamedFiles } from '../../../account/memory/files.js';
import { wrap } from '../../text/cut.js';
import { escapeText } from '../../text/escape.js';
import { formatCount, formatSize } from '../../text/size.js';
import { type Column, renderTable } from '../../text/table.js';
import type { DepthOptions } from './depth.js';

/** Whose the page cache and shared memory are: files and block devices, those with the most first. */
export function filesTable({ files }: MemoryAnswer, { limit, width }: DepthOptions): string {
  if (files === undefined) return 'Whose pages these are cannot be told: see the warnings.';
  const { unnamed } = files;
  const shown = files.files.slice(0, limit);
  const left = files.files.slice(limit);
  const table = renderTable(COLUMNS, shown, width);
  const all = [...files.files, ...unnamed].reduce((sum, { bytes }) => sum + bytes, 0);
  const rest = left.reduce((sum, { bytes }) => sum + bytes, 0);
  const said = [
    ...(left.length > 0
      ? [`${formatCount(left.length)} more have ${formatSize(rest)}: --limit N lists them.`]
      : []),
    ...unnamed.map(unnamedWords),
    `All of it: ${formatSize(all)}, the page cache and shared memory.`,
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
    // Shared memory has no disk that it waits for.
    value: ({ cacheBytes, dirtyBytes }) => (cacheBytes > 0 ? formatSize(dirtyBytes) : ''),
    spare: 2,
  },
  {
    heading: 'WRITING',
    align: 'right',
    value: ({ writebackBytes }) => (writebackBytes > 0 ? formatSize(writebackBytes) : ''),
    spare: 3,
  },
  { heading: 'MAPPED', value: ({ mapped }) => (mapped ? 'yes' : ''), spare: 4 },
  { heading: 'SIZE', align: 'right', value: ({ size }) => formatSize(size), spare: 5 },
  {
    heading: 'ON',
    value: ({ fsType, device }) => `${escapeText(fsType)} ${device}`,
    spare: 1,
  },
];

function marks({ deleted, path }: FileFigures): string {
  const elsewhere = path?.mounts === 'other' ? ' (in another mount namespace)' : '';
  return `${deleted ? ' (deleted)' : ''}${elsewhere}`;
}

const REASONS: Readonly<Record<UnnamedFiles['reason'], string>> = {
  unreadable: 'cannot be read',
  damaged: 'contradict their pages',
  'not-listed': 'are more than are listed',
  moved: 'changed while they were read',
};

function unnamedWords({ reason, files, bytes, why }: UnnamedFiles): string {
  const words = `${formatSize(bytes)}: ${formatCount(files)} whose inodes ${REASONS[reason]}`;
  return why === undefined ? `${words}.` : `${words}: ${escapeText(why)}`;
}
