import type { MemoryAnswer } from '../../../account/memory/answer.js';
import { cacheBytes } from '../../../account/memory/details.js';
import {
  chargedBytes,
  type FileCgroup,
  type FileFigures,
  fileName,
  type UnnamedFiles,
} from '../../../account/memory/files.js';
import { escapeText } from '../../../base/escape.js';
import { count, formatCount, formatSize } from '../../../base/size.js';
import type { CachedFile, LeftOutReason } from '../../../records/files.js';
import { wrap } from '../../text/cut.js';
import { type Column, type ListOptions, renderTable } from '../../text/table.js';
import { largest } from './tables.js';

/** Formats files and block devices by page cache and shared memory, largest first. */
export function filesTable(answer: MemoryAnswer, { limit, width }: ListOptions): string {
  const { files, inCgroup } = answer;
  if (answer.cachedFiles) return cachedFilesTable(answer, answer.cachedFiles, { limit, width });
  if (!files) return 'Files of the page cache are unknown: see the warnings.';
  const { unnamed } = files;
  const shown = files.files.slice(0, limit);
  const left = files.files.slice(limit);
  const columns = (inCgroup === undefined ? COLUMNS : COLUMNS_OF_CGROUP).filter(({ value }) =>
    shown.some((file) => value(file) !== ''),
  );
  const table = renderTable(columns, shown, width);
  const deleted = files.files.filter((file) => file.deleted);
  const sizeOf = inCgroup === undefined ? bytesOf : chargedBytes;
  const sum = (some: readonly FileFigures[]) => some.reduce((all, file) => all + sizeOf(file), 0);
  const sentences = [
    ...(left.length > 0
      ? [`${formatCount(left.length)} more files with ${formatSize(sum(left))}: --limit N lists them.`]
      : []),
    ...unnamed.map(unnamedWords),
    ...(deleted.length > 0 ? [`Deleted files: ${formatSize(sum(deleted))} in ${formatCount(deleted.length)}.`] : []),
    inCgroup === undefined
      ? `Total: ${formatSize(sum(files.files) + unnamed.reduce((all, part) => all + part.bytes, 0))} of page cache and shared memory.`
      : `Total: ${formatSize(sum(files.files))} charged to ${escapeText(inCgroup)} and below${activeWords(files.files)}.`,
  ];
  const rows = shown.map((file) => ({ name: fileName(file), bytes: sizeOf(file) }));
  const { opener } =
    answer.sharedFiles?.find(({ name, bytes }) => name === rows[0]?.name && bytes === rows[0].bytes) ?? {};
  const owner = opener ? `, open in pid ${opener.pid} (${escapeText(opener.comm)})` : '';
  const head = largest('file', rows, width, { owner });
  return [head + table, ...sentences.map((words) => wrap(words, width).join('\n'))].join('\n\n');
}

const bytesOf = ({ bytes }: FileFigures): number => bytes;

/** Sum of the active parts, if all are known. */
function activeWords(files: readonly FileFigures[]): string {
  const parts = files.flatMap(({ cgroups }) => (cgroups ?? []).map((cgroup) => cgroup.activeBytes));
  if (parts.length === 0 || parts.includes(null)) return '';
  return `, ${formatSize(parts.reduce<number>((sum, part) => sum + (part ?? 0), 0))} of it active`;
}

const FILE: Column<FileFigures> = {
  heading: 'FILE',
  value: (file) => `${escapeText(fileName(file))}${marks(file)}`,
  shrinks: { keeps: 'ends', least: 20 },
};

/** The cgroup with the largest part of a file. */
const CGROUP: Column<FileFigures> = {
  heading: 'CGROUP',
  value: ({ cgroups }) => {
    const [most, ...others] = cgroups ?? [];
    return most === undefined ? '' : `${cgroupName(most)}${others.length > 0 ? ` (${others.length} more)` : ''}`;
  },
  shrinks: { keeps: 'ends', least: 12 },
  spare: 1,
};

function cgroupName({ path, known, dying }: FileCgroup): string {
  if (path === null) return known ? '(uncharged)' : '(unknown)';
  return `${escapeText(path)}${dying ? ' (dying)' : ''}`;
}

const active = (bytes: number | null): string => (bytes === null ? '?' : formatSize(bytes));

const COLUMNS_OF_CGROUP: readonly Column<FileFigures>[] = [
  FILE,
  { heading: 'CHARGED', align: 'right', value: (file) => formatSize(chargedBytes(file)) },
  {
    heading: 'ACTIVE',
    align: 'right',
    value: ({ cgroups }) =>
      cgroups?.some(({ activeBytes }) => activeBytes === null)
        ? '?'
        : formatSize((cgroups ?? []).reduce((sum, { activeBytes }) => sum + (activeBytes ?? 0), 0)),
  },
  { heading: 'WHOLE FILE', align: 'right', value: ({ bytes }) => formatSize(bytes), spare: 2 },
  CGROUP,
];

const COLUMNS: readonly Column<FileFigures>[] = [
  FILE,
  { heading: 'BYTES', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  {
    heading: 'ACTIVE',
    align: 'right',
    value: ({ pageCacheBytes, activeBytes }) => (pageCacheBytes > 0 ? active(activeBytes) : ''),
    spare: 2,
  },
  CGROUP,
  {
    heading: 'DIRTY',
    align: 'right',
    // Shared memory is never written to a file system.
    value: ({ pageCacheBytes, dirtyBytes }) => (pageCacheBytes > 0 ? formatSize(dirtyBytes) : ''),
    spare: 2,
  },
  {
    heading: 'WRITEBACK',
    align: 'right',
    value: ({ writebackBytes }) => (writebackBytes > 0 ? formatSize(writebackBytes) : ''),
    spare: 3,
  },
  { heading: 'MAPPED', value: ({ mapped }) => (mapped ? 'yes' : ''), spare: 4 },
  { heading: 'FILE SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes), spare: 5 },
  { heading: 'FILESYSTEM', value: ({ fsType, device }) => `${escapeText(fsType)} ${device}`, spare: 1 },
];

function marks({ deleted, mounts }: FileFigures): string {
  const elsewhere = mounts === 'other' ? ' (in another mount namespace)' : '';
  return `${deleted ? ' (deleted)' : ''}${elsewhere}`;
}

const REASONS: Readonly<Record<UnnamedFiles['reason'], string>> = {
  unreadable: 'unreadable',
  damaged: 'inconsistent with their pages',
  'not-listed': 'beyond the list limit',
  moved: 'changed during the scan',
};

function unnamedWords({ reason, files, bytes, why }: UnnamedFiles): string {
  const words = `${formatSize(bytes)} in ${count(files, 'inode')}: ${REASONS[reason]}`;
  return why === null ? `${words}.` : `${words} (${escapeText(why)}).`;
}

const CACHED_COLUMNS: readonly Column<CachedFile>[] = [
  {
    heading: 'FILE',
    value: ({ path, deleted }) => `${escapeText(path)}${deleted ? ' (deleted)' : ''}`,
    shrinks: { keeps: 'ends', least: 20 },
  },
  { heading: 'RESIDENT', align: 'right', value: ({ bytes }) => formatSize(bytes) },
  { heading: 'FILE SIZE', align: 'right', value: ({ sizeBytes }) => formatSize(sizeBytes), spare: 3 },
  { heading: 'MAPPED', value: ({ mapped }) => (mapped ? 'yes' : ''), spare: 2 },
  { heading: 'PID', align: 'right', value: ({ pid }) => `${pid}` },
  { heading: 'FILESYSTEM', value: ({ fsType }) => escapeText(fsType), spare: 1 },
];

const LEFT_OUT: Readonly<Record<LeftOutReason, string>> = {
  processes: 'processes (limit of number or time)',
  descriptors: 'processes with unreadable descriptors',
  maps: 'processes with unreadable mappings',
  'file-system': 'files of network, FUSE or unknown file systems',
  gone: 'files that were closed meanwhile or cannot be opened',
  time: 'files that fincore did not report in time',
};

/** Formats the files that processes have open or mapped, largest first, and what the list lacks. */
function cachedFilesTable(
  answer: MemoryAnswer,
  { bytes: cachedBytes, elsewhereBytes, files, leftOut }: NonNullable<MemoryAnswer['cachedFiles']>,
  { limit, width }: ListOptions,
): string {
  const left = files.slice(limit);
  const sum = (some: readonly CachedFile[]) => some.reduce((all, { bytes }) => all + bytes, 0);
  const all = cacheBytes(answer);
  const why = answer.unavailable.find(({ source }) => source === 'kcore')?.why;
  const sentences = [
    ...(left.length > 0
      ? [`${formatCount(left.length)} more files with ${formatSize(sum(left))}: --limit N lists them.`]
      : []),
    elsewhereBytes === null
      ? `Total: at most ${formatSize(cachedBytes)} of ${formatSize(all)} page cache and shared memory; overlay files that share a lower file count in each mount.`
      : `Total: ${formatSize(cachedBytes)} of ${formatSize(all)} page cache and shared memory. The other ${formatSize(Math.max(0, elsewhereBytes))} is in files that no process has open or mapped, and in block devices.`,
    ...(leftOut.length > 0
      ? [`Not read: ${leftOut.map(({ reason, count }) => `${LEFT_OUT[reason]}: ${formatCount(count)}`).join('; ')}.`]
      : []),
  ];
  const source = `Source: fincore, open and mapped files only; /proc/kcore is not available${why === undefined ? '' : ` (${escapeText(why)})`}.`;
  const table = renderTable(CACHED_COLUMNS, files.slice(0, limit), width);
  const wrapped = (words: string) => wrap(words, width).join('\n');
  return [wrapped(source), table, ...sentences.map(wrapped)].join('\n\n');
}
