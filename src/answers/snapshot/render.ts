import { escapeText } from '../../base/escape.js';
import { shellWord } from '../../base/shell.js';
import { formatCount, formatSize } from '../../base/size.js';
import type { Snapshot } from '../../capture/write/snapshot.js';
import type { Verified } from '../../capture/write/verify.js';
import type { Condition, Reading, Reason } from '../../capture/write/when/trigger.js';
import type { Priority } from '../../capture/write/work.js';
import type { SnapshotJson, SnapshotVerifyJson } from '../../contracts/snapshot.js';

/** Maximum number of listed errors and faults. */
const MAX_LISTED = 50;

interface Written {
  readonly file: string;
  readonly intervalSeconds: number;
  readonly priority: Priority;
  /** Whether the file was dropped from the page cache. */
  readonly uncached: boolean;
}

export function snapshotJson(found: Snapshot, written: Written): SnapshotJson {
  const { denied, unreadable, cut } = found.failureCounts;
  const bad = found.failures.filter(({ code }) => code === 'denied' || code === 'unreadable' || code === 'cut');
  return {
    schema: 'kdump-mem.snapshot/1',
    file: written.file,
    sizeBytes: found.bytes,
    takenAt: found.takenAt.toISOString(),
    seconds: Math.round(found.seconds * 1000) / 1000,
    intervalSeconds: written.intervalSeconds,
    files: found.files,
    processes: found.processes,
    kernelThreads: found.kernelThreads,
    missingProcesses: found.missingProcesses,
    namespaces: found.namespaces,
    closedNamespaces: found.closedNamespaces,
    parts: found.parts,
    leftOut: found.leftOut,
    anonymized: found.anonymized,
    errorCounts: found.failureCounts,
    errors: bad.slice(0, MAX_LISTED),
    // Uses the counts, since the list of failures may be incomplete.
    complete: denied + unreadable + cut + found.closedNamespaces === 0,
    priority: written.priority,
    uncached: written.uncached,
  };
}

export function snapshotVerifyJson(file: string, found: Verified): SnapshotVerifyJson {
  const listed = found.faults.slice(0, MAX_LISTED);
  return {
    schema: 'kdump-mem.snapshot-verify/1',
    file,
    intact: found.faults.length === 0,
    files: found.files,
    bytes: found.bytes,
    unreadFiles: found.unread,
    problems: listed.map(({ words }) => words),
    faults: listed.map(({ code, path }) => ({ code, path })),
    problemCount: found.faults.length,
  };
}

const some = (number: number, singular: string, many: string): string =>
  `${formatCount(number)} ${number === 1 ? singular : many}`;

/** Returns a one-line summary of the snapshot, and the next command. */
export function snapshotText(found: SnapshotJson): string {
  const what = [
    some(found.processes, 'process', 'processes'),
    some(found.kernelThreads, 'kernel thread', 'kernel threads'),
    some(found.namespaces, 'network namespace', 'network namespaces'),
  ].join(', ');
  const size = formatSize(found.sizeBytes);
  const name = escapeText(found.file);
  const missing = found.missingProcesses > 0 ? ` Incomplete: ${missingProcesses(found)}.` : '';
  return `${name}: ${size}, ${what}, taken in ${found.seconds.toFixed(1)} s.${missing} Next: kdump-mem memory --from ${shellWord(found.file)}`;
}

function missingProcesses({ missingProcesses: missing }: SnapshotJson): string {
  return `${some(missing, 'running process or kernel thread is', 'running processes and kernel threads are')} missing`;
}

/** Returns the missing data in one line; undefined: none. */
export function snapshotWarning(found: SnapshotJson): string | undefined {
  if (found.complete) return undefined;
  const { denied, unreadable, cut } = found.errorCounts;
  const files = (count: number): string => some(count, 'file', 'files');
  const parts = [
    ...(found.missingProcesses > 0 ? [missingProcesses(found)] : []),
    ...(denied > 0 ? [`permission denied for ${files(denied)}`] : []),
    ...(unreadable > 0 ? [`${files(unreadable)} could not be read`] : []),
    ...(cut > 0 ? [`${files(cut)} truncated`] : []),
    ...(found.closedNamespaces > 0
      ? [`${some(found.closedNamespaces, 'network namespace', 'network namespaces')} could not be entered`]
      : []),
  ];
  const [first] = found.errors;
  const example = first ? ` (first: ${escapeText(first.path)})` : '';
  return `the snapshot is incomplete: ${parts.join(', ')}${example}. Answers lack what these files contain. The file “errors” in the archive lists the files`;
}

/** Reports whether a snapshot is intact. */
export function snapshotVerifyText(found: SnapshotVerifyJson): string {
  const name = escapeText(found.file);
  if (found.intact)
    return `${name}: intact since it was written. ${some(found.files, 'file', 'files')}, ${formatSize(found.bytes)}, all checksums match.${incomplete(found)}`;
  const problems = found.problems.map((problem) => `\n  ${escapeText(problem)}`).join('');
  const more = found.problemCount - found.problems.length;
  return `${name}: not intact.${problems}${more > 0 ? `\n  and ${formatCount(more)} more` : ''}`;
}

function incomplete({ unreadFiles }: SnapshotVerifyJson): string {
  if (unreadFiles === 0) return '';
  return ` The capture itself is incomplete: ${some(unreadFiles, 'host file', 'host files')} could not be read (listed in the archive’s file “errors”).`;
}

export function reasonJson({ condition, value, killed }: Reason, limit: number | undefined) {
  return { condition: condition.kind, value: killed ?? value, limit: limit ?? null };
}

/** Returns the threshold of a condition; undefined: none. */
export function limitOf({ condition, limit }: Reading): number | undefined {
  return 'percent' in condition && condition.kind !== 'available' ? condition.percent : limit;
}

/** Returns why a snapshot was taken. */
export function reasonWords(reason: Reason): string {
  const { condition, value, killed = 0 } = reason;
  const limit = limitOf(reason) ?? 0;
  switch (condition.kind) {
    case 'psi':
      return `some tasks stalled on memory for ${value} % of the last 10 s (limit ${limit} %)`;
    case 'psi-full':
      return `all tasks stalled on memory for ${value} % of the last 10 s (limit ${limit} %)`;
    case 'available':
      return `MemAvailable is ${formatSize(value)} (limit ${formatSize(limit)})`;
    case 'oom':
      return `the OOM killer killed ${killed === 1 ? '1 process' : `${killed} processes`}`;
  }
}

/** Returns the conditions that the program waits for, in one line printed at start. */
export function waitingWords(
  found: readonly Reading[],
  { into, keep, apart }: { readonly into: string; readonly keep: number; readonly apart: number },
  oomScoreAdj: string,
): string {
  const conditions = found.map((reading) => conditionWords(reading.condition, limitOf(reading)));
  return `waiting for ${conditions.join(', or ')}. Snapshots: directory ${escapeText(into)}, newest ${keep} kept, at least ${apart} s apart. oom_score_adj of this process: ${escapeText(oomScoreAdj)}`;
}

function conditionWords({ kind }: Condition, limit = 0): string {
  switch (kind) {
    case 'psi':
      return `memory pressure (some) of ${limit} %`;
    case 'psi-full':
      return `memory pressure (full) of ${limit} %`;
    case 'available':
      return `MemAvailable below ${formatSize(limit)}`;
    case 'oom':
      return 'a kill by the OOM killer';
  }
}
