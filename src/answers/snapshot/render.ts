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

export function snapshotJson(snapshot: Snapshot, written: Written): SnapshotJson {
  const { denied, unreadable, cut } = snapshot.failureCounts;
  const bad = snapshot.failures.filter(({ code }) => code === 'denied' || code === 'unreadable' || code === 'cut');
  return {
    schema: 'kdump-mem.snapshot/1',
    file: written.file,
    sizeBytes: snapshot.bytes,
    takenAt: snapshot.takenAt.toISOString(),
    seconds: Math.round(snapshot.seconds * 1000) / 1000,
    intervalSeconds: written.intervalSeconds,
    files: snapshot.files,
    processes: snapshot.processes,
    kernelThreads: snapshot.kernelThreads,
    missingProcesses: snapshot.missingProcesses,
    namespaces: snapshot.namespaces,
    closedNamespaces: snapshot.closedNamespaces,
    parts: snapshot.parts,
    leftOut: snapshot.leftOut,
    anonymized: snapshot.anonymized,
    errorCounts: snapshot.failureCounts,
    errors: bad.slice(0, MAX_LISTED),
    // Uses the counts, since the list of failures may be incomplete.
    complete: denied + unreadable + cut + snapshot.closedNamespaces === 0,
    priority: written.priority,
    uncached: written.uncached,
  };
}

export function snapshotVerifyJson(file: string, verified: Verified): SnapshotVerifyJson {
  const listed = verified.faults.slice(0, MAX_LISTED);
  return {
    schema: 'kdump-mem.snapshot-verify/1',
    file,
    intact: verified.faults.length === 0,
    files: verified.files,
    bytes: verified.bytes,
    unreadFiles: verified.unread,
    problems: listed.map(({ words }) => words),
    faults: listed.map(({ code, path }) => ({ code, path })),
    problemCount: verified.faults.length,
  };
}

const some = (number: number, singular: string, many: string): string =>
  `${formatCount(number)} ${number === 1 ? singular : many}`;

/** Returns a one-line summary of the snapshot, and the next command. */
export function snapshotText(snapshot: SnapshotJson): string {
  const what = [
    some(snapshot.processes, 'process', 'processes'),
    some(snapshot.kernelThreads, 'kernel thread', 'kernel threads'),
    some(snapshot.namespaces, 'network namespace', 'network namespaces'),
  ].join(', ');
  const size = formatSize(snapshot.sizeBytes);
  const name = escapeText(snapshot.file);
  const missing = snapshot.missingProcesses > 0 ? ` Incomplete: ${missingProcesses(snapshot)}.` : '';
  return `${name}: ${size}, ${what}, taken in ${snapshot.seconds.toFixed(1)} s.${missing} Next: kdump-mem memory --from ${shellWord(snapshot.file)}`;
}

function missingProcesses({ missingProcesses: missing }: SnapshotJson): string {
  return `${some(missing, 'running process or kernel thread is', 'running processes and kernel threads are')} missing`;
}

/** Returns the missing data in one line; undefined: none. */
export function snapshotWarning(snapshot: SnapshotJson): string | undefined {
  if (snapshot.complete) return undefined;
  const { denied, unreadable, cut } = snapshot.errorCounts;
  const files = (count: number): string => some(count, 'file', 'files');
  const parts = [
    ...(snapshot.missingProcesses > 0 ? [missingProcesses(snapshot)] : []),
    ...(denied > 0 ? [`permission denied for ${files(denied)}`] : []),
    ...(unreadable > 0 ? [`${files(unreadable)} could not be read`] : []),
    ...(cut > 0 ? [`${files(cut)} truncated`] : []),
    ...(snapshot.closedNamespaces > 0
      ? [`${some(snapshot.closedNamespaces, 'network namespace', 'network namespaces')} could not be entered`]
      : []),
  ];
  const [first] = snapshot.errors;
  const example = first ? ` (first: ${escapeText(first.path)})` : '';
  return `the snapshot is incomplete: ${parts.join(', ')}${example}. Answers lack what these files contain. The file “errors” in the archive lists the files`;
}

/** Reports whether a snapshot is intact. */
export function snapshotVerifyText(verified: SnapshotVerifyJson): string {
  const name = escapeText(verified.file);
  if (verified.intact)
    return `${name}: intact since it was written. ${some(verified.files, 'file', 'files')}, ${formatSize(verified.bytes)}, all checksums match.${incomplete(verified)}`;
  const problems = verified.problems.map((problem) => `\n  ${escapeText(problem)}`).join('');
  const more = verified.problemCount - verified.problems.length;
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
  readings: readonly Reading[],
  { into, keep, apart }: { readonly into: string; readonly keep: number; readonly apart: number },
  oomScoreAdj: string,
): string {
  const conditions = readings.map((reading) => conditionWords(reading.condition, limitOf(reading)));
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
