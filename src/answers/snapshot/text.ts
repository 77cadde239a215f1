import { shellWord } from '../../base/shell-word.js';
import { escapeText } from '../text/escape.js';
import { formatCount, formatSize } from '../text/size.js';
import type { SnapshotJson, SnapshotVerifyJson } from './schema.js';

const some = (number: number, one: string, many: string): string =>
  `${formatCount(number)} ${number === 1 ? one : many}`;

/** What was taken, in one line, and how to go on in another. */
export function snapshotText(found: SnapshotJson): string {
  const what = [
    some(found.processes, 'process', 'processes'),
    some(found.namespaces, 'network namespace', 'network namespaces'),
  ].join(', ');
  const size = formatSize(found.sizeBytes);
  const name = escapeText(found.file);
  return `${name}: ${size}, ${what}, taken in ${found.seconds.toFixed(1)} s. Next: kdump-mem memory --from ${shellWord(found.file)}`;
}

/** What is missing in it, in one line; undefined: nothing. */
export function snapshotWarning(found: SnapshotJson): string | undefined {
  if (found.complete) return undefined;
  const { denied, unreadable, cut } = found.errorCounts;
  const files = (count: number): string => some(count, 'file', 'files');
  const parts = [
    ...(denied > 0 ? [`permission denied for ${files(denied)}`] : []),
    ...(unreadable > 0 ? [`${files(unreadable)} could not be read`] : []),
    ...(cut > 0 ? [`${files(cut)} truncated`] : []),
    ...(found.closedNamespaces > 0
      ? [
          `${some(found.closedNamespaces, 'network namespace', 'network namespaces')} could not be entered`,
        ]
      : []),
  ];
  const [first] = found.errors;
  const example = first ? ` (first: ${escapeText(first.path)})` : '';
  return `the snapshot is incomplete: ${parts.join(', ')}${example}. The file errors in the archive lists them`;
}

/** Whether a snapshot is whole. */
export function snapshotVerifyText(found: SnapshotVerifyJson): string {
  const name = escapeText(found.file);
  if (found.intact)
    return `${name}: intact. ${some(found.files, 'file', 'files')}, ${formatSize(found.bytes)}, all checksums match.`;
  const problems = found.problems.map((problem) => `\n  ${escapeText(problem)}`).join('');
  const more = found.problemCount - found.problems.length;
  return `${name}: not intact.${problems}${more > 0 ? `\n  and ${formatCount(more)} more` : ''}`;
}
